/* What calls came to within a time, and how that looks in few bits.  Pure. */
#ifndef BIDE_STORE_FIGURES_H
#define BIDE_STORE_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "live/body.h"

enum {
    FIGURES_OUTCOMES = 64,     /* more of them are added up under no id */
    FIGURES_BYTES = 24 * 1024, /* never more when written */
};

/* Counts by the guard.  Columns: field, name. */
#define FIGURES_GUARD(X)                                              \
    X(opened, "breaker_opened")                                       \
    X(half_opened, "breaker_half_opened")                             \
    X(closed, "breaker_closed")                                       \
    X(turned, "breaker_turned") /* the three together, as a serial */ \
    X(budget_refused, "budget_refused")

struct figures_outcome {
    uint32_t id; /* a name of the history's; 0: "other" */
    uint64_t count;
};

struct figures {
    uint64_t counter[COUNTER_ROOM]; /* enum counter */
#define X(field, name) uint64_t field;
    FIGURES_GUARD(X)
#undef X
    uint64_t succeeded[HISTOGRAM_BUCKETS], failed[HISTOGRAM_BUCKETS];
    uint32_t outcome_count;
    struct figures_outcome outcome[FIGURES_OUTCOMES];
};

/* Sums stay at the highest number: counts come from shared memory. */
void figures_add(struct figures *sum, const struct figures *f);
void figures_add_outcome(struct figures *f, uint32_t id, uint64_t count);

/* What was counted between two readings.  What has become less (somebody wrote
 * garbage) counts as nothing. */
void figures_between(const struct figures *before, const struct figures *now,
                     struct figures *out);
bool figures_none(const struct figures *f);

/* Into FIGURES_BYTES; gives the length.  Equal figures give equal bytes. */
size_t figures_write(const struct figures *f, uint8_t *out);
/* false: these are no figures, and what is in `out` means nothing. */
bool figures_read(const uint8_t *bytes, size_t length, struct figures *out);

/* ---- the sums that people ask for ---- */

uint64_t figures_exhausted(const struct figures *f);
/* Calls that have ended, however. */
uint64_t figures_calls(const struct figures *f);
uint64_t figures_attempts(const struct figures *f);
/* Of all attempts, those that failed included. */
uint64_t figures_at_ns(const struct figures *f, double share);

#endif
