/* The sections of a file, in order, and an index by name that tells a second
 * one at once, among 100,000 too. */
#ifndef BIDE_POLICY_SECTIONS_H
#define BIDE_POLICY_SECTIONS_H

#include "policy.h"

struct sections {
    struct policy_list list;
    size_t room;     /* of list.list */
    uint32_t *index; /* open-addressed; a place in the list plus 1 */
    size_t slots;    /* a power of two, at least twice the list */
};

/* Adds a section and gives its text, which stays the sections'.  BIDE_EEXIST:
 * there is one of that name (*first is its line); a text is given all the
 * same.  A NULL name: just a text.  BIDE_ENOMEM. */
int sections_add(struct sections *s, const char *name, int line,
                 struct policy_text **out, int *first);

/* Moves the list to `out`, or frees it when that is NULL. */
void sections_finish(struct sections *s, struct policy_list *out);

#endif
