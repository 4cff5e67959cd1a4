/* A profile reproduces its counts.  A simulation of recorded traffic under the
 * same rules gives the same statistics. */
#include "unit/rule/compiled.h"

#include <math.h>

#include "simulate/profile.h"
#include "simulate/traffic_read.h"

#define MINUTE (60 * SECOND)

static struct profile_counts *
new_counts(uint64_t begin_ns, uint64_t end_ns)
{
    struct profile_counts *c = calloc(1, sizeof(*c));

    assert_non_null(c);
    c->begin_ns = begin_ns;
    c->end_ns = end_ns;
    return c;
}

static void
count_times(uint64_t *counts, uint64_t ns, uint64_t so_many)
{
    counts[histogram_bucket(ns)] += so_many;
}

/* ---- making a profile ---- */

static void
first_attempts_and_retries_have_separate_rates(void **state)
{
    struct profile_counts *c = new_counts(0, MINUTE);
    struct profile p = {.count = 0};

    (void)state;
    /* 200 of 1000 first attempts fail, and 150 of 200 retries. */
    count_times(c->succeeded, 10 * MS, 800 + 50);
    count_times(c->failed, 10 * MS, 200 + 150);
    c->calls = 1000;
    c->retries = 200;
    c->recovered = 50;
    assert_int_equal(profile_add(&p, c), 0);
    assert_true(fabs(p.period[0].first_fails - 0.2) < 1e-9);
    assert_true(fabs(p.period[0].retry_fails - 0.75) < 0.02);
    profile_free(&p);
    free(c);
}

static void
impossible_counts_still_give_rates(void **state)
{
    struct profile_counts *c = new_counts(0, MINUTE);
    struct profile p = {.count = 0};

    (void)state;
    count_times(c->succeeded, 10 * MS, 5);
    c->retries = UINT64_MAX;
    c->recovered = UINT64_MAX;
    c->calls = 5;
    assert_int_equal(profile_add(&p, c), 0);
    assert_true(p.period[0].first_fails >= 0 && p.period[0].first_fails <= 1);
    assert_true(p.period[0].retry_fails >= 0 && p.period[0].retry_fails <= 1);
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        c->succeeded[i] = UINT64_MAX;
    }
    assert_int_equal(profile_add(&p, c), 0);
    assert_true(profile_time(&p.period[1].succeeded, 0.999) < UINT64_MAX);
    profile_free(&p);
    free(c);
}

static void
latencies_are_drawn_as_counted(void **state)
{
    struct profile_counts *c = new_counts(0, MINUTE);
    struct profile p = {.count = 0};
    unsigned slow = 0, draws = 10000;

    (void)state;
    count_times(c->succeeded, 10 * MS, 90);
    count_times(c->succeeded, 900 * MS, 10);
    assert_int_equal(profile_add(&p, c), 0);
    for (unsigned i = 0; i < draws; i++) {
        uint64_t ns = profile_time(&p.period[0].succeeded, (double)i / draws);

        slow += ns > 500 * MS;
        assert_true(histogram_bucket(ns) == histogram_bucket(10 * MS) ||
                    histogram_bucket(ns) == histogram_bucket(900 * MS));
    }
    assert_int_equal(slow, draws / 10);
    assert_int_equal(profile_time(&p.period[0].failed, 0.5), 0);
    profile_free(&p);
    free(c);
}

static void
outcomes_are_drawn_as_counted(void **state)
{
    struct profile_outcome list[] = {{bide_http(503, NULL), 30},
                                     {bide_errno(111), 70}};
    struct profile_counts *c = new_counts(0, MINUTE);
    struct profile p = {.count = 0};
    unsigned http = 0;

    (void)state;
    c->outcome = list;
    c->outcome_count = 2;
    assert_int_equal(profile_add(&p, c), 0);
    for (unsigned i = 0; i < 100; i++) {
        http += profile_outcome(&p.period[0], i / 100.0, bide_ok()).domain ==
                BIDE_DOMAIN_HTTP;
    }
    assert_int_equal(http, 30);
    p.period[0].outcome_count = 0;
    assert_int_equal(
        profile_outcome(&p.period[0], 0.5, bide_http(500, NULL)).code, 500);
    profile_free(&p);
    free(c);
}

/* While a breaker was open there were no attempts: the period before is
 * copied. */
