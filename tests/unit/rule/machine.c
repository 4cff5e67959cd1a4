#include "compiled.h"

enum event { START, FAIL, OK, RESUME, WAKE, CANCEL };

struct step {
    uint64_t now_ms;
    enum event event;
    enum machine_says says;
    uint64_t until_ms;       /* WAIT */
    enum bide_reason reason; /* DONE */
};

static enum machine_says
send_event(struct machine *m, const struct policy *p, const struct step *s)
{
    uint64_t now = s->now_ms * MS;

    switch (s->event) {
    case START:
        machine_started(m, now);
        return MACHINE_GO;
    case FAIL:
        return machine_ended(m, p, NULL, bide_app("x"), now, 1, 0);
    case OK:
        return machine_ended(m, p, NULL, bide_ok(), now, 1, 0);
    case RESUME:
        return machine_due(m, p, NULL, now);
    case WAKE:
        return machine_woken(m, p, NULL, now);
    default:
        return machine_cancel(m, p, NULL, now);
    }
}

static void
play_steps(const char *keys, const struct step *steps, size_t count)
{
    struct policy *p = compiled(keys);
    struct machine m;

    assert_int_equal(machine_begin(&m, p, NULL, steps[0].now_ms * MS),
                     MACHINE_GO);
    for (size_t i = 0; i < count; i++) {
        enum machine_says says = send_event(&m, p, &steps[i]);

        assert_int_equal(says, steps[i].says);
        if (says == MACHINE_WAIT) {
            assert_int_equal(m.wake_ns, steps[i].until_ms * MS);
        }
        if (says == MACHINE_DONE) {
            assert_int_equal(m.reason, steps[i].reason);
        }
    }
    policy_free(p);
}
#define PLAY(keys, ...)                                          \
    do {                                                         \
        static const struct step steps[] = {__VA_ARGS__};        \
        play_steps(keys, steps, sizeof(steps) / sizeof(*steps)); \
    } while (0)

#define FIXED "retry_on=any\nwait=fixed\nwait_jitter=none\nwait_initial=100ms\n"

static void
a_call_waits_retries_and_ends_by_attempts(void **state)
{
    (void)state;
    PLAY(FIXED "attempts=2", {1000, START, MACHINE_GO, 0, 0},
         {1005, FAIL, MACHINE_WAIT, 1105, 0},
         {1104, RESUME, MACHINE_WAIT, 1105, 0}, /* too early */
         {1105, RESUME, MACHINE_GO, 0, 0}, {1105, START, MACHINE_GO, 0, 0},
         {1110, FAIL, MACHINE_DONE, 0, BIDE_BY_ATTEMPTS});
}

static void
success_ends_the_call_without_a_reason(void **state)
{
    (void)state;
    PLAY(FIXED "attempts=2", {0, START, MACHINE_GO, 0, 0},
         {5, OK, MACHINE_DONE, 0, BIDE_BY_NONE});
}

static void
max_elapsed_runs_from_the_begin_of_the_call_to_the_end_of_the_attempt(
    void **state)
{
    (void)state;
    PLAY(FIXED "attempts=9\nmax_elapsed=200ms", {0, START, MACHINE_GO, 0, 0},
         {99, FAIL, MACHINE_WAIT, 199, 0}, {199, RESUME, MACHINE_GO, 0, 0},
         {199, START, MACHINE_GO, 0, 0},
         {200, FAIL, MACHINE_DONE, 0, BIDE_BY_MAX_ELAPSED});
}

static void
a_wait_that_would_end_at_the_deadline_does_not_begin(void **state)
{
    (void)state;
    PLAY(FIXED "attempts=9\ndeadline=200ms", {0, START, MACHINE_GO, 0, 0},
         {99, FAIL, MACHINE_WAIT, 199, 0}, {199, RESUME, MACHINE_GO, 0, 0},
         {199, START, MACHINE_GO, 0, 0},
         {199, FAIL, MACHINE_DONE, 0, BIDE_BY_DEADLINE});
    PLAY(FIXED "attempts=9\ndeadline=100ms", {0, START, MACHINE_GO, 0, 0},
         {0, FAIL, MACHINE_DONE, 0, BIDE_BY_DEADLINE});
}

