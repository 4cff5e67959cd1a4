#include "profile.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/array.h"

/* A failure rate of few retries is not reliable.  So this number of retries is
 * added that fail at the rate of first attempts. */
enum { BELIEF = 5 };

static const struct profile_period no_period;

/* ---- making ---- */

static bool
make_times(const uint64_t counts[HISTOGRAM_BUCKETS], struct profile_times *out)
{
    uint64_t sum = 0;
    size_t used = 0;

    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        used += counts[i] > 0;
    }
    if (used == 0) {
        return true;
    }
    out->bucket = malloc(used * sizeof(*out->bucket));
    for (uint32_t i = 0; out->bucket && i < HISTOGRAM_BUCKETS; i++) {
        if (counts[i] > 0) {
            sum = counts[i] > UINT64_MAX - sum ? UINT64_MAX : sum + counts[i];
            out->bucket[out->count++] = (struct profile_bucket){i, sum};
        }
    }
    return out->bucket != NULL;
}

static bool
make_outcomes(const struct profile_counts *c, struct profile_period *out)
{
    uint64_t sum = 0;

    if (c->outcome_count == 0) {
        return true;
    }
    out->outcome = malloc(c->outcome_count * sizeof(*out->outcome));
    for (size_t i = 0; out->outcome && i < c->outcome_count; i++) {
        uint64_t count = c->outcome[i].count;

        sum = count > UINT64_MAX - sum ? UINT64_MAX : sum + count;
        out->outcome[out->outcome_count++] =
            (struct profile_outcome){c->outcome[i].outcome, sum};
    }
    return out->outcome != NULL;
}

static double
clamped_share(double part, double whole)
{
    double s = whole > 0 ? part / whole : 0;

    return s < 0 ? 0 : s > 1 ? 1 : s;
}

/* Sets separate failure rates of first attempts and of retries, because retries
 * fail more often.  Calls that succeeded and did not recover succeeded at their
 * first attempt. */
static void
set_rates(const struct profile_counts *c, struct profile_period *out)
{
    double succeeded = (double)histogram_count(c->succeeded);
    double attempts = succeeded + (double)histogram_count(c->failed);
    double retries = (double)c->retries, recovered = (double)c->recovered;
    double first = attempts - retries;

    recovered = recovered < succeeded ? recovered : succeeded;
    recovered = recovered < retries ? recovered : retries;
    out->first_fails = 1 - clamped_share(succeeded - recovered, first);
    out->retry_fails = clamped_share(
        retries - recovered + BELIEF * out->first_fails, retries + BELIEF);
}

/* Frees the lists of a period, except those that the one before has too. */
static void
free_period(struct profile_period *p, const struct profile_period *before)
{
    if (p->succeeded.bucket != before->succeeded.bucket) {
        free(p->succeeded.bucket);
    }
    if (p->failed.bucket != before->failed.bucket) {
        free(p->failed.bucket);
    }
    if (p->outcome != before->outcome) {
        free(p->outcome);
    }
}

int
profile_add(struct profile *p, const struct profile_counts *c)
{
    struct profile_period made = {
        .begin_ns = c->begin_ns, .end_ns = c->end_ns, .calls = c->calls};
    uint64_t before = p->count ? p->period[p->count - 1].end_ns : 0;
    struct profile_period *added = NULL;

    if (make_times(c->succeeded, &made.succeeded) &&
        make_times(c->failed, &made.failed) && make_outcomes(c, &made)) {
        added = array_add(&p->period, &p->count, sizeof(*added));
    }
    if (!added) {
        free_period(&made, &no_period);
        return BIDE_ENOMEM;
    }
    made.begin_ns = made.begin_ns > before ? made.begin_ns : before;
    made.end_ns = made.end_ns > made.begin_ns ? made.end_ns : made.begin_ns;
    set_rates(c, &made);
    *added = made;
    return 0;
}

/* ---- completing ---- */

static bool
has_attempts(const struct profile_period *p)
{
    return p->succeeded.count + p->failed.count > 0;
}

static void
fill_period(const struct profile_period *from, struct profile_period *to)
{
    if (!has_attempts(to) && has_attempts(from)) {
        to->first_fails = from->first_fails;
        to->retry_fails = from->retry_fails;
    }
    if (!to->succeeded.count) {
        to->succeeded = from->succeeded;
    }
    if (!to->failed.count) {
        to->failed = from->failed;
    }
    if (!to->outcome_count) {
        to->outcome = from->outcome;
        to->outcome_count = from->outcome_count;
    }
}

void
profile_fill(struct profile *p)
{
    for (size_t i = 1; i < p->count; i++) {
        fill_period(&p->period[i - 1], &p->period[i]);
    }
    for (size_t i = p->count; i > 1; i--) {
        fill_period(&p->period[i - 1], &p->period[i - 2]);
    }
}

void
profile_free(struct profile *p)
{
    for (size_t i = p->count; i > 0; i--) {
        free_period(&p->period[i - 1], i > 1 ? &p->period[i - 2] : &no_period);
    }
    free(p->period);
    *p = (struct profile){.count = 0};
}

/* ---- drawing ---- */

/* Returns a latency spread evenly over its bucket. */
static uint64_t
spread_in_bucket(uint32_t bucket, double u)
{
    uint64_t low = histogram_low_ns(bucket), high = histogram_high_ns(bucket);

    if (bucket == 0 || high == UINT64_MAX) {
        return histogram_middle_ns(bucket);
    }
    return low + (uint64_t)(u * (double)(high - low));
}

uint64_t
profile_time(const struct profile_times *t, double u)
{
    uint32_t low = 0, high = t->count;
    double at, before;

    if (t->count == 0) {
        return 0;
    }
    at = u * (double)t->bucket[t->count - 1].upto;
    while (low + 1 < high) { /* finds the first sum above `at` */
        uint32_t middle = low + (high - low - 1) / 2;

        if ((double)t->bucket[middle].upto > at) {
            high = middle + 1;
        } else {
            low = middle + 1;
        }
    }
    before = low > 0 ? (double)t->bucket[low - 1].upto : 0;
    at = (at - before) / ((double)t->bucket[low].upto - before);
    return spread_in_bucket(t->bucket[low].number, at < 1 ? at : 0);
}

struct bide_outcome
profile_outcome(const struct profile_period *p, double u,
                struct bide_outcome usual)
{
    double at;

    if (p->outcome_count == 0) {
        return usual;
    }
    at = u * (double)p->outcome[p->outcome_count - 1].count;
    for (uint32_t i = 0; i + 1 < p->outcome_count; i++) {
        if ((double)p->outcome[i].count > at) {
            return p->outcome[i].outcome;
        }
    }
    return p->outcome[p->outcome_count - 1].outcome;
}
