/* spawn ROUNDS NOTHING FIRST DIR: starts the programs `nothing` and `first` in
 * turn.  Prints the median time from the start of the process, and from its
 * main, to the second time that the program writes. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "race.h"

extern char **environ;

struct times {
    double from_start, from_main;
};

static struct times
run_program(char **argv)
{
    posix_spawn_file_actions_t actions;
    uint64_t times[2], begin;
    int ends[2], status, rc;
    pid_t pid;

    if (pipe(ends)) {
        race_stop("pipe", "failed");
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    begin = race_now_ns();
    rc = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (rc) {
        race_stop(argv[0], strerror(rc));
    }
    if (read(ends[0], times, sizeof(times)) != sizeof(times)) {
        race_stop(argv[0], "failed");
    }
    close(ends[0]);
    waitpid(pid, &status, 0);
    return (struct times){(double)(times[1] - begin),
                          (double)(times[1] - times[0])};
}

static int
compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void
say_median(const char *id, double *values, long n)
{
    qsort(values, (size_t)n, sizeof(*values), compare_doubles);
    race_say(id, values[n / 2]);
}

int
main(int argc, char **argv)
{
    double *empty, *whole, *inside;
    long rounds;

    if (argc != 5) {
        race_stop("usage", "spawn ROUNDS NOTHING FIRST DIR");
    }
    rounds = race_number(argv[1]);
    empty = calloc((size_t)rounds, sizeof(*empty));
    whole = calloc((size_t)rounds, sizeof(*whole));
    inside = calloc((size_t)rounds, sizeof(*inside));
    if (!empty || !whole || !inside) {
        race_stop("spawn", "out of memory");
    }
    for (long i = 0; i < rounds; i++) {
        struct times t;

        empty[i] = run_program((char *[]){argv[2], NULL}).from_start;
        t = run_program((char *[]){argv[3], argv[4], NULL});
        whole[i] = t.from_start;
        inside[i] = t.from_main;
    }
    say_median("process_empty", empty, rounds);
    say_median("process_first", whole, rounds);
    say_median("main_first", inside, rounds);
    return 0;
}
