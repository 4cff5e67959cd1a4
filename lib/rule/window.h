/* Windows of time over totals that only grow, and the times in shared words. */
#ifndef BIDE_RULE_WINDOW_H
#define BIDE_RULE_WINDOW_H

#include "guard.h"

#define MASK(bits) ((1ull << (bits)) - 1)
#define MS 1000000ull
enum { AHEAD_MS = 1000 }; /* clocks of two cores differ by far less */

/* Returns the time from then_ms to now_ms.  Words keep 34 bits of it, 198 days.
 * A time slightly ahead counts as now, one further ahead as long past: it is
 * garbage, or older than 2^34 ms. */
static inline uint64_t
age_ms(uint64_t now_ms, uint64_t then_ms)
{
    uint64_t age = (now_ms - then_ms) & MASK(34);

    return age > MASK(34) - AHEAD_MS ? 0 : age;
}

static inline uint64_t
subtract_to_zero(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* Records commit `txn` in *word as the one whose rules are applied.  Returns
 * false if a newer one is recorded, so that older rules do not come back.  One
 * that is far ahead is garbage and is overwritten. */
bool commit_is_newest(_Atomic uint64_t *word, uint64_t txn);

/* Stores the totals at the beginning of a slice of time.  Must be called before
 * an event at `now_ns` is counted; `now` are the totals without that event. */
void window_turn(struct series *r, uint64_t window_ns, uint64_t now_ns,
                 const struct tally *now);

/* Returns the time at which window_turn must be called next. */
uint64_t window_next_ns(uint64_t window_ns, uint64_t now_ns);

/* Returns the counts within the window that ends at now_ns: `now` minus the
 * totals at the beginning of the window. */
struct tally window_since(const struct series *r, uint64_t window_ns,
                          uint64_t now_ns, const struct tally *now);

/* Sets the total of retries of every stored slice to `retries`: only later
 * retries count in any window. */
void window_forget_retries(struct series *r, uint64_t retries);

/* Takes a retry that was counted at granted_ns off the stored slices that begin
 * later. */
void window_return_retry(struct series *r, uint64_t granted_ns);

/* Subtracts 1 from a total, unless it is 0. */
void window_decrement(_Atomic uint64_t *total);

/* Discards every stored slice: the window is empty. */
void window_clear(struct series *r);

/* Stores the result of call number `call` in a window of calls. */
void window_keep_call(struct guard_rings *r, uint64_t call, bool failed,
                      bool slow);

/* Returns the counts of the last `count` calls before number `end`. */
struct tally window_of_calls(const struct guard_rings *r, uint64_t end,
                             uint64_t count);

/* Returns a minus b; a total that went backwards gives 0. */
struct tally tally_minus(const struct tally *a, const struct tally *b);

#endif
