/* Budgets that several policies share: all must say the same of its size. */
#ifndef BIDE_POLICY_GROUP_H
#define BIDE_POLICY_GROUP_H

#include <stdbool.h>
#include <stddef.h>

#include "fault.h"
#include "rules.h"

enum { GROUP_VALUE = 40 };

struct group_member {
    char name[BIDE_NAME_MAX + 1];
    struct budget_rules budget;
};

/* Of each group the policy that was seen first.  Zeroed to begin with. */
struct groups {
    struct group_member *first;
    size_t count;
};

struct group_conflict {
    const struct group_member *with; /* until the next groups_join */
    const char *key;
    char in_with[GROUP_VALUE], in_own[GROUP_VALUE];
};

/* Whether it shares its budget with others. */
bool group_has(const struct policy *p);

/* 0; BIDE_EINPUT: it says otherwise than the first of its group, and `out` is
 * filled; BIDE_ENOMEM. */
int groups_join(struct groups *g, const struct policy *p,
                struct group_conflict *out);
void groups_free(struct groups *g);

/* Where a policy says something; line 0: not in a file. */
struct group_place {
    const char *file;
    int line;
};

/* Says so, with both places. */
void group_fault(struct faults *faults, const struct group_conflict *c,
                 const struct policy *p, struct group_place here,
                 struct group_place there);

#endif
