/* Lines of each policy over the last ten minutes, all its scopes together. They
 * are differences between readings of the live counters, so no history has to
 * be recorded. */
#ifndef BIDE_CLI_TREND_H
#define BIDE_CLI_TREND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bide.h>
#include "rule/histogram.h"

struct admin;
struct admin_cell;

#define TREND_STEP_NS UINT64_C(10000000000)
enum {
    TREND_POINTS = 60, /* ten minutes */
    TREND_MOST = 2000, /* policies; each takes 6 KiB */
};

/* Rates per second; failed calls include refused ones. */
enum trend_line {
    TREND_CALLS,
    TREND_RETRIES,
    TREND_FAILED,
    TREND_REFUSED,
    TREND_RATES,
    TREND_P95_MS = TREND_RATES, /* negative: no attempt succeeded */
    TREND_LINES,
};

/* Totals at one time.  The histogram's counts are kept modulo 2^32, because
 * only differences between two readings are used. */
struct trend_reading {
    uint64_t count[TREND_RATES], succeeded;
    uint32_t histogram[HISTOGRAM_BUCKETS];
};

struct trend_policy {
    char name[BIDE_NAME_MAX + 1];
    float line[TREND_LINES][TREND_POINTS]; /* the oldest first */
    struct trend_reading now, step;        /* step: when the last one ended */
};

/* All 0: no reading yet. */
struct trend {
    size_t count, left_out;     /* policies; cells above TREND_MOST */
    struct trend_policy **list; /* by name */
    bool begun;                 /* the first reading is complete */
    size_t known;               /* number of known points, the newest ones */
    uint64_t step_ns;           /* when the last step ended */
};

void trend_free(struct trend *t);

/* Returns the policy of this name; NULL if there is none. */
struct trend_policy *trend_find(const struct trend *t, const char *name);

/* Adds the counts of calls that rates are made of to `to`. */
void trend_count(struct trend_reading *to, const struct bide_stats *s);

/* One reading: trend_begin, trend_add for every cell, trend_end.  trend_add
 * returns 0 or BIDE_ENOMEM; after BIDE_ENOMEM trend_end must not be called.
 * `now_ns` is monotonic. */
void trend_begin(struct trend *t);
int trend_add(void *trend, const struct admin_cell *c);
void trend_end(struct trend *t, uint64_t now_ns);
/* As trend_end; at the first time, also reads the recorded past. */
void trend_finish(struct trend *t, struct admin *registry, uint64_t now_ns);

#endif