static void
unknown_periods_are_copied_from_the_one_before(void **state)
{
    struct profile_counts *known = new_counts(MINUTE, 2 * MINUTE);
    struct profile_counts *refused = new_counts(0, MINUTE);
    struct profile p = {.count = 0};

    (void)state;
    refused->calls = 40;
    assert_int_equal(profile_add(&p, refused), 0);
    count_times(known->succeeded, 10 * MS, 50);
    count_times(known->failed, 30 * MS, 50);
    known->calls = 100;
    assert_int_equal(profile_add(&p, known), 0);
    refused->begin_ns = 2 * MINUTE;
    refused->end_ns = 3 * MINUTE;
    assert_int_equal(profile_add(&p, refused), 0);
    profile_fill(&p);
    for (int i = 0; i < 3; i++) {
        assert_true(fabs(p.period[i].first_fails - 0.5) < 1e-9);
        assert_true(profile_time(&p.period[i].failed, 0.5) > 25 * MS);
    }
    assert_int_equal(p.period[0].calls, 40);
    profile_free(&p);
    free(known);
    free(refused);
}

static void
overlapping_periods_are_cut(void **state)
{
    static const uint64_t times[][2] = {
        {0, 10}, {5, 20}, {5, 20}, {3, 8}, {30, 40}};
    struct profile p = {.count = 0};

    (void)state;
    for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
        struct profile_counts *c =
            new_counts(times[i][0] * SECOND, times[i][1] * SECOND);

        assert_int_equal(profile_add(&p, c), 0);
        free(c);
    }
    for (size_t i = 0; i < p.count; i++) {
        assert_true(p.period[i].begin_ns <= p.period[i].end_ns);
        assert_true(i == 0 || p.period[i].begin_ns >= p.period[i - 1].end_ns);
    }
    profile_free(&p);
}

/* ---- recording and replaying ---- */

/* The rules, the failure rate of each minute, the resulting statistics, and the
 * profile recorded from them. */
struct world {
    const char *keys;
    double fail[30]; /* of attempts, by minute */
    struct traffic_report sum;
    struct profile profile;
};

static void
split_times(const struct traffic_times *took, struct profile_counts *c)
{
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        /* Failures take more than 100 ms, successes less. */
        uint64_t *to = histogram_low_ns(i) < 99 * MS ? c->succeeded : c->failed;

        to[i] += took->count[i];
    }
}

/* Simulates one minute; nearly all of its calls end within it. */
static void
simulate_minute(struct world *w, const struct policy *p, unsigned minute)
{
    struct traffic t = {.calls_per_s = 20,
                        .for_ns = MINUTE,
                        .seed = 1000 + minute,
                        .failure = bide_http(503, NULL),
                        .success_takes = {TRAFFIC_BETWEEN, 10 * MS, 80 * MS},
                        .failure_takes = {TRAFFIC_BETWEEN, 110 * MS, 300 * MS}};
    struct profile_outcome outcome = {bide_http(503, NULL), 0};
    struct profile_counts *c =
        new_counts(minute * MINUTE, (minute + 1) * MINUTE);
    struct traffic_report *r = calloc(1, sizeof(*r));
    const char *why;

    assert_non_null(r);
    t.fail[0] = (struct traffic_share){w->fail[minute], DURATION_NONE};
    assert_int_equal(traffic_run(p, &t, r, &why), 0);
    assert_int_equal(r->unfinished, 0);
    split_times(&r->took, c);
    c->calls = r->calls;
    c->retries = r->attempts - (r->calls - r->verdict[BIDE_REFUSED]);
    c->recovered = r->recovered;
    outcome.count = r->attempts_failed;
    c->outcome = &outcome;
    c->outcome_count = r->attempts_failed > 0;
    assert_int_equal(profile_add(&w->profile, c), 0);
    traffic_add(&w->sum, r);
    free(r);
    free(c);
}

static struct traffic_report *
replay(const struct world *w, const char *keys)
{
    struct traffic t = {.for_ns = 30 * MINUTE,
                        .seed = 1,
                        .failure = bide_http(503, NULL),
                        .profile = &w->profile};
    struct traffic_report *r = calloc(1, sizeof(*r));
    struct policy *p = compiled(keys);
    const char *why;

    assert_non_null(r);
    assert_int_equal(traffic_run(p, &t, r, &why), 0);
    policy_free(p);
    return r;
}

