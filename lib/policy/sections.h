/* The sections of a file, in order, with an index by name: it finds a duplicate
 * fast even among 100,000 sections. */
#ifndef BIDE_POLICY_SECTIONS_H
#define BIDE_POLICY_SECTIONS_H

#include "policy.h"

struct sections {
    struct policy_list list;
    uint32_t *index; /* open addressing; position in the list + 1, 0: free */
    size_t slots;    /* a power of two, at least twice the list */
};

/* Adds a section and sets *out to its text, which `s` owns.  A section whose
 * name is NULL is not in the index.  BIDE_EEXIST: the name exists, *first is
 * the line of the first section; *out is set nevertheless.  Also fails with
 * BIDE_ENOMEM. */
int sections_add(struct sections *s, const char *name, int line,
                 struct policy_text **out, int *first);

/* Moves the list to `out`, or frees it if `out` is NULL. */
void sections_finish(struct sections *s, struct policy_list *out);

#endif
