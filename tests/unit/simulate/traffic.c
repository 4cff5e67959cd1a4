#include "unit/rule/compiled.h"

#include "simulate/traffic_read.h"

/* Returns 100 calls per second for 10 s, whose attempts take 10 ms. */
static struct traffic
make_traffic(const char *fail)
{
    struct traffic t = {
        .calls_per_s = 100,
        .even = true,
        .for_ns = 10 * SECOND,
        .seed = 1,
        .failure = bide_http(503, NULL),
        .success_takes = {.ns = 10 * MS},
        .failure_takes = {.ns = 10 * MS},
    };
    char why[TRAFFIC_WHY];

    assert_int_equal(traffic_read_fail(fail, &t, why), 0);
    return t;
}

/* Checks that each call ended once and is in the sums. */
static void
check_sums(const struct traffic_report *r)
{
    struct traffic_slice all = {0};
    uint64_t ended = 0, exhausted = 0;

    for (int i = 0; i < TRAFFIC_VERDICTS; i++) {
        ended += r->verdict[i];
    }
    for (int i = 0; i < TRAFFIC_REASONS; i++) {
        exhausted += r->exhausted[i];
    }
    for (int i = 0; i < TRAFFIC_SLICES_ALL; i++) {
        all.calls += r->slice[i].calls;
        all.attempts += r->slice[i].attempts;
        all.succeeded += r->slice[i].succeeded;
        all.failed += r->slice[i].failed;
        all.refused += r->slice[i].refused;
        all.retries_refused += r->slice[i].retries_refused;
    }
    assert_int_equal(ended + r->unfinished, r->calls);
    assert_int_equal(exhausted, r->verdict[BIDE_EXHAUSTED]);
    assert_int_equal(histogram_count(r->answer.count), ended);
    assert_int_equal(all.calls, r->calls);
    assert_int_equal(all.attempts, r->attempts);
    assert_int_equal(all.succeeded, r->verdict[BIDE_SUCCEEDED]);
    assert_int_equal(all.failed, exhausted + r->verdict[BIDE_REFUSED]);
    assert_int_equal(all.refused, r->verdict[BIDE_REFUSED]);
    assert_int_equal(all.retries_refused, r->retries_refused);
}

static struct traffic_report
run_traffic(const char *keys, const struct traffic *t)
{
    struct policy *p = compiled(keys);
    struct traffic_report r;
    const char *why = NULL;

    memset(&r, 0x5a, sizeof(r));
    assert_int_equal(traffic_run(p, t, &r, &why), 0);
    policy_free(p);
    check_sums(&r);
    return r;
}

static void
without_failures_each_call_is_one_attempt(void **state)
{
    struct traffic t = make_traffic("0%");
    struct traffic_report r = run_traffic("attempts=3", &t);

    (void)state;
    assert_int_equal(r.calls, 1000);
    assert_int_equal(r.attempts, 1000);
    assert_int_equal(r.verdict[BIDE_SUCCEEDED], 1000);
    assert_int_equal(r.recovered, 0);
    assert_int_equal(traffic_at_ns(&r.answer, 0.5), 10 * MS);
    assert_int_equal(traffic_at_ns(&r.answer, 0.99), 10 * MS);
}

static void
when_all_fails_every_call_makes_all_its_attempts(void **state)
{
    struct traffic t = make_traffic("100%");
    struct traffic_report r = run_traffic(
        "attempts=3\nwait=fixed\nwait_initial=100ms\nwait_jitter=none", &t);

    (void)state;
    assert_int_equal(r.attempts, 3000);
    assert_int_equal(r.attempts_failed, 3000);
    assert_int_equal(r.exhausted[BIDE_BY_ATTEMPTS], 1000);
    assert_int_equal(traffic_at_ns(&r.answer, 0.5), 230 * MS);
    assert_int_equal(r.retries_refused, 0);
    assert_int_equal(r.unfinished, 0);
}

