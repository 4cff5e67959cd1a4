/* Budgets that several policies share: all must agree on its size. */
#ifndef BIDE_POLICY_GROUP_H
#define BIDE_POLICY_GROUP_H

#include <stdbool.h>
#include <stddef.h>

#include "policy.h"

enum { GROUP_VALUE = 40 };

struct group_member {
    char name[BIDE_NAME_MAX + 1];
    struct budget_rules budget;
};

/* For each group the policy that joined first.  Starts zeroed. */
struct groups {
    struct group_member *first;
    size_t count;
};

struct group_conflict {
    const struct group_member *with; /* valid until the next groups_join */
    const char *key;
    char in_with[GROUP_VALUE], in_own[GROUP_VALUE];
};

/* Reports whether the policy is in a group. */
bool group_has(const struct policy *p);

/* Adds a policy to its group.  BIDE_EINPUT: it disagrees with the first policy
 * of the group, and `out` is filled.  Also fails with BIDE_ENOMEM. */
int groups_join(struct groups *g, const struct policy *p,
                struct group_conflict *out);
/* Returns the first policy of a group, NULL if none has joined. */
const struct group_member *groups_find(const struct groups *g,
                                       const char *group);
void groups_free(struct groups *g);

/* Return a fault about the keys of a conflict, without a place or at the text
 * of one of the two policies. */
struct fault group_place(const struct group_conflict *c,
                         const struct policy_text *t, const char *file);

/* Adds the fault `here`, with words that name both policies and places. */
void group_fault(struct faults *faults, const struct group_conflict *c,
                 const struct policy *p, struct fault here,
                 const struct fault *there);

#endif
