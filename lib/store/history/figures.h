/* The call statistics of an interval, and their encoding in few bits.  Pure. */
#ifndef BIDE_STORE_FIGURES_H
#define BIDE_STORE_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "live/body.h"

enum {
    FIGURES_OUTCOMES = 64,     /* further outcomes are added to "other" */
    FIGURES_BYTES = 40 * 1024, /* the largest encoding */
};

/* Counters of the guard.  Columns: field, name. */
#define FIGURES_GUARD(X)                                             \
    X(opened, "breaker_opened")                                      \
    X(half_opened, "breaker_half_opened")                            \
    X(closed, "breaker_closed")                                      \
    X(turned, "breaker_turned") /* the sum of the three, a serial */ \
    X(budget_refused, "budget_refused")

struct figures_outcome {
    uint32_t id; /* of its name in the history; 0: "other" */
    uint64_t count;
};

struct figures {
    uint64_t counter[COUNTER_ROOM]; /* enum counter */
#define X(field, name) uint64_t field;
    FIGURES_GUARD(X)
#undef X
    uint64_t succeeded[HISTOGRAM_BUCKETS], failed[HISTOGRAM_BUCKETS];
    struct call_counts calls;
    uint32_t outcome_count;
    struct figures_outcome outcome[FIGURES_OUTCOMES];
};

/* Add to sums, which stop at UINT64_MAX: counts come from shared memory. */
void figures_add(struct figures *sum, const struct figures *f);
void figures_add_outcome(struct figures *f, uint32_t id, uint64_t count);

/* Returns the count of an outcome, 0 if there is none. */
uint64_t figures_outcome_count(const struct figures *f, uint32_t id);

/* Computes the counts between two readings.  A count that decreased, because a
 * process damaged it, gives 0. */
void figures_between(const struct figures *before, const struct figures *now,
                     struct figures *out);
/* Raises each count to at least the one in `before`. */
void figures_raise(struct figures *f, const struct figures *before);
/* Reports whether all counts are 0. */
bool figures_none(const struct figures *f);

/* Encodes figures in FIGURES_BYTES at most and returns the length.  Equal
 * figures give equal bytes. */
size_t figures_write(const struct figures *f, uint8_t *out);
/* Decodes figures; false: the bytes are damaged, and *out is undefined. */
bool figures_read(const uint8_t *bytes, size_t length, struct figures *out);

/* ---- sums ---- */

/* Return the calls that failed, all calls that ended, all attempts. */
uint64_t figures_failed(const struct figures *f);
uint64_t figures_calls(const struct figures *f);
uint64_t figures_attempts(const struct figures *f);
/* Returns the percentile `share` (0.95) of the latency of all attempts. */
uint64_t figures_at_ns(const struct figures *f, double share);

#endif
