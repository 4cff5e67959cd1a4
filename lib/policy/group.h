/* Budgets, limits and rates that several policies share: all members of a group
 * must agree on its size. */
#ifndef BIDE_POLICY_GROUP_H
#define BIDE_POLICY_GROUP_H

#include <stdbool.h>
#include <stddef.h>

#include "policy.h"

enum { GROUP_VALUE = 40, GROUP_SIZE_KEYS = 8 };

/* What a group shares.  One name may be a group of each kind. */
enum group_kind { GROUP_BUDGET, GROUP_LIMIT, GROUP_RATE, GROUP_KINDS };

struct group_member {
    char name[BIDE_NAME_MAX + 1], group[BIDE_NAME_MAX + 1];
    enum group_kind kind;
    char value[GROUP_SIZE_KEYS][GROUP_VALUE]; /* of the keys of its size */
};

/* For each group the policy that joined first.  Starts zeroed. */
struct groups {
    struct group_member *first;
    size_t count;
};

struct group_conflict {
    const struct group_member *with; /* valid until the next groups_join */
    const char *key;
    char in_own[GROUP_VALUE], in_with[GROUP_VALUE];
};

/* Returns the word for what is shared, which is also the name of the key. */
const char *group_word(enum group_kind kind);

/* Returns the name of the group with which a policy shares its budget, limit or
 * rate; NULL: none. */
const char *group_of(const struct policy *p, enum group_kind kind);
/* Reports whether the policy is in a group of any kind. */
bool group_has(const struct policy *p);

/* Adds a policy to its groups.  BIDE_EINPUT: it disagrees with the first policy
 * of one, and `out` is filled.  Also fails with BIDE_ENOMEM. */
int groups_join(struct groups *g, const struct policy *p,
                struct group_conflict *out);
/* Returns the first policy of a group, NULL if none has joined. */
const struct group_member *groups_find(const struct groups *g,
                                       enum group_kind kind, const char *group);
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
