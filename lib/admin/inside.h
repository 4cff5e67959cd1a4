/* Declarations shared by the files of this room. */
#ifndef BIDE_ADMIN_INSIDE_H
#define BIDE_ADMIN_INSIDE_H

#include <bide.h>
#include "policy/policy.h"
#include "record/past.h"

struct deferred;

struct admin {
    struct past past; /* its directory, reader, live state and history */
    struct deferred *deferred; /* NULL until it is needed */
    struct policy_list found;  /* that admin_find() has given out */
    void *compiled; /* a tree of tsearch(): policies by their keys, read.c */
    size_t compiled_count;
};

void admin_forget_compiled(struct admin *a); /* frees it; in read.c */

#endif
