/* What one version of a policy changes about another, key by key. */
#ifndef BIDE_CLI_DIFFERENCE_H
#define BIDE_CLI_DIFFERENCE_H

#include <stddef.h>

#include "policy/policy.h"

struct admin;
struct record;

struct key;

struct difference {
    const struct key *key;
    const char *old, *now; /* own values; NULL: not set there */
};

/* Fills `out[policy_key_count]`, in the table's order; returns how many differ.
 * Either text may be NULL: as if it had no keys. */
size_t difference_of(const struct policy_text *old,
                     const struct policy_text *now, struct difference *out);

/* The value that holds where a text is silent about a key: "3 (default)",
 * "5 (base)" when `find` knows what it extends, else "(inherited)".
 * malloc'ed, NULL without memory. */
char *difference_silent(const struct policy_text *t, const struct key *key,
                        policy_find_fn *find, void *arg);

/* "attempts 4 -> 3, wait_initial 100ms -> 250ms", without looking at what they
 * extend; "" when they are the same.  malloc'ed, NULL without memory. */
char *difference_line(const struct policy_text *old,
                      const struct policy_text *now);

/* Writes what version `r` changed about what was in force: "created",
 * "deleted", or the differences; "" when only its end differs.  malloc'ed.
 * Returns 0 or a BIDE_E code. */
int difference_words(struct admin *registry, const struct record *r,
                     char **out);

#endif
