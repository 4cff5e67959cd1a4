/* How fast an agent tries again: full jitter and a budget, by bide's own rules.
 * A connection that lasted for a while begins again from the shortest wait. */
#ifndef BIDE_FLEET_PACE_H
#define BIDE_FLEET_PACE_H

#include <stdint.h>

#include "rule/guard.h"

struct policy;

struct pace {
    struct policy *policy;
    struct budget_words words;
    uint64_t began_ns; /* of the last try, CLOCK_MONOTONIC */
    uint32_t failures; /* in a row */
};

/* Prepares an agent's pace; pace_end() in any case.  BIDE_ENOMEM. */
int pace_begin(struct pace *p);
void pace_end(struct pace *p);
/* Notes that a try begins now. */
void pace_start(struct pace *p, uint64_t now_ns);
/* Returns the wait before the next try, after one that failed.  `u` is a random
 * number, 0 to 1. */
uint64_t pace_wait_ns(struct pace *p, uint64_t now_ns, double u);

#endif
