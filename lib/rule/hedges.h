/* The attempts of a call that run at the same time: one is the current one of
 * struct machine, the others are here.  machine_hedge starts another,
 * machine_pick makes another the current one. */
#ifndef BIDE_RULE_HEDGES_H
#define BIDE_RULE_HEDGES_H

#include <stdint.h>

#include "admit.h"

struct beside {
    uint64_t began_ns;
    struct admission has;
    uint32_t number; /* of the attempt in its call, from 1 */
};

/* Of one call, in the caller's memory. */
struct hedges {
    uint64_t after_ns; /* DURATION_NONE: none is started */
    uint64_t next_ns;  /* when to ask for the next one */
    uint32_t number;   /* of the current attempt */
    uint32_t first;    /* of the attempt that those with higher numbers hedge */
    uint32_t count;    /* of the others */
    struct beside other[HEDGES_MAX];
};

#endif