static void
an_outcome_that_is_not_retried_is_rejected_at_once(void **state)
{
    struct traffic t = make_traffic("100%");
    struct traffic_report r;

    (void)state;
    t.failure = bide_http(404, NULL);
    t.failure_takes.ns = 30 * MS;
    r = run_traffic("attempts=3", &t);
    assert_int_equal(traffic_at_ns(&r.answer, 0.5), 30 * MS);
    assert_int_equal(r.attempts, 1000);
    assert_int_equal(r.verdict[BIDE_REJECTED], 1000);
}

static void
a_paused_policy_refuses_all_calls(void **state)
{
    struct traffic t = make_traffic("0%");
    struct traffic_report r = run_traffic("paused=yes", &t);

    (void)state;
    assert_int_equal(r.attempts, 0);
    assert_int_equal(r.verdict[BIDE_REFUSED], 1000);
    assert_int_equal(traffic_at_ns(&r.answer, 0.99), 0);
}

static void
a_budget_bounds_the_retries(void **state)
{
    struct traffic t = make_traffic("100%");
    struct traffic_report tokens = run_traffic(
        "attempts=3\nbudget=own\nbudget_capacity=100\nbudget_cost=5", &t);
    struct traffic_report ratio = run_traffic(
        "attempts=3\nbudget=own\nbudget_kind=ratio\nbudget_ratio=10%\n"
        "budget_min_rate=0/s\nbudget_window=2s",
        &t);

    (void)state;
    assert_int_equal(tokens.attempts, 1000 + 100 / 5);
    /* The call whose second retry was refused was charged for its first one. */
    assert_int_equal(tokens.retries_refused, tokens.exhausted[BIDE_BY_BUDGET]);
    assert_true(ratio.attempts > 1050 && ratio.attempts <= 1100);
}

static void
a_breaker_bounds_the_attempts(void **state)
{
    struct traffic t = make_traffic("100%");
    struct traffic_report r = run_traffic(
        "attempts=3\nwait=fixed\nwait_initial=100ms\nwait_jitter=none\n"
        "breaker=on\nbreaker_consecutive=20\nbreaker_failure_rate=100%\n"
        "breaker_min_calls=1000\nbreaker_open_for=1h",
        &t);

    (void)state;
    /* The 20th failure ends at about 136 ms; by then fewer than 30 calls have
     * begun. */
    assert_true(r.attempts >= 20 && r.attempts <= 25);
    assert_int_equal(r.breaker_opened, 1);
    assert_true(r.verdict[BIDE_REFUSED] > 970);
    assert_true(r.exhausted[BIDE_BY_BREAKER] > 0);
    assert_int_equal(r.retries_refused, r.exhausted[BIDE_BY_BREAKER]);
}

/* With a single process, breaker_min_processes would keep it closed. */
static void
calls_come_from_several_processes(void **state)
{
    struct traffic t = make_traffic("100%");
    struct traffic_report r =
        run_traffic("attempts=1\nbreaker=on\nbreaker_min_processes=10", &t);

    (void)state;
    assert_int_equal(r.breaker_opened, 1);
}

static void
waiting_calls_are_decided_again_when_the_breaker_opens(void **state)
{
    struct traffic t = make_traffic("100%");
    struct traffic_report r = run_traffic(
        "attempts=2\nwait=fixed\nwait_initial=5s\nwait_jitter=none\n"
        "breaker=on\nbreaker_min_calls=100\nbreaker_open_for=1h",
        &t);

    (void)state;
    assert_int_equal(r.attempts, 100);
    assert_int_equal(r.exhausted[BIDE_BY_BREAKER], 100);
    assert_true(traffic_at_ns(&r.answer, 1) < 2 * SECOND);
}