static void
a_call_that_wakes_after_its_deadline_makes_no_attempt(void **state)
{
    (void)state;
    PLAY(FIXED "attempts=9\ndeadline=3s", {1000, START, MACHINE_GO, 0, 0},
         {1005, FAIL, MACHINE_WAIT, 1105, 0},
         {61105, RESUME, MACHINE_DONE, 0, BIDE_BY_DEADLINE});
    PLAY(FIXED "attempts=9\ndeadline=3s", {1000, START, MACHINE_GO, 0, 0},
         {1005, FAIL, MACHINE_WAIT, 1105, 0},
         {4000, RESUME, MACHINE_DONE, 0, BIDE_BY_DEADLINE}); /* exactly */
    PLAY(FIXED "attempts=9\ndeadline=3s", {1000, START, MACHINE_GO, 0, 0},
         {1005, FAIL, MACHINE_WAIT, 1105, 0}, {3999, RESUME, MACHINE_GO, 0, 0});
    PLAY(FIXED "attempts=9", {1000, START, MACHINE_GO, 0, 0},
         {1005, FAIL, MACHINE_WAIT, 1105, 0},
         {99999, RESUME, MACHINE_GO, 0, 0});
}

static void
a_woken_call_goes_at_once_and_that_is_its_retry(void **state)
{
    (void)state;
    PLAY(FIXED "attempts=3\ndeadline=10s", {1000, START, MACHINE_GO, 0, 0},
         {1000, WAKE, MACHINE_GO, 0, 0}, /* no wait: nothing changes */
         {1005, FAIL, MACHINE_WAIT, 1105, 0}, {1006, WAKE, MACHINE_GO, 0, 0},
         {1006, START, MACHINE_GO, 0, 0},
         {1010, FAIL, MACHINE_WAIT, 1110, 0}, /* as long as any other wait */
         {1109, RESUME, MACHINE_WAIT, 1110, 0}, {1110, WAKE, MACHINE_GO, 0, 0},
         {1110, START, MACHINE_GO, 0, 0},
         {1111, FAIL, MACHINE_DONE, 0, BIDE_BY_ATTEMPTS});
    PLAY(FIXED "attempts=3\ndeadline=3s", {1000, START, MACHINE_GO, 0, 0},
         {1005, FAIL, MACHINE_WAIT, 1105, 0},
         {4000, WAKE, MACHINE_DONE, 0, BIDE_BY_DEADLINE});
}

static void
the_rules_are_asked_in_order(void **state)
{
    (void)state;
    PLAY(FIXED "attempts=1\nmax_elapsed=1ms\ndeadline=1ms",
         {0, START, MACHINE_GO, 0, 0},
         {9, FAIL, MACHINE_DONE, 0, BIDE_BY_ATTEMPTS});
    PLAY(FIXED "attempts=2\nmax_elapsed=1ms\ndeadline=1ms",
         {0, START, MACHINE_GO, 0, 0},
         {9, FAIL, MACHINE_DONE, 0, BIDE_BY_MAX_ELAPSED});
}

static void
an_attempt_longer_than_reset_after_counts_as_the_first(void **state)
{
    (void)state;
    PLAY(FIXED "attempts=2\nreset_after=1s", {0, START, MACHINE_GO, 0, 0},
         {10, FAIL, MACHINE_WAIT, 110, 0}, {110, RESUME, MACHINE_GO, 0, 0},
         {110, START, MACHINE_GO, 0, 0},
         {1110, FAIL, MACHINE_WAIT, 1210, 0}, /* exactly long enough */
         {1210, RESUME, MACHINE_GO, 0, 0}, {1210, START, MACHINE_GO, 0, 0},
         {2209, FAIL, MACHINE_DONE, 0, BIDE_BY_ATTEMPTS});
    /* max_elapsed starts again too; the deadline does not */
    PLAY(FIXED "attempts=2\nreset_after=1s\nmax_elapsed=1200ms",
         {0, START, MACHINE_GO, 0, 0}, {1500, FAIL, MACHINE_WAIT, 1600, 0},
         {1600, RESUME, MACHINE_GO, 0, 0}, {1600, START, MACHINE_GO, 0, 0},
         {2600, FAIL, MACHINE_WAIT, 2700, 0});
    PLAY(FIXED "attempts=9\nreset_after=1s\nmax_elapsed=100ms",
         {0, START, MACHINE_GO, 0, 0}, {1500, FAIL, MACHINE_WAIT, 1600, 0},
         {1600, RESUME, MACHINE_GO, 0, 0}, {1600, START, MACHINE_GO, 0, 0},
         {1600, FAIL, MACHINE_DONE, 0, BIDE_BY_MAX_ELAPSED});
    PLAY(FIXED "attempts=9\nreset_after=1s\ndeadline=2700ms",
         {0, START, MACHINE_GO, 0, 0}, {1500, FAIL, MACHINE_WAIT, 1600, 0},
         {1600, RESUME, MACHINE_GO, 0, 0}, {1600, START, MACHINE_GO, 0, 0},
         {2600, FAIL, MACHINE_DONE, 0, BIDE_BY_DEADLINE});
}

