/* The budget, breaker and limits of a simulated policy, in private memory.  All
 * simulated calls share them, as all calls of a host would.  Pure. */
#ifndef BIDE_SIMULATE_VIRTUAL_H
#define BIDE_SIMULATE_VIRTUAL_H

#include "policy/rules.h"
#include "rule/guard.h"
#include "rule/limits.h"

/* Must not be moved after virtual_begin, because the guard points into it. */
struct virtual_guard {
    struct budget_words budget;
    struct breaker_words breaker;
    struct guard_rings rings;
    struct limits limits;
    struct tally breaker_total, budget_total;
    char group[BIDE_NAME_MAX + 1]; /* of the budget in `budget` */
    struct guard guard;            /* passed to the machine of each call */
};

/* Starts with a full budget, a closed breaker and all counts 0. */
void virtual_begin(struct virtual_guard *v, const struct policy *p);

/* Applies changed rules at now_ns. */
void virtual_follow(struct virtual_guard *v, const struct policy *p,
                    uint64_t now_ns);

#endif
