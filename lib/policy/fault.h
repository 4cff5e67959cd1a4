/* The list of everything that is wrong with a file: each fault with its place.
 */
#ifndef BIDE_POLICY_FAULT_H
#define BIDE_POLICY_FAULT_H

#include <stdbool.h>
#include <stddef.h>

struct fault {
    char *file; /* never NULL; "-" is standard input, "set" a command */
    int line;   /* 0: the whole file */
    char *what; /* "wait_initial = 100: a duration needs its unit" */
    char *hint; /* "did you mean 100ms?", or NULL */
};

struct faults {
    size_t count;
    struct fault *list;
    bool out_of_memory; /* a fault was lost: faults_any() stays true */
};

/* Adds a fault, with `format` as for printf.  `hint` may be NULL.  Does nothing
 * if `faults` is NULL. */
void fault_add(struct faults *faults, const char *file, int line,
               const char *hint, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Sorts the faults from index `first` on by line. */
void faults_sort(struct faults *faults, size_t first);
bool faults_any(const struct faults *faults);
void faults_free(struct faults *faults); /* leaves the list empty */

#endif