static void
the_failure_share_changes_at_its_bounds(void **state)
{
    struct traffic t = make_traffic("100% until 2s, 0% until 4s, 100%");
    struct traffic part = make_traffic("100% until 2s, 0%");
    struct traffic_report r = run_traffic("attempts=1", &t);
    struct traffic_report until_2s = run_traffic("attempts=1", &part);

    (void)state;
    /* A call begins each 10 ms, the first at 0; at 2 s already the next share
     * holds. */
    assert_int_equal(r.attempts_failed, 200 + 600);
    assert_int_equal(until_2s.attempts_failed, 200);
    for (int i = 0; i < TRAFFIC_SLICES; i++) {
        uint64_t from_ns = (uint64_t)i * r.slice_ns;
        bool fails = from_ns + r.slice_ns <= 2 * SECOND ||
                     from_ns > 4 * SECOND + 10 * MS;

        if (fails) {
            assert_int_equal(r.slice[i].succeeded, 0);
        }
    }
}

static void
the_same_seed_gives_the_same_and_another_seed_does_not(void **state)
{
    const char *keys = "attempts=3\nbudget=own\nbreaker=on";
    struct traffic t = make_traffic("30%");
    struct traffic_report a, b, c;

    (void)state;
    t.even = false;
    t.success_takes = (struct traffic_time){TRAFFIC_EXPONENTIAL, 20 * MS, 0};
    t.failure_takes = (struct traffic_time){TRAFFIC_BETWEEN, MS, 90 * MS};
    a = run_traffic(keys, &t);
    b = run_traffic(keys, &t);
    assert_memory_equal(&a, &b, sizeof(a));
    t.seed = 2;
    c = run_traffic(keys, &t);
    assert_memory_not_equal(&a, &c, sizeof(a));
}

static void
other_rules_meet_the_same_outcomes(void **state)
{
    struct traffic t = make_traffic("30%");
    struct traffic_report one, three;

    (void)state;
    t.even = false;
    one = run_traffic("attempts=1", &t);
    three = run_traffic("attempts=3\nwait_max=1s", &t);
    assert_int_equal(one.calls, three.calls);
    for (int i = 0; i < TRAFFIC_SLICES; i++) {
        assert_int_equal(one.slice[i].calls, three.slice[i].calls);
    }
    /* First attempts fail alike: the calls that one policy loses, the other
     * retries. */
    assert_int_equal(one.verdict[BIDE_EXHAUSTED],
                     three.recovered + three.verdict[BIDE_EXHAUSTED]);
    /* Attempts are independent: 27 of 1000 calls should fail three times. */
    assert_in_range(three.verdict[BIDE_EXHAUSTED], 7, 47);
}

static void
draws_follow_their_distributions(void **state)
{
    struct traffic t = make_traffic("25%");
    struct traffic_report r;
    uint64_t mean_ns = 0;

    (void)state;
    t.calls_per_s = 10000;
    t.even = false;
    t.success_takes = (struct traffic_time){TRAFFIC_EXPONENTIAL, 20 * MS, 0};
    t.failure_takes = t.success_takes;
    r = run_traffic("attempts=1", &t);
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        mean_ns += r.answer.sum_ns[i] / r.calls;
    }
    /* Four times the standard deviation of each. */
    assert_in_range(r.calls, 100000 - 4 * 316, 100000 + 4 * 316);
    assert_in_range(r.attempts_failed, r.calls / 4 - 548, r.calls / 4 + 548);
    assert_in_range(mean_ns, 20 * MS - 253000, 20 * MS + 253000);
    /* ln 2 and ln 100 times the mean. */
    assert_in_range(traffic_at_ns(&r.answer, 0.5), 13400000, 14300000);
    assert_in_range(traffic_at_ns(&r.answer, 0.99), 89000000, 95500000);
}

