/* Budget and breaker of one policy in memory of our own: those of a simulation,
 * as all calls of one host would share them.  Pure. */
#ifndef BIDE_RULE_VIRTUAL_H
#define BIDE_RULE_VIRTUAL_H

#include "policy/rules.h"
#include "rule/guard.h"

/* Stays where it is once begun: the guard points into it. */
struct virtual_guard {
    struct budget_words budget;
    struct breaker_words breaker;
    struct guard_rings rings;
    struct tally total;
    struct guard guard; /* what calls work with */
};

/* Full, closed, nothing counted. */
void virtual_begin(struct virtual_guard *v, const struct policy *p);

/* The rules have changed to these. */
void virtual_follow(struct virtual_guard *v, const struct policy *p);

#endif
