/* How long to wait before the next attempt.  Pure: all randomness comes from
 * the caller. */
#ifndef BIDE_RULE_WAIT_H
#define BIDE_RULE_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/rules.h"

/* The own wait of a policy before retry number `retry` (1 is the first after
 * the free ones), in ns, within [min_ns, max_ns].  `previous_ns` is the own
 * wait before the attempt that just failed, 0 if there was none; `throttled`:
 * it failed with "too fast"; `u` is the draw, 0..1, both ends allowed.
 *
 * Sources: exponential with full and equal jitter, and decorrelated, after
 * M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015;
 * the cut comes before the jitter, as in gRFC A6 and Tenacity. */
uint64_t wait_own_ns(const struct wait_rules *w, uint32_t retry,
                     uint64_t previous_ns, bool throttled, double u);

/* What the server asked for, applied to the own wait.  False: the call ends
 * (never, or longer than allowed).  `u` is a draw of its own for the spread. */
bool wait_with_hint(const struct hint_rules *h, struct bide_outcome o,
                    uint64_t own_ns, double u, uint64_t *out_ns);

#endif
