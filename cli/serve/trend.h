/* Rates and latencies of each policy over the last ten minutes, all its scopes
 * together.  They are differences between readings of the live counters, so no
 * history has to be recorded.  No clock and no I/O. */
#ifndef BIDE_CLI_TREND_H
#define BIDE_CLI_TREND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct admin_cell;
struct bide_stats;

#define TREND_STEP_NS UINT64_C(10000000000)
enum {
    TREND_POINTS = 60, /* ten minutes */
    TREND_WINDOW = 6,  /* steps; percentiles cover one to two windows */
    TREND_MOST = 2000, /* policies; each takes 10 KiB */
};

struct trend_policy;

/* All 0: no reading yet. */
struct trend {
    size_t count, left_out;     /* policies; cells above TREND_MOST */
    struct trend_policy **list; /* by name */
    bool begun;                 /* the first reading is complete */
    size_t known;               /* number of known points, the newest ones */
    uint64_t now_ns, step_ns, step_before_ns, window_ns, window_before_ns;
    size_t window_steps; /* steps since window_ns */
};

void trend_free(struct trend *t);

/* One reading: trend_begin, trend_add for every cell, trend_end.  trend_add
 * returns 0 or BIDE_ENOMEM; after BIDE_ENOMEM trend_end must not be called.
 * `now_ns` is monotonic. */
void trend_begin(struct trend *t);
int trend_add(void *trend, const struct admin_cell *c);
void trend_end(struct trend *t, uint64_t now_ns);

/* Adds a recorded interval from before the first reading; call it after that
 * reading.  The interval began `begin_ago_ns` and ended `end_ago_ns` before the
 * reading. */
void trend_past(struct trend *t, const char *name, uint64_t begin_ago_ns,
                uint64_t end_ago_ns, const struct bide_stats *s);

/* One point of a policy's lines.  Rates are per second. */
struct trend_rates {
    float calls, retries, failed, refused; /* failed: with refused */
    float p95_ms;                          /* negative: no attempt succeeded */
};
struct trend_view {
    const char *name;
    struct trend_rates point[TREND_POINTS]; /* the oldest first */
    /* Rates over the last over_ns (one or two steps); 0: not known yet. */
    uint64_t over_ns;
    double calls, retries, failed, refused, rejected; /* failed: with refused */
    /* Succeeded attempts and their latency over the last window_ns (a minute
     * or two). */
    uint64_t window_ns;
    uint64_t window_succeeded;
    double p50_ms, p95_ms, p99_ms;
};
/* Fills `out` with policy `i`, in order of names; its name is valid as long as
 * `t`. */
void trend_get(const struct trend *t, size_t i, struct trend_view *out);

#endif
