/* The wait before the next attempt.  Pure: all randomness comes from the
 * caller.
 *
 * Sources: exponential with full and equal jitter, and decorrelated, follow
 * M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 * The wait is cut to max_ns before the jitter, as in gRFC A6 and Tenacity. */
#ifndef BIDE_RULE_WAIT_H
#define BIDE_RULE_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/rules.h"

/* The growth of the own waits of a call. */
struct growth {
    uint64_t previous_ns; /* own wait before the last retry that counts */
    uint32_t retries;     /* number of retries that count */
    bool free_used;       /* no free retries come before them */
    int32_t next;         /* enum hint_growth of the wait in progress */
};

/* Returns the policy's own wait (without a hint) before retry number `retry`,
 * in ns, within [min_ns, max_ns] (with MAX_OF_BASE, the jitter may exceed
 * max_ns).  Retry 1 is the first one after the free
 * retries; retry 0 is a free one and waits 0.  `previous_ns` is the own wait
 * before the attempt that just failed, 0 if there was none.  `throttled`
 * selects the throttle bounds.  `u` is the draw, 0..1, both ends allowed. */
uint64_t wait_own_ns(const struct wait_rules *w, uint32_t retry,
                     uint64_t previous_ns, bool throttled, double u);

/* Reports whether the outcome has a hint that the rules use. */
bool wait_follows_hint(const struct hint_rules *h, struct bide_outcome o);

/* Applies the hint of the server, if any, to the policy's own wait and stores
 * the wait in *out_ns; DURATION_NONE: too long for a number.  Returns false if
 * the call must end: the hint is "never" or longer than allowed.  `v` is a
 * separate draw, 0..1, for the spread. */
bool wait_with_hint(const struct policy *p, struct bide_outcome o,
                    uint64_t own_ns, double v, uint64_t *out_ns);

#endif
