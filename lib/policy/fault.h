/* The list of everything that is found in a file: faults, for which it is
 * refused, and warnings, with which it is accepted.  Each has its place. */
#ifndef BIDE_POLICY_FAULT_H
#define BIDE_POLICY_FAULT_H

#include <stdbool.h>
#include <stddef.h>

struct key;

/* The rules that a fault can break, by names that do not change.  bide(1) says
 * what each means. */
#define FAULT_RULES(X)            \
    X(FILE, "file")               \
    X(SYNTAX, "syntax")           \
    X(LENGTH, "length")           \
    X(NAME, "name")               \
    X(UNKNOWN_KEY, "unknown-key") \
    X(DUPLICATE, "duplicate")     \
    X(VALUE, "value")             \
    X(EXTENDS, "extends")         \
    X(CONFLICT, "conflict")       \
    X(GROUP, "group")             \
    X(TEMPORARY, "temporary")     \
    X(SCRIPT, "script")           \
    X(MORE, "more")

enum fault_rule {
#define X(id, name) FAULT_##id,
    FAULT_RULES(X)
#undef X
};

/* Texts that do not apply are NULL, numbers 0. */
struct fault {
    const char *file; /* never NULL; "-" is standard input, "set" a command */
    int line;         /* 0: the whole file */
    int column;       /* of the key or value that is wrong, in bytes from 1 */
    enum fault_rule rule;
    const struct key *key, *other; /* what it is about */
    const char *meant;             /* to be written instead: "100ms" */
    const char *hint; /* what to do; made from `meant`: "did you mean 100ms?" */
    const char *what; /* "wait_initial = 100: a duration needs its unit" */
    bool warning;
};

struct faults {
    size_t count, warnings; /* all of the list; the warnings in it */
    struct fault *list;     /* owns its texts */
    bool out_of_memory;     /* a fault was lost: faults_any() stays true */
};

/* Adds a copy of `f`, whose `what` is written as by printf.  faults_any() does
 * not count warnings.  Does nothing if `faults` is NULL. */
void fault_add(struct faults *faults, const struct fault *f, const char *format,
               ...) __attribute__((format(printf, 3, 4)));

const char *fault_rule_name(enum fault_rule rule);

/* Returns the first fault that is no warning, NULL if there is none. */
const struct fault *faults_first(const struct faults *faults);

/* Sorts the faults from index `first` on by line. */
void faults_sort(struct faults *faults, size_t first);
bool faults_any(const struct faults *faults);
void faults_free(struct faults *faults); /* leaves the list empty */

#endif
