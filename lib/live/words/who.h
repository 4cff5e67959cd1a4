/* Programs that use the live state, as operators find them. */
#ifndef BIDE_LIVE_WHO_H
#define BIDE_LIVE_WHO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct who {
    uint32_t pid;     /* 0: not known */
    bool elsewhere;   /* the pid is of another PID namespace */
    bool ended;       /* for sure: it is of our PID namespace */
    char program[16]; /* comm */
};

/* Writes the name of this program into shared memory. */
void who_write(_Atomic uint64_t program[2]);
/* Fills in what a program has written: the number of its process, the PID
 * namespace, and its name. */
void who_read(uint32_t pid, uint32_t space, const _Atomic uint64_t program[2],
              struct who *out);

/* Returns the words that follow its number: " in another container" ... */
const char *who_where(const struct who *w);

#endif