static void
free_retries_come_before_the_first_wait(void **state)
{
    (void)state;
    PLAY("retry_on=any\nwait=exponential\nwait_jitter=none\n"
         "wait_initial=100ms\nattempts=9\nfree_retries=2",
         {0, START, MACHINE_GO, 0, 0}, {0, FAIL, MACHINE_WAIT, 0, 0},
         {0, RESUME, MACHINE_GO, 0, 0}, {0, START, MACHINE_GO, 0, 0},
         {0, FAIL, MACHINE_WAIT, 0, 0}, {0, RESUME, MACHINE_GO, 0, 0},
         {0, START, MACHINE_GO, 0, 0}, {0, FAIL, MACHINE_WAIT, 100, 0},
         {100, RESUME, MACHINE_GO, 0, 0}, {100, START, MACHINE_GO, 0, 0},
         {100, FAIL, MACHINE_WAIT, 300, 0});
}

/* Outcomes of a call without jitter; each wait must be as expected, also when
 * it is decided a second time. */
static void
play_growth(const char *keys, const char *outcomes, const uint64_t *waits_ms)
{
    struct policy *p = compiled(keys);
    struct bide_outcome o = bide_app("x");
    struct machine m;
    uint64_t now = 7 * MS;

    machine_begin(&m, p, NULL, now);
    for (; *outcomes; outcomes++, waits_ms++) {
        machine_started(&m, now);
        now += *outcomes == 'L' ? 3600 * SECOND : 0; /* long: reset_after */
        assert_int_equal(machine_ended(&m, p, NULL,
                                       *outcomes == 'h'
                                           ? bide_outcome_after(o, 7 * SECOND)
                                           : o,
                                       now, 1, 0),
                         MACHINE_WAIT);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(m.wake_ns - now, *waits_ms * MS);
            assert_int_equal(machine_changed(&m, p, NULL, now), MACHINE_WAIT);
        }
        now = m.wake_ns;
        assert_int_equal(machine_due(&m, p, NULL, now), MACHINE_GO);
    }
    policy_free(p);
}
#define GROWTH(keys, outcomes, ...)                                     \
    do {                                                                \
        static const uint64_t waits[] = {__VA_ARGS__};                  \
        play_growth("retry_on=any\nwait_jitter=none\nwait_initial=1s\n" \
                    "attempts=unlimited\nwait_max=1h\n" keys,           \
                    outcomes, waits);                                   \
    } while (0)

static void
a_retry_after_a_hint_counts_is_skipped_or_resets(void **state)
{
    (void)state;
    GROWTH("", "xhxx", 1000, 7000, 4000, 8000);
    GROWTH("retry_after_growth=skips", "xhxx", 1000, 7000, 2000, 4000);
    GROWTH("retry_after_growth=skips", "hhx", 7000, 7000, 1000);
    GROWTH("retry_after_growth=resets", "xxhhxx", 1000, 2000, 7000, 7000, 1000,
           2000);
    GROWTH("retry_after_growth=resets\nretry_after=ignore", "xhx", 1000, 2000,
           4000);
    /* free retries: skipped ones remain, and do not come again */
    GROWTH("free_retries=2", "xhxx", 0, 7000, 1000, 2000);
    GROWTH("free_retries=2\nretry_after_growth=skips", "xhxx", 0, 7000, 0,
           1000);
    GROWTH("free_retries=2\nretry_after_growth=resets", "xhxx", 0, 7000, 1000,
           2000);
    GROWTH("free_retries=1\nretry_after_growth=resets\nreset_after=1h", "xhxLx",
           0, 7000, 1000, 0, 1000);
    /* the wait before, for decorrelated: times 3 at the largest draw */
    GROWTH("wait=decorrelated", "xhxx", 3000, 7000, 27000, 81000);
    GROWTH("wait=decorrelated\nretry_after_growth=skips", "xhxx", 3000, 7000,
           9000, 27000);
    GROWTH("wait=decorrelated\nretry_after_growth=resets", "xhxx", 3000, 7000,
           3000, 9000);
}

