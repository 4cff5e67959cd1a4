#include "race.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t
race_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void
race_say(const char *id, double ns)
{
    printf("%s %.2f\n", id, ns);
    fflush(stdout);
}

void
race_stop(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

long
race_number(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);

    if (*end || end == text || n < 1) {
        race_stop(text, "not a number above 0");
    }
    return n;
}

static void
run_round(struct racer *r, long n)
{
    uint64_t begin = race_now_ns();
    double ns;

    r->run(r->arg, n);
    ns = (double)(race_now_ns() - begin) / (double)n;
    ns /= r->divide > 0 ? r->divide : 1;
    if (r->best <= 0 || ns < r->best) {
        r->best = ns;
    }
}

void
race(struct racer *racers, size_t count, int rounds, long n)
{
    for (int round = 0; round < rounds; round++) {
        for (size_t i = 0; i < count; i++) {
            run_round(&racers[i], n);
        }
    }
    for (size_t i = 0; i < count; i++) {
        race_say(racers[i].id, racers[i].best);
    }
}

char **
race_lines(const char *path, long *out_count)
{
    FILE *f = fopen(path, "r");
    char **lines = NULL, *line = NULL;
    size_t size = 0;
    ssize_t length;
    long n = 0;

    if (!f) {
        race_stop(path, strerror(errno));
    }
    while ((length = getline(&line, &size, f)) > 0) {
        if ((n & (n - 1)) == 0) {
            lines = realloc(lines, (size_t)(n ? 2 * n : 1) * sizeof(*lines));
        }
        line[strcspn(line, "\n")] = '\0';
        if (!lines || !(lines[n++] = strdup(line))) {
            race_stop(path, "out of memory");
        }
    }
    free(line);
    fclose(f);
    *out_count = n;
    return lines;
}
