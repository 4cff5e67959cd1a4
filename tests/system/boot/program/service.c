/* A service: `service POLICY PAUSE_MS [FILE]` makes a call that succeeds, again
 * and again with a pause between them, until SIGTERM; SIGUSR1 ends a pause.
 * Adds the number of its calls to the file. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <bide.h>

static volatile sig_atomic_t ended;

static void
see_signal(int number)
{
    ended |= number == SIGTERM;
}

static struct bide_outcome
succeed(const struct bide_attempt *attempt, void *arg)
{
    (void)attempt;
    (void)arg;
    return bide_ok();
}

int
main(int argc, char **argv)
{
    struct sigaction seen = {.sa_handler = see_signal};
    struct bide *b = NULL;
    struct bide_policy *p;
    struct bide_call c;
    struct timespec pause;
    long calls = 0, ms = argc > 2 ? atol(argv[2]) : 0;
    FILE *f;

    sigaction(SIGTERM, &seen, NULL);
    sigaction(SIGUSR1, &seen, NULL);
    if (argc < 3 || bide_open(NULL, 0, &b) ||
        bide_lookup(b, argv[1], NULL, &p)) {
        return 1;
    }
    pause = (struct timespec){ms / 1000, ms % 1000 * 1000000};
    while (!ended) {
        bide_call_init(&c);
        bide_call_run(&c, p, succeed, NULL);
        calls++;
        nanosleep(&pause, NULL);
    }
    bide_close(b);
    f = argc > 3 ? fopen(argv[3], "a") : NULL;
    return f && (fprintf(f, "%ld\n", calls) < 0 || fclose(f)) ? 1 : 0;
}
