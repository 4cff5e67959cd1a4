/* Functions on a policy's text for this folder only. */
#ifndef BIDE_POLICY_TEXT_H
#define BIDE_POLICY_TEXT_H

#include "policy.h"

/* Returns the key of that name; NULL, after it has added a fault, if there is
 * none. */
const struct key *policy_text_key(const char *name, const struct fault *at,
                                  struct faults *faults);

/* Returns the longest duration of a canonical value: "30s", "1s x3, 5s". */
uint64_t policy_longest_ns(const char *value);

/* Does the same as policy_text_set(), for a key that was found already.  `at`
 * has file, line and column of the value.  The column of a fault in one item of
 * a list is larger by the item's offset in `value`. */
int policy_text_put(struct policy_text *t, const struct key *key,
                    const char *value, const struct fault *at,
                    struct faults *faults);

struct text_entry {
    const struct key *key;
    const char *value; /* valid until the text changes */
    int line;
};

/* Iterates over the keys in the table's order.  *at is 0 at first.  Returns
 * false after the last one. */
bool policy_text_next(const struct policy_text *t, size_t *at,
                      struct text_entry *out);

/* Sets the line of the section in its file. */
void policy_text_set_line(struct policy_text *t, int line);

#endif
