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

/* Returns the policy's own wait (without a hint) before retry number `retry`,
 * in ns, within [min_ns, max_ns].  Retry 1 is the first one after the free
 * retries; retry 0 is a free one and waits 0.  `previous_ns` is the own wait
 * before the attempt that just failed, 0 if there was none.  `throttled`
 * selects the throttle bounds.  `u` is the draw, 0..1, both ends allowed. */
uint64_t wait_own_ns(const struct wait_rules *w, uint32_t retry,
                     uint64_t previous_ns, bool throttled, double u);

/* Applies the hint of the server, if any, to the policy's own wait and stores
 * the wait in *out_ns.  Returns false if the call must end: the hint is "never"
 * or longer than allowed.  `u` is a separate draw, 0..1, for the spread. */
bool wait_with_hint(const struct hint_rules *h, struct bide_outcome o,
                    uint64_t own_ns, double u, uint64_t *out_ns);

#endif
