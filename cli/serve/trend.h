/* The last minutes of each policy, all scopes together, as seen by whoever
 * looks every few seconds.  Counters only grow: a rate is the difference of two
 * readings, whether or not anything is recorded.  No clock and no I/O. */
#ifndef BIDE_CLI_TREND_H
#define BIDE_CLI_TREND_H

#include <stddef.h>
#include <stdint.h>

struct admin_cell;
struct bide_stats;

#define TREND_STEP_NS UINT64_C(10000000000)
enum {
    TREND_POINTS = 60, /* ten minutes */
    TREND_WINDOW = 6,  /* percentiles are of one to two times so many steps */
    TREND_MOST = 2000, /* policies; 10 KiB each */
};

struct trend;

struct trend *trend_new(void); /* NULL: no memory */
void trend_free(struct trend *t);

/* A reading: every cell between begin and end.  0 or BIDE_ENOMEM; then the
 * reading is not to be ended. */
void trend_begin(struct trend *t);
int trend_add(struct trend *t, const struct admin_cell *c);
void trend_end(struct trend *t, uint64_t now_ns);

/* After the first reading: what was recorded before it.  `ago` is how long
 * before that reading the interval began and ended. */
void trend_past(struct trend *t, const char *name, uint64_t begin_ago_ns,
                uint64_t end_ago_ns, const struct bide_stats *s);

/* How a policy does.  Rates are by the second. */
struct trend_rates {
    float calls, retries, given_up;
    float p95_ms; /* negative: no attempt succeeded */
};
struct trend_view {
    const char *name;
    struct trend_rates point[TREND_POINTS]; /* the oldest first */
    uint64_t over_ns; /* of the next: the last step or two; 0: not known yet */
    double calls, retries, given_up, refused;
    uint64_t window_ns;        /* of the next: the last minute or two */
    uint64_t window_succeeded; /* attempts */
    double p50_ms, p95_ms, p99_ms;
};
/* Points that are known; the others, before them, are none. */
size_t trend_known(const struct trend *t);
size_t trend_count(const struct trend *t);
size_t trend_left_out(const struct trend *t); /* more than TREND_MOST */
void trend_look(const struct trend *t, size_t i, struct trend_view *out);

#endif
