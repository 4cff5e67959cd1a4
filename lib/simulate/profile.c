#include "profile.h"

#include <stdlib.h>
#include <string.h>

/* With few retries in a minute their own rate says little: it begins as if so
 * many had met what first attempts met. */
enum { BELIEF = 5 };

/* ---- making ---- */

static void
times_free(struct profile_times *t)
{
    free(t->bucket);
    free(t->upto);
    *t = (struct profile_times){.count = 0};
}

static int
times_make(const uint64_t counts[HISTOGRAM_BUCKETS], struct profile_times *out)
{
    struct profile_times t = {.count = 0};
    uint64_t sum = 0;
    uint32_t some = 0;

    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        some += counts[i] > 0;
    }
    t.bucket = calloc(some + 1u, sizeof(*t.bucket));
    t.upto = calloc(some + 1u, sizeof(*t.upto));
    if (!t.bucket || !t.upto) {
        times_free(&t);
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
outcomes_make(const struct profile_counts *c, struct profile_period *out)
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
share(double part, double whole)
{
    double s = whole > 0 ? part / whole : 0;

    return s < 0 ? 0 : s > 1 ? 1 : s;
}

/* Of first attempts and of retries: those of a call that has failed once fail
 * more often.  Calls that succeeded at once are those that did not recover. */
static void
set_rates(const struct profile_counts *c, struct profile_period *out)
{
    double succeeded = (double)histogram_count(c->succeeded);
    double attempts = succeeded + (double)histogram_count(c->failed);
    double retries = (double)c->retries, recovered = (double)c->recovered;
    double first = attempts - retries;

    recovered = recovered < succeeded ? recovered : succeeded;
    recovered = recovered < retries ? recovered : retries;
    out->first_fails = 1 - share(succeeded - recovered, first);
    out->retry_fails = share(retries - recovered + BELIEF * out->first_fails,
                             retries + BELIEF);
}

static void
period_free(struct profile_period *p)
{
    times_free(&p->succeeded);
    times_free(&p->failed);
    free(p->outcome);
    p->outcome = NULL;
    p->outcome_count = 0;
}

static int
grow(struct profile *p)
{
    size_t room = p->room ? 2 * p->room : 64;
    struct profile_period *longer;

    if (p->count < p->room) {
        return 0;
    }
    longer = realloc(p->period, room * sizeof(*longer));
    if (!longer) {
        return BIDE_ENOMEM;
    }
    p->period = longer;
    p->room = room;
    return 0;
}

int
profile_add(struct profile *p, const struct profile_counts *c)
{
    struct profile_period made = {
        .begin_ns = c->begin_ns, .end_ns = c->end_ns, .calls = c->calls};
    uint64_t before = p->count ? p->period[p->count - 1].end_ns : 0;
    int rc = grow(p);

    if (!rc) {
        rc = times_make(c->succeeded, &made.succeeded);
    }
    if (!rc) {
        rc = times_make(c->failed, &made.failed);
    }
    if (!rc) {
        rc = outcomes_make(c, &made);
    }
    if (rc) {
        period_free(&made);
        return rc;
    }
    made.begin_ns = made.begin_ns > before ? made.begin_ns : before;
    made.end_ns = made.end_ns > made.begin_ns ? made.end_ns : made.begin_ns;
    set_rates(c, &made);
    p->period[p->count++] = made;
    return 0;
}

/* ---- what is not known ---- */

/* Copies, so that each period owns what it has. */
static bool
copy_times(const struct profile_times *from, struct profile_times *to)
{
    struct profile_times t = {.count = from->count};

    t.bucket = malloc((from->count + 1u) * sizeof(*t.bucket));
    t.upto = malloc((from->count + 1u) * sizeof(*t.upto));
    if (!t.bucket || !t.upto) {
        times_free(&t);
        return false;
    }
    memcpy(t.bucket, from->bucket, from->count * sizeof(*t.bucket));
    memcpy(t.upto, from->upto, from->count * sizeof(*t.upto));
    times_free(to);
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
is_known(const struct profile_period *p)
{
    return p->succeeded.count + p->failed.count > 0;
}

static bool
fill_from(const struct profile_period *from, struct profile_period *to)
{
    if (!is_known(to) && is_known(from)) {
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
        ok = fill_from(&p->period[i - 1], &p->period[i]);
    }
    for (size_t i = p->count; i > 1 && ok; i--) {
        ok = fill_from(&p->period[i - 1], &p->period[i - 2]);
    }
    return ok ? 0 : BIDE_ENOMEM;
}

void
profile_free(struct profile *p)
{
    for (size_t i = 0; i < p->count; i++) {
        period_free(&p->period[i]);
    }
    free(p->period);
    *p = (struct profile){.count = 0};
}

/* ---- drawing ---- */

/* Even within its bucket. */
static uint64_t
within(uint32_t bucket, double u)
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
    while (low + 1 < high) { /* the first whose sum is above `at` */
        uint32_t middle = low + (high - low - 1) / 2;

        if ((double)t->upto[middle] > at) {
            high = middle + 1;
        } else {
            low = middle + 1;
        }
    }
    before = low > 0 ? (double)t->upto[low - 1] : 0;
    at = (at - before) / ((double)t->upto[low] - before);
    return within(t->bucket[low], at < 1 ? at : 0);
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
