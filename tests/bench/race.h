/* Compares the speed of functions.  They run in turn, round after round, so
 * that other load on the machine affects all of them alike. */
#ifndef BENCH_RACE_H
#define BENCH_RACE_H

#include <stddef.h>
#include <stdint.h>

struct racer {
    const char *id;
    void (*run)(void *arg, long n); /* does the operation n times */
    void *arg;
    double divide; /* its time is divided by this number; 0: by 1 */
    double best;   /* ns per operation, set by race() */
};

/* Returns the time of CLOCK_MONOTONIC in ns. */
uint64_t race_now_ns(void);

/* Runs all racers in turn, `rounds` times, and prints the best round of each.
 */
void race(struct racer *racers, size_t count, int rounds, long n);

/* Prints a result as "ID NS". */
void race_say(const char *id, double ns);

/* Prints "WHAT: WHY" to standard error and ends the program with status 1. */
void race_stop(const char *what, const char *why) __attribute__((noreturn));

/* Returns the number in `text`; ends the program if it is not above 0. */
long race_number(const char *text);

/* Returns the lines of a file, which are never freed, and their number. */
char **race_lines(const char *path, long *out_count);

#endif
