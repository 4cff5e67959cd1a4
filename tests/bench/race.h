/* Measuring several things against each other: in turn, round after round, so
 * that what else the machine does meanwhile meets all of them alike. */
#ifndef BENCH_RACE_H
#define BENCH_RACE_H

#include <stddef.h>
#include <stdint.h>

struct racer {
    const char *id;
    void (*run)(void *arg, long n); /* does it n times */
    void *arg;
    double divide; /* what it does at once; 0: one */
    double best;   /* ns for one; filled by race */
};

uint64_t race_now_ns(void);
/* Keeps the best of all rounds; then prints each as "ID NS". */
void race(struct racer *racers, size_t count, int rounds, long n);
void race_say(const char *id, double ns);
/* What must not fail did: says so and ends the program. */
void race_stop(const char *what, const char *why) __attribute__((noreturn));
long race_number(const char *text);
/* The lines of a file, with their number; lives until the program ends. */
char **race_lines(const char *path, long *out_count);

#endif
