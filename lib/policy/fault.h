/* The list of everything that is found in a file: faults, for which it is
 * refused, and warnings, with which it is accepted.  Each has its place. */
#ifndef BIDE_POLICY_FAULT_H
#define BIDE_POLICY_FAULT_H

#include <stdbool.h>
#include <stddef.h>

struct fault {
    char *file; /* never NULL; "-" is standard input, "set" a command */
    int line;   /* 0: the whole file */
    char *what; /* "wait_initial = 100: a duration needs its unit" */
    char *hint; /* "did you mean 100ms?", or NULL */
    bool warning;
};

struct faults {
    size_t count, warnings; /* all of the list; the warnings in it */
    struct fault *list;
    bool out_of_memory; /* a fault was lost: faults_any() stays true */
};

/* Adds a fault, with `format` as for printf.  `hint` may be NULL.  Does nothing
 * if `faults` is NULL. */
void fault_add(struct faults *faults, const char *file, int line,
               const char *hint, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* The same for a warning, which faults_any() does not count. */
void warning_add(struct faults *faults, const char *file, int line,
                 const char *hint, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Returns the first fault that is no warning, NULL if there is none. */
const struct fault *faults_first(const struct faults *faults);

/* Sorts the faults from index `first` on by line. */
void faults_sort(struct faults *faults, size_t first);
bool faults_any(const struct faults *faults);
void faults_free(struct faults *faults); /* leaves the list empty */

#endif