static void
cancelling_ends_a_call_in_any_state(void **state)
{
    (void)state;
    PLAY(FIXED "attempts=2", {0, START, MACHINE_GO, 0, 0},
         {0, FAIL, MACHINE_WAIT, 100, 0},
         {1, CANCEL, MACHINE_DONE, 0, BIDE_BY_CANCELLED});
    PLAY(FIXED "attempts=2", {0, START, MACHINE_GO, 0, 0},
         {1, CANCEL, MACHINE_DONE, 0, BIDE_BY_CANCELLED},
         {2, CANCEL, MACHINE_DONE, 0, BIDE_BY_CANCELLED});
    PLAY(FIXED "attempts=2", {0, CANCEL, MACHINE_DONE, 0, BIDE_BY_CANCELLED});
}

/* ---- changes in flight ---- */

static void
in_flight(const char *before, const char *after, double u,
          enum machine_says says, uint64_t until_ms, enum bide_reason reason)
{
    struct policy *p = compiled(before), *q = compiled(after);
    struct machine m;

    assert_int_equal(machine_begin(&m, p, NULL, 0), MACHINE_GO);
    machine_started(&m, 0);
    assert_int_equal(machine_ended(&m, p, NULL, bide_app("x"), 1000 * MS, u, 0),
                     MACHINE_WAIT);
    assert_int_equal(machine_changed(&m, q, NULL, 2000 * MS), says);
    if (says == MACHINE_WAIT) {
        assert_int_equal(m.wake_ns, until_ms * MS);
    } else {
        assert_int_equal(m.reason, reason);
    }
    policy_free(p);
    policy_free(q);
}
#define LONG "retry_on=any\nwait=fixed\nwait_initial=10s\nwait_max=60s\n"

static void
a_waiting_call_is_decided_again_with_the_same_draw(void **state)
{
    (void)state;
    in_flight(LONG, LONG, 0.5, MACHINE_WAIT, 6000, 0); /* unchanged */
    in_flight(LONG, LONG "wait_initial=4s", 0.5, MACHINE_WAIT, 3000, 0);
    in_flight(LONG, LONG "wait_max=4s", 0.5, MACHINE_WAIT, 3000, 0);
    in_flight(LONG, LONG "wait_initial=20s", 0.25, MACHINE_WAIT, 6000, 0);
    in_flight(LONG, LONG "wait_max=0", 0.5, MACHINE_WAIT, 2000, 0); /* now */
    in_flight(LONG, LONG "attempts=1", 1, MACHINE_DONE, 0, BIDE_BY_ATTEMPTS);
    in_flight(LONG, LONG "max_elapsed=1s", 1, MACHINE_DONE, 0,
              BIDE_BY_MAX_ELAPSED);
    in_flight(LONG, LONG "deadline=11s", 1, MACHINE_DONE, 0, BIDE_BY_DEADLINE);
    in_flight(LONG, LONG "paused=yes", 1, MACHINE_WAIT, 11000, 0);
}

static void
a_change_does_not_affect_a_call_that_does_not_wait(void **state)
{
    struct policy *p = compiled(FIXED "attempts=1");
    struct machine m;

    (void)state;
    machine_begin(&m, p, NULL, 0);
    assert_int_equal(machine_changed(&m, p, NULL, 0), MACHINE_GO);
    machine_started(&m, 0);
    machine_ended(&m, p, NULL, bide_app("x"), 0, 0, 0);
    assert_int_equal(machine_changed(&m, p, NULL, 0), MACHINE_DONE);
    assert_int_equal(m.reason, BIDE_BY_ATTEMPTS);
    policy_free(p);
}

/* ---- outcomes and ends ---- */