static void
an_attempt_lasts_no_longer_than_its_limit(void **state)
{
    struct traffic t = make_traffic("0%");
    struct traffic_report r;

    (void)state;
    t.success_takes.ns = 30 * MS;
    r = run_traffic("attempts=1\nattempt_timeout=30ms", &t);
    assert_int_equal(r.timed_out, 0);
    r = run_traffic("attempts=1\nattempt_timeout=29ms", &t);
    assert_int_equal(r.timed_out, 1000);
    assert_int_equal(r.attempts_failed, 1000);
    assert_int_equal(r.exhausted[BIDE_BY_ATTEMPTS], 1000);
    assert_int_equal(traffic_at_ns(&r.answer, 0.5), 29 * MS);
}

static void
endless_calls_are_unfinished_after_twice_the_time(void **state)
{
    struct traffic t = make_traffic("100%");
    struct traffic_report r = run_traffic("attempts=unlimited\nwait=fixed\n"
                                          "wait_jitter=none\nwait_initial=1s",
                                          &t);

    (void)state;
    assert_int_equal(r.unfinished, 1000);
    /* A call that begins at 0 makes its n-th attempt at (n - 1) x 1.01 s. */
    assert_int_equal(r.slice[0].attempts, r.slice[0].calls);
    assert_in_range(r.attempts, 1000 * 10, 1000 * 20);
}

static void
too_many_calls_are_refused(void **state)
{
    struct policy *p =
        compiled("attempts=unlimited\nwait=fixed\nwait_initial=1h");
    struct traffic t = make_traffic("100%");
    struct traffic_report r, before;
    const char *why = NULL;

    (void)state;
    memset(&r, 0x5a, sizeof(r));
    before = r;
    t.for_ns = 1000001 * SECOND;
    assert_int_equal(traffic_run(p, &t, &r, &why), BIDE_EINPUT);
    assert_non_null(strstr(why, "calls would begin"));
    t.for_ns = 2 * SECOND;
    t.calls_per_s = 1e6;
    assert_int_equal(traffic_run(p, &t, &r, &why), BIDE_EINPUT);
    assert_non_null(strstr(why, "at once"));
    assert_memory_equal(&r, &before, sizeof(r));
    policy_free(p);
}

static void
the_default_failure_is_one_that_is_retried(void **state)
{
    static const struct {
        const char *keys, *name;
    } cases[] = {
        {"attempts=3", "http.503"},
        {"retry_on=any", "http.503"},
        {"retry_on=grpc.UNAVAILABLE, exit.75", "grpc.UNAVAILABLE"},
        {"retry_on=http.5xx", "http.503"},
        {"retry_on=http.5xx\nnever_on=http.503", "http.500"},
        {"retry_on=throttle", "http.429"},
        {"retry_on=none", "http.503"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct policy *p = compiled(cases[i].keys);
        char name[64];

        bide_outcome_name(traffic_failure(p), name, sizeof(name));
        assert_string_equal(name, cases[i].name);
        policy_free(p);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_failures_each_call_is_one_attempt),
        cmocka_unit_test(when_all_fails_every_call_makes_all_its_attempts),
        cmocka_unit_test(an_outcome_that_is_not_retried_is_rejected_at_once),
        cmocka_unit_test(a_paused_policy_refuses_all_calls),
        cmocka_unit_test(a_budget_bounds_the_retries),
        cmocka_unit_test(a_breaker_bounds_the_attempts),
        cmocka_unit_test(calls_come_from_several_processes),
        cmocka_unit_test(
            waiting_calls_are_decided_again_when_the_breaker_opens),
        cmocka_unit_test(the_failure_share_changes_at_its_bounds),
        cmocka_unit_test(
            the_same_seed_gives_the_same_and_another_seed_does_not),
        cmocka_unit_test(other_rules_meet_the_same_outcomes),
        cmocka_unit_test(draws_follow_their_distributions),
        cmocka_unit_test(an_attempt_lasts_no_longer_than_its_limit),
        cmocka_unit_test(endless_calls_are_unfinished_after_twice_the_time),
        cmocka_unit_test(too_many_calls_are_refused),
        cmocka_unit_test(the_default_failure_is_one_that_is_retried),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
