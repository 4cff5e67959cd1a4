/* What the reader and the resolver see of a policy's text beyond policy.h. */
#ifndef BIDE_POLICY_TEXT_H
#define BIDE_POLICY_TEXT_H

#include "policy.h"

/* policy_text_set for a key that is known. */
int policy_text_put(struct policy_text *t, const struct key *key,
                    const char *value, const char *file, int line,
                    struct faults *faults);

struct text_entry {
    const struct key *key;
    const char *value; /* valid until the text changes */
    int line;
};

/* The own keys in the table's order; `at` begins at 0.  False: no more. */
bool policy_text_next(const struct policy_text *t, size_t *at,
                      struct text_entry *out);

/* The line of a section. */
void policy_text_place(struct policy_text *t, int line);

#endif
