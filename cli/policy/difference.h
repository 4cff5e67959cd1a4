/* The differences between two versions of a policy, key by key. */
#ifndef BIDE_CLI_DIFFERENCE_H
#define BIDE_CLI_DIFFERENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/policy.h"

struct admin;
struct record;

struct key;

struct difference {
    const struct key *key;
    const char *old, *now; /* own values; NULL: the text does not set the key */
};

/* Fills `out`, which needs policy_key_count elements, in the order of the
 * table.  Returns the number of keys that differ.  NULL is a text without keys.
 */
size_t difference_of(const struct policy_text *old,
                     const struct policy_text *now, struct difference *out);

/* Returns the value of a key that `t` does not set: "3 (default)"; "5 (base)"
 * if `find` finds the policy that `t` extends; else "(inherited)". malloc'ed;
 * NULL without memory. */
char *difference_silent(const struct policy_text *t, const struct key *key,
                        policy_find_fn *find, void *arg);

/* Returns the differences of the keys' own values, such as "attempts 4 -> 3,
 * wait_initial 100ms -> 250ms"; "" if there are none.  Inherited values are not
 * compared. malloc'ed; NULL without memory. */
char *difference_line(const struct policy_text *old,
                      const struct policy_text *now);

/* Reads the rules in force before version `r`: deleted ones if it is the first.
 * Returns 0 or a BIDE_E code. */
int difference_before(struct admin *registry, const struct record *r,
                      struct record *out);

/* Describes how version `r` changed the rules in force before it: "created",
 * "deleted", or the differences, then the layers that it ended or brought back.
 * "": only its end differs.  *out is malloc'ed.  Returns 0 or a BIDE_E code. */
int difference_words(const struct record *before, const struct record *r,
                     char **out);

/* diff.c: prints the keys and layers that differ below `title`, one per line;
 * the title `always`.  Returns 1; 0 if there are none; or a BIDE_E code. */
int difference_print(const char *title, const struct record *before,
                     const struct record *after, bool always);

#endif
