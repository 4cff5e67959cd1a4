#include "trend.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include "admin/live.h"
#include "base/array.h"
#include "live/counters.h"
#include "rule/histogram.h"

/* Totals at one time.  The histogram's counts are kept modulo 2^32, because
 * only differences between two readings are used. */
struct reading {
    uint64_t calls, retries, failed, refused, rejected, succeeded;
    uint32_t histogram[HISTOGRAM_BUCKETS];
};

struct trend_policy {
    char name[BIDE_NAME_MAX + 1];
    struct trend_rates point[TREND_POINTS];
    struct reading now;
    struct reading step, step_before; /* when the last two steps ended */
    struct reading window, window_before;
};

void
trend_free(struct trend *t)
{
    for (size_t i = 0; i < t->count; i++) {
        free(t->list[i]);
    }
    free(t->list);
}

/* ---- one reading ---- */

/* Returns the index of `name`, or the index at which to insert it. */
static size_t
find_name_place(const struct trend *t, const char *name)
{
    size_t low = 0, high = t->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (strcmp(t->list[middle]->name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct trend_policy *
find_trend_policy(const struct trend *t, const char *name)
{
    size_t at = find_name_place(t, name);

    return at < t->count && strcmp(t->list[at]->name, name) == 0 ? t->list[at]
                                                                 : NULL;
}

static struct trend_policy *
insert_policy(struct trend *t, const char *name)
{
    struct trend_policy *one = calloc(1, sizeof(*one)), **added;
    size_t at = find_name_place(t, name);

    added = one ? array_add(&t->list, &t->count, sizeof(*t->list)) : NULL;
    if (!added) {
        free(one);
        return NULL;
    }
    memcpy(one->name, name, strnlen(name, BIDE_NAME_MAX));
    for (size_t i = 0; i < TREND_POINTS; i++) {
        one->point[i].p95_ms = -1;
    }
    memmove(&t->list[at + 1], &t->list[at],
            (size_t)(added - &t->list[at]) * sizeof(struct trend_policy *));
    t->list[at] = one;
    return one;
}

void
trend_begin(struct trend *t)
{
    t->left_out = 0;
    for (size_t i = 0; i < t->count; i++) {
        memset(&t->list[i]->now, 0, sizeof(t->list[i]->now));
    }
}

int
trend_add(void *trend, const struct admin_cell *c)
{
    struct trend *t = trend;
    struct trend_policy *one = find_trend_policy(t, c->name);
    struct reading *r;

    if (!one && t->count >= TREND_MOST) {
        t->left_out++;
        return 0;
    }
    one = one ? one : insert_policy(t, c->name);
    if (!one) {
        return BIDE_ENOMEM;
    }
    r = &one->now;
    r->calls += counter_calls(&c->stats);
    r->retries += c->stats.retries;
    r->failed += c->stats.exhausted + c->stats.refused;
    r->refused += c->stats.refused;
    r->rejected += c->stats.rejected;
    r->succeeded += c->stats.succeeded;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        r->histogram[i] += (uint32_t)c->succeeded[i];
    }
    return 0;
}

/* ---- differences ---- */

/* Returns how much a counter grew.  If it is less than before, counting began
 * again at 0 in a new live file. */
static uint64_t
counted_between(uint64_t before, uint64_t now)
{
    return now >= before ? now - before : now;
}

static double
rate_per_s(uint64_t before, uint64_t now, uint64_t ns)
{
    return ns > 0 ? (double)counted_between(before, now) * 1e9 / (double)ns : 0;
}

/* Fills `out` with the latencies of attempts that succeeded between two
 * readings.  Returns how many there are. */
static uint64_t
histogram_between(const struct reading *before, const struct reading *now,
                  uint64_t out[HISTOGRAM_BUCKETS])
{
    bool anew = now->succeeded < before->succeeded;

    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint32_t n =
            anew ? now->histogram[i] : now->histogram[i] - before->histogram[i];

        out[i] = n;
    }
    return histogram_count(out);
}

static double
percentile_ms(const uint64_t counts[HISTOGRAM_BUCKETS], double share)
{
    return (double)histogram_at_ns(counts, share) / 1e6;
}

/* ---- steps ---- */

/* Appends `steps` points.  If several steps have passed since the last reading,
 * all of them get the average rates. */
static void
add_points(struct trend_policy *one, size_t steps, uint64_t ns)
{
    size_t n = steps < TREND_POINTS ? steps : TREND_POINTS;
    uint64_t histogram[HISTOGRAM_BUCKETS];
    struct trend_rates rates = {
        .calls = (float)rate_per_s(one->step.calls, one->now.calls, ns),
        .retries = (float)rate_per_s(one->step.retries, one->now.retries, ns),
        .failed = (float)rate_per_s(one->step.failed, one->now.failed, ns),
        .refused = (float)rate_per_s(one->step.refused, one->now.refused, ns),
        .p95_ms = -1,
    };

    assert(steps > 0);
    if (one->now.succeeded != one->step.succeeded &&
        histogram_between(&one->step, &one->now, histogram) > 0) {
        rates.p95_ms = (float)percentile_ms(histogram, 0.95);
    }
    memmove(one->point, one->point + n,
            (TREND_POINTS - n) * sizeof(*one->point));
    for (size_t i = TREND_POINTS - n; i < TREND_POINTS; i++) {
        one->point[i] = rates;
    }
}

static void
keep_first_reading(struct trend *t, uint64_t now_ns)
{
    t->begun = true;
    t->step_ns = t->step_before_ns = now_ns;
    t->window_ns = t->window_before_ns = now_ns;
    for (size_t i = 0; i < t->count; i++) {
        struct trend_policy *one = t->list[i];

        one->step = one->step_before = one->now;
        one->window = one->window_before = one->now;
    }
}

static void
end_step(struct trend *t, size_t steps)
{
    uint64_t ns = t->now_ns - t->step_ns;
    bool turn = t->window_steps + steps >= TREND_WINDOW;

    for (size_t i = 0; i < t->count; i++) {
        struct trend_policy *one = t->list[i];

        add_points(one, steps, ns);
        one->step_before = one->step;
        one->step = one->now;
        if (turn) {
            one->window_before = one->window;
            one->window = one->now;
        }
    }
    t->step_before_ns = t->step_ns;
    t->step_ns = t->now_ns;
    t->window_steps += steps;
    if (turn) {
        t->window_before_ns = t->window_ns;
        t->window_ns = t->now_ns;
        t->window_steps = 0;
    }
    t->known += steps;
    t->known = t->known < TREND_POINTS ? t->known : TREND_POINTS;
}

void
trend_end(struct trend *t, uint64_t now_ns)
{
    uint64_t passed = now_ns > t->step_ns ? now_ns - t->step_ns : 0;

    t->now_ns = now_ns > t->now_ns ? now_ns : t->now_ns;
    if (!t->begun) {
        keep_first_reading(t, now_ns);
    } else if (passed >= TREND_STEP_NS) {
        end_step(t, (size_t)(passed / TREND_STEP_NS));
    }
}

/* ---- recorded history ---- */

/* Returns the share (0 to 1) of a point that an interval covers. */
static double
covered_share(size_t point, uint64_t begin_ago_ns, uint64_t end_ago_ns)
{
    uint64_t until = (TREND_POINTS - 1 - point) * TREND_STEP_NS;
    uint64_t from = until + TREND_STEP_NS; /* times before the first reading */

    from = from < begin_ago_ns ? from : begin_ago_ns;
    until = until > end_ago_ns ? until : end_ago_ns;
    return from > until ? (double)(from - until) / (double)TREND_STEP_NS : 0;
}

void
trend_past(struct trend *t, const char *name, uint64_t begin_ago_ns,
           uint64_t end_ago_ns, const struct bide_stats *s)
{
    struct trend_policy *one = find_trend_policy(t, name);
    uint64_t ns = begin_ago_ns - end_ago_ns;

    if (!one || begin_ago_ns <= end_ago_ns) {
        return;
    }
    for (size_t i = 0; i < TREND_POINTS; i++) {
        float share = (float)covered_share(i, begin_ago_ns, end_ago_ns);
        struct trend_rates *p = &one->point[i];
        float p95 = (float)((double)s->latency_succeeded.p95_ns / 1e6);

        if (share <= 0) {
            continue;
        }
        p->calls += share * (float)rate_per_s(0, counter_calls(s), ns);
        p->retries += share * (float)rate_per_s(0, s->retries, ns);
        p->failed +=
            share * (float)rate_per_s(0, s->exhausted + s->refused, ns);
        p->refused += share * (float)rate_per_s(0, s->refused, ns);
        if (s->latency_succeeded.count > 0 && p95 > p->p95_ms) {
            p->p95_ms = p95;
        }
        t->known = TREND_POINTS - i > t->known ? TREND_POINTS - i : t->known;
    }
}

/* ---- results ---- */

void
trend_get(const struct trend *t, size_t i, struct trend_view *out)
{
    const struct trend_policy *one = t->list[i];
    const struct reading *before = &one->step_before;
    uint64_t over = t->now_ns - t->step_before_ns;
    uint64_t histogram[HISTOGRAM_BUCKETS];

    *out = (struct trend_view){
        .name = one->name,
        .over_ns = over,
        .calls = rate_per_s(before->calls, one->now.calls, over),
        .retries = rate_per_s(before->retries, one->now.retries, over),
        .failed = rate_per_s(before->failed, one->now.failed, over),
        .refused = rate_per_s(before->refused, one->now.refused, over),
        .rejected = rate_per_s(before->rejected, one->now.rejected, over),
        .window_ns = t->now_ns - t->window_before_ns,
    };
    memcpy(out->point, one->point, sizeof(out->point));
    out->window_succeeded =
        histogram_between(&one->window_before, &one->now, histogram);
    if (out->window_succeeded > 0) {
        out->p50_ms = percentile_ms(histogram, 0.50);
        out->p95_ms = percentile_ms(histogram, 0.95);
        out->p99_ms = percentile_ms(histogram, 0.99);
    }
}
