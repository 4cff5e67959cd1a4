#include "profile.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

/* A failure rate of few retries is not reliable.  So this number of retries is
 * added that fail at the rate of first attempts. */
enum { BELIEF = 5 };

/* ---- making ---- */

static void
free_times(struct profile_times *t)
{
    free(t->bucket);
    free(t->upto);
    *t = (struct profile_times){.count = 0};
}

static int
make_times(const uint64_t counts[HISTOGRAM_BUCKETS], struct profile_times *out)
{
    struct profile_times t = {.count = 0};
    uint64_t sum = 0;
    uint32_t used = 0;

    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        used += counts[i] > 0;
    }
    t.bucket = calloc(used + 1u, sizeof(*t.bucket));
    t.upto = calloc(used + 1u, sizeof(*t.upto));
    if (!t.bucket || !t.upto) {
        free_times(&t);
        return BIDE_ENOMEM;
    }
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (counts[i] > 0) {
            sum = counts[i] > UINT64_MAX - sum ? UINT64_MAX : sum + counts[i];
            t.bucket[t.count] = (uint16_t)i;
            t.upto[t.count++] = sum;
        }
    }
    *out = t;
    return 0;
}

static int
make_outcomes(const struct profile_counts *c, struct profile_period *out)
{
    uint64_t sum = 0;

    out->outcome = calloc(c->outcome_count + 1, sizeof(*out->outcome));
    if (!out->outcome) {
        return BIDE_ENOMEM;
    }
    for (size_t i = 0; i < c->outcome_count; i++) {
        uint64_t count = c->outcome[i].count;

        sum = count > UINT64_MAX - sum ? UINT64_MAX : sum + count;
        out->outcome[out->outcome_count++] =
            (struct profile_outcome){c->outcome[i].outcome, sum};
    }
    return 0;
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

static void
free_period(struct profile_period *p)
{
    free_times(&p->succeeded);
    free_times(&p->failed);
    free(p->outcome);
    p->outcome = NULL;
    p->outcome_count = 0;
}

static int
make_period(const struct profile_counts *c, struct profile_period *out)
{
    int rc = make_times(c->succeeded, &out->succeeded);

    if (!rc) {
        rc = make_times(c->failed, &out->failed);
    }
    return rc ? rc : make_outcomes(c, out);
}

int
profile_add(struct profile *p, const struct profile_counts *c)
{
    struct profile_period made = {
        .begin_ns = c->begin_ns, .end_ns = c->end_ns, .calls = c->calls};
    uint64_t before = p->count ? p->period[p->count - 1].end_ns : 0;
    struct profile_period *longer =
        array_more(p->period, p->count, sizeof(*longer));
    int rc;

    if (!longer) {
        return BIDE_ENOMEM;
    }
    p->period = longer;
    rc = make_period(c, &made);
    if (rc) {
        free_period(&made);
        return rc;
    }
    made.begin_ns = made.begin_ns > before ? made.begin_ns : before;
    made.end_ns = made.end_ns > made.begin_ns ? made.end_ns : made.begin_ns;
    set_rates(c, &made);
    p->period[p->count++] = made;
    return 0;
}

/* ---- completing ---- */

/* Copies the times, because each period owns its own. */
static bool
copy_times(const struct profile_times *from, struct profile_times *to)
{
    struct profile_times t = {.count = from->count};

    t.bucket = malloc((from->count + 1u) * sizeof(*t.bucket));
    t.upto = malloc((from->count + 1u) * sizeof(*t.upto));
    if (!t.bucket || !t.upto) {
        free_times(&t);
        return false;
    }
    memcpy(t.bucket, from->bucket, from->count * sizeof(*t.bucket));
    memcpy(t.upto, from->upto, from->count * sizeof(*t.upto));
    free_times(to);
    *to = t;
    return true;
}

static bool
copy_outcomes(const struct profile_period *from, struct profile_period *to)
{
    struct profile_outcome *list =
        malloc((from->outcome_count + 1u) * sizeof(*list));

    if (!list) {
        return false;
    }
    memcpy(list, from->outcome, from->outcome_count * sizeof(*list));
    free(to->outcome);
    to->outcome = list;
    to->outcome_count = from->outcome_count;
    return true;
}

static bool
has_attempts(const struct profile_period *p)
{
    return p->succeeded.count + p->failed.count > 0;
}

static bool
fill_period(const struct profile_period *from, struct profile_period *to)
{
    if (!has_attempts(to) && has_attempts(from)) {
        to->first_fails = from->first_fails;
        to->retry_fails = from->retry_fails;
    }
    return (to->succeeded.count ||
            copy_times(&from->succeeded, &to->succeeded)) &&
           (to->failed.count || copy_times(&from->failed, &to->failed)) &&
           (to->outcome_count || copy_outcomes(from, to));
}

int
profile_fill(struct profile *p)
{
    bool ok = true;

    for (size_t i = 1; i < p->count && ok; i++) {
        ok = fill_period(&p->period[i - 1], &p->period[i]);
    }
    for (size_t i = p->count; i > 1 && ok; i--) {
        ok = fill_period(&p->period[i - 1], &p->period[i - 2]);
    }
    return ok ? 0 : BIDE_ENOMEM;
}

void
profile_free(struct profile *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free_period(&p->period[i]);
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
    at = u * (double)t->upto[t->count - 1];
    while (low + 1 < high) { /* finds the first sum above `at` */
        uint32_t middle = low + (high - low - 1) / 2;

        if ((double)t->upto[middle] > at) {
            high = middle + 1;
        } else {
            low = middle + 1;
        }
    }
    before = low > 0 ? (double)t->upto[low - 1] : 0;
    at = (at - before) / ((double)t->upto[low] - before);
    return spread_in_bucket(t->bucket[low], at < 1 ? at : 0);
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