static void
outcomes_are_classified_in_order(void **state)
{
    struct policy *p = compiled("retry_on=any, http.202\nnever_on=http.404, "
                                "http.410\nsuccess_on=http.410");
    struct policy *q = compiled("attempts=2");

    (void)state;
    assert_int_equal(machine_classify(p, bide_http(410, NULL)), KIND_SUCCESS);
    assert_int_equal(machine_classify(p, bide_http(404, NULL)), KIND_REJECT);
    assert_int_equal(machine_classify(p, bide_http(202, NULL)), KIND_RETRY);
    assert_int_equal(machine_classify(p, bide_http(200, NULL)), KIND_SUCCESS);
    assert_int_equal(machine_classify(p, bide_http(500, NULL)), KIND_RETRY);
    assert_int_equal(machine_classify(q, bide_app("x")), KIND_REJECT);
    assert_int_equal(machine_classify(q, bide_ok()), KIND_SUCCESS);
    policy_free(p);
    policy_free(q);
}

static void
importance_decides_the_end(void **state)
{
    static const struct {
        const char *keys;
        enum bide_end end;
    } rows[] = {
        {FIXED "attempts=1", BIDE_END_ABORTED},
        {FIXED "attempts=1\nimportance=postponable", BIDE_END_DEFERRED},
        {FIXED "attempts=1\nimportance=optional", BIDE_END_DROPPED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct policy *p = compiled(rows[i].keys);
        struct machine m;

        machine_begin(&m, p, NULL, 0);
        machine_started(&m, 0);
        machine_ended(&m, p, NULL, bide_app("x"), 0, 0, 0);
        assert_int_equal(m.end, rows[i].end);
        policy_free(p);
    }
}

static void
a_paused_policy_refuses_new_calls(void **state)
{
    struct policy *p = compiled("paused=yes");
    struct machine m;

    (void)state;
    assert_int_equal(machine_begin(&m, p, NULL, 5), MACHINE_REFUSED);
    assert_int_equal(m.verdict, BIDE_REFUSED);
    assert_int_equal(m.reason, BIDE_BY_PAUSED);
    assert_int_equal(m.attempts, 0);
    policy_free(p);
}

static void
an_attempt_is_limited_by_its_timeout_and_the_deadline(void **state)
{
    struct policy *p = compiled("attempt_timeout=2s\ndeadline=5s");
    struct policy *q = compiled("attempts=2");
    struct machine m;

    (void)state;
    machine_begin(&m, p, NULL, 1000 * MS);
    assert_int_equal(machine_limit_ns(&m, p, 1000 * MS), 2000 * MS);
    assert_int_equal(machine_limit_ns(&m, p, 4500 * MS), 1500 * MS);
    assert_int_equal(machine_limit_ns(&m, p, 6000 * MS), 0);
    assert_int_equal(machine_limit_ns(&m, p, 9000 * MS), 0);
    assert_true(machine_limit_ns(&m, q, 9000 * MS) == DURATION_NONE);
    policy_free(p);
    policy_free(q);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_waits_retries_and_ends_by_attempts),
        cmocka_unit_test(success_ends_the_call_without_a_reason),
        cmocka_unit_test(
            max_elapsed_runs_from_the_begin_of_the_call_to_the_end_of_the_attempt),
        cmocka_unit_test(a_wait_that_would_end_at_the_deadline_does_not_begin),
        cmocka_unit_test(a_call_that_wakes_after_its_deadline_makes_no_attempt),
        cmocka_unit_test(a_retry_after_a_hint_counts_is_skipped_or_resets),
        cmocka_unit_test(a_woken_call_goes_at_once_and_that_is_its_retry),
        cmocka_unit_test(the_rules_are_asked_in_order),
        cmocka_unit_test(
            an_attempt_longer_than_reset_after_counts_as_the_first),
        cmocka_unit_test(free_retries_come_before_the_first_wait),
        cmocka_unit_test(cancelling_ends_a_call_in_any_state),
        cmocka_unit_test(a_waiting_call_is_decided_again_with_the_same_draw),
        cmocka_unit_test(a_change_does_not_affect_a_call_that_does_not_wait),
        cmocka_unit_test(outcomes_are_classified_in_order),
        cmocka_unit_test(importance_decides_the_end),
        cmocka_unit_test(a_paused_policy_refuses_new_calls),
        cmocka_unit_test(an_attempt_is_limited_by_its_timeout_and_the_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
