/* Reads the counters and the recorded past for a trend. */
#include "trend.h"

#include "admin/live.h"
#include "admin/open.h"
#include "base/clock.h"
#include "live/counters.h"
#include "record/past.h"
#include "store/history/history.h"

/* Longer recorded intervals are too coarse for the trend. */
#define LONGEST_PAST_NS (15 * TREND_STEP_NS)

struct trend_start {
    struct trend *trend;
    uint64_t now_ns; /* wall clock of the first reading */
};

/* Adds the part of a recorded interval that each point covers. */
static int
add_recorded_interval(void *arg, const struct history_interval *i)
{
    const struct trend_start *b = arg;
    struct trend_policy *found = trend_find(b->trend, i->name);
    struct trend_reading part = {0};
    struct bide_stats s;

    if (!found || i->end_ns <= i->begin_ns ||
        i->end_ns - i->begin_ns > LONGEST_PAST_NS) {
        return 0;
    }
    past_figures(i->figures, i->version, &s);
    trend_count(&part, &s);
    for (uint64_t k = 0; k < TREND_POINTS; k++) {
        uint64_t end = b->now_ns - (TREND_POINTS - 1 - k) * TREND_STEP_NS;
        uint64_t from = end - TREND_STEP_NS;
        double share, per_s = 1e9 / (double)(i->end_ns - i->begin_ns);

        from = from > i->begin_ns ? from : i->begin_ns;
        end = end < i->end_ns ? end : i->end_ns;
        if (from < end) {
            float(*line)[TREND_POINTS] = found->line;

            share = (double)(end - from) / (double)TREND_STEP_NS * per_s;
            for (size_t rate = 0; rate < TREND_RATES; rate++) {
                line[rate][k] += (float)(share * (double)part.count[rate]);
            }
            line[TREND_P95_MS][k] =
                (float)((double)s.latency_succeeded.p95_ns / 1e6);
        }
    }
    return 0;
}

void
trend_finish(struct trend *t, struct admin *registry, uint64_t now_ns)
{
    struct history_range range = {.until_ns = UINT64_MAX, .minutes = true};
    struct trend_start start = {t, clock_realtime_ns()};
    struct history_known past;
    bool first = !t->begun;

    trend_end(t, now_ns);
    if (first && t->count > 0) {
        range.since_ns = start.now_ns - TREND_POINTS * TREND_STEP_NS;
        /* On failure, the trend begins now. */
        past_each_interval(admin_past(registry), &range, NULL,
                           add_recorded_interval, &start, &past);
    }
}