static void
assert_near(double got, double want, double by)
{
    if (fabs(got - want) > by * want + 3) {
        fail_msg("%g is not within %g of %g", got, by, want);
    }
}

static struct world *
record_world(const char *keys, const double *fail, unsigned parts)
{
    struct world *w = calloc(1, sizeof(*w));
    struct policy *p = compiled(keys);

    assert_non_null(w);
    w->keys = keys;
    for (unsigned i = 0; i < 30; i++) {
        w->fail[i] = fail[i * parts / 30];
        simulate_minute(w, p, i);
    }
    profile_fill(&w->profile);
    policy_free(p);
    return w;
}

static void
the_same_rules_reproduce_the_recorded_statistics(void **state)
{
    static const double quiet[] = {0.01}, outage[] = {0.01, 0.9, 0.05},
                        slope[] = {0, 0.2, 0.4, 0.6, 0.8, 1};
    static const struct {
        const double *fail;
        unsigned parts;
        const char *keys;
    } cases[] = {
        {quiet, 1, "attempts=4\nwait_initial=100ms\n"},
        {outage, 3, "attempts=4\nwait_initial=100ms\n"},
        {slope, 6, "attempts=3\nwait=none\n"},
        {outage, 3,
         "attempts=3\nwait=none\nbudget=own\n"
         "budget_kind=ratio\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct world *w =
            record_world(cases[i].keys, cases[i].fail, cases[i].parts);
        struct traffic_report *r = replay(w, cases[i].keys);

        assert_int_equal(r->calls, w->sum.calls);
        assert_near((double)r->attempts, (double)w->sum.attempts, 0.03);
        assert_near((double)r->attempts_failed, (double)w->sum.attempts_failed,
                    0.05);
        assert_near((double)r->verdict[BIDE_SUCCEEDED],
                    (double)w->sum.verdict[BIDE_SUCCEEDED], 0.02);
        assert_near((double)r->recovered, (double)w->sum.recovered, 0.1);
        for (double share = 0.5; share < 1; share += 0.09) {
            assert_near((double)traffic_at_ns(&r->took, share),
                        (double)traffic_at_ns(&w->sum.took, share), 0.06);
        }
        assert_near((double)traffic_at_ns(&r->answer, 0.95),
                    (double)traffic_at_ns(&w->sum.answer, 0.95), 0.15);
        profile_free(&w->profile);
        free(w);
        free(r);
    }
}

static void
other_rules_predict_their_own_statistics(void **state)
{
    static const double outage[] = {0.01, 0.5, 0.05};
    struct world *then = record_world("attempts=4\nwait=none\n", outage, 3);
    struct world *other = record_world("attempts=2\nwait=none\n", outage, 3);
    struct traffic_report *r = replay(then, other->keys);

    (void)state;
    assert_near((double)r->attempts, (double)other->sum.attempts, 0.03);
    assert_near((double)r->verdict[BIDE_EXHAUSTED],
                (double)other->sum.verdict[BIDE_EXHAUSTED], 0.08);
    profile_free(&then->profile);
    profile_free(&other->profile);
    free(then);
    free(other);
    free(r);
}

static void
the_same_seed_gives_the_same_report(void **state)
{
    static const double outage[] = {0.01, 0.5};
    struct world *w = record_world("attempts=3\n", outage, 2);
    struct traffic_report *a = replay(w, w->keys), *b = replay(w, w->keys);

    (void)state;
    assert_memory_equal(a, b, sizeof(*a));
    profile_free(&w->profile);
    free(w);
    free(a);
    free(b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_attempts_and_retries_have_separate_rates),
        cmocka_unit_test(impossible_counts_still_give_rates),
        cmocka_unit_test(latencies_are_drawn_as_counted),
        cmocka_unit_test(outcomes_are_drawn_as_counted),
        cmocka_unit_test(unknown_periods_are_copied_from_the_one_before),
        cmocka_unit_test(overlapping_periods_are_cut),
        cmocka_unit_test(the_same_rules_reproduce_the_recorded_statistics),
        cmocka_unit_test(other_rules_predict_their_own_statistics),
        cmocka_unit_test(the_same_seed_gives_the_same_report),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
