/* Windows of time over totals that only grow. */
#ifndef BIDE_RULE_WINDOW_H
#define BIDE_RULE_WINDOW_H

#include "guard.h"

/* To be called before an event at `now_ns` is counted: keeps the totals with
 * which a slice of time begins.  `now` are the totals, without the event. */
void window_turn(struct series *r, uint64_t window_ns, uint64_t now_ns,
                 const struct tally *now);

/* When window_turn has something to do next. */
uint64_t window_next_ns(uint64_t window_ns, uint64_t now_ns);

/* What was counted within the window that ends now: `now` minus the totals at
 * its begin. */
struct tally window_since(const struct series *r, uint64_t window_ns,
                          uint64_t now_ns, const struct tally *now);

/* From here on, of retries only those above this total count. */
void window_forget_retries(struct series *r, uint64_t retries);

/* A window of calls: keeps what came of call number `call`; and what came of
 * the last `count` before number `end`. */
void window_keep_call(struct guard_rings *r, uint64_t call, bool failed,
                      bool slow);
struct tally window_of_calls(const struct guard_rings *r, uint64_t end,
                             uint64_t count);

/* a minus b; a total that went back counts as 0. */
struct tally tally_minus(const struct tally *a, const struct tally *b);

#endif
