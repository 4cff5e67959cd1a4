#include "trend.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "admin/live.h"
#include "base/array.h"
#include "live/counters.h"

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

struct trend_policy *
trend_find(const struct trend *t, const char *name)
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
        one->line[TREND_P95_MS][i] = -1;
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

void
trend_count(struct trend_reading *to, const struct bide_stats *s)
{
    to->count[TREND_CALLS] += counter_calls(s);
    to->count[TREND_RETRIES] += s->retries;
    to->count[TREND_FAILED] += counter_failed(s);
    to->count[TREND_REFUSED] += s->refused;
    to->succeeded += s->succeeded;
}

int
trend_add(void *trend, const struct admin_cell *c)
{
    struct trend *t = trend;
    struct trend_policy *one = trend_find(t, c->name);

    if (!one && t->count >= TREND_MOST) {
        t->left_out++;
        return 0;
    }
    one = one ? one : insert_policy(t, c->name);
    if (!one) {
        return BIDE_ENOMEM;
    }
    trend_count(&one->now, &c->stats);
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        one->now.histogram[i] += (uint32_t)c->succeeded[i];
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

/* Returns the 95th percentile of attempts that succeeded between two readings;
 * negative: there is none. */
static float
p95_between(const struct trend_reading *before, const struct trend_reading *now)
{
    uint64_t counts[HISTOGRAM_BUCKETS];

    if (now->succeeded == before->succeeded) {
        return -1;
    }
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        counts[i] = now->succeeded < before->succeeded
                        ? now->histogram[i]
                        : now->histogram[i] - before->histogram[i];
    }
    return (float)((double)histogram_at_ns(counts, 0.95) / 1e6);
}

/* ---- steps ---- */

/* Appends `steps` points.  If several steps have passed since the last reading,
 * all of them get the average rates. */
static void
add_points(struct trend_policy *one, size_t steps, uint64_t ns)
{
    size_t n = steps < TREND_POINTS ? steps : TREND_POINTS;

    assert(steps > 0);
    for (size_t k = 0; k < TREND_LINES; k++) {
        float *line = one->line[k];
        float value = k < TREND_RATES ? (float)rate_per_s(one->step.count[k],
                                                          one->now.count[k], ns)
                                      : p95_between(&one->step, &one->now);

        memmove(line, line + n, (TREND_POINTS - n) * sizeof(*line));
        for (size_t i = TREND_POINTS - n; i < TREND_POINTS; i++) {
            line[i] = value;
        }
    }
    one->step = one->now;
}

void
trend_end(struct trend *t, uint64_t now_ns)
{
    uint64_t passed = now_ns > t->step_ns ? now_ns - t->step_ns : 0;
    size_t steps = t->begun ? (size_t)(passed / TREND_STEP_NS) : 0;

    for (size_t i = 0; i < t->count; i++) {
        if (!t->begun) {
            t->list[i]->step = t->list[i]->now;
        } else if (steps > 0) {
            add_points(t->list[i], steps, passed);
        }
    }
    if (!t->begun || steps > 0) {
        t->step_ns = now_ns;
    }
    t->begun = true;
    t->known += steps;
    t->known = t->known < TREND_POINTS ? t->known : TREND_POINTS;
}
