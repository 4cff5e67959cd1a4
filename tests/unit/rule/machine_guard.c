/* A call with budget and breaker: the order in which they are asked, and which
 * charges are made and returned. */
#include "guarded.h"

#define CALL                                                   \
    "retry_on=any\nattempts=5\nwait=fixed\nwait_jitter=none\n" \
    "wait_initial=100ms\n"
#define BUDGET \
    "budget=own\nbudget_capacity=10\nbudget_cost=5\nbudget_deposit=1\n"
#define BREAKER                                                               \
    "breaker=on\nbreaker_consecutive=1\nbreaker_open_for=1s\nbreaker_probes=" \
    "1\n"

static void
open_breaker(struct guarded *s, uint64_t at_ms)
{
    breaker_report(&s->p->breaker, &s->g, true, 0, (struct probe){0},
                   TIME0 + at_ms * MS);
    assert_int_equal(guarded_state(s, at_ms), STATE_OPEN);
}

/* ---- events of a call ---- */

static enum machine_says
begin_call(struct guarded *s, struct machine *m, uint64_t at_ms)
{
    return machine_begin(m, s->p, &s->g, TIME0 + at_ms * MS);
}

static void
start_attempt(struct machine *m, uint64_t at_ms)
{
    machine_started(m, TIME0 + at_ms * MS);
}

static enum machine_says
end_attempt(struct guarded *s, struct machine *m, struct bide_outcome o,
            uint64_t at_ms)
{
    return machine_ended(m, s->p, &s->g, o, TIME0 + at_ms * MS, 1, 0);
}

static enum machine_says
fail_attempt(struct guarded *s, struct machine *m, uint64_t at_ms)
{
    return end_attempt(s, m, bide_app("x"), at_ms);
}

static enum machine_says
resume_call(struct guarded *s, struct machine *m, uint64_t at_ms)
{
    return machine_due(m, s->p, &s->g, TIME0 + at_ms * MS);
}

static enum machine_says
change_call(struct guarded *s, struct machine *m, uint64_t at_ms)
{
    return machine_changed(m, s->p, &s->g, TIME0 + at_ms * MS);
}

static void
assert_exhausted(const struct machine *m, enum bide_reason reason)
{
    assert_int_equal(m->state, MACHINE_DONE);
    assert_int_equal(m->verdict, BIDE_EXHAUSTED);
    assert_int_equal(m->reason, reason);
}

/* Returns a guard, and in *m a call whose first attempt has failed at 0. */
static struct guarded *
failed_once(struct machine *m, const char *keys)
{
    struct guarded *s = guarded_new(keys);

    assert_int_equal(begin_call(s, m, 0), MACHINE_GO);
    start_attempt(m, 0);
    fail_attempt(s, m, 0);
    return s;
}

/* ---- the order of the reasons ---- */

/* With an empty budget and an open breaker, an earlier rule is the reason, and
 * nothing is charged. */
static void
the_rules_stop_a_call_in_order(void **state)
{
    static const struct {
        const char *keys;
        enum bide_reason reason;
    } rows[] = {
        {"attempts=1\nmax_elapsed=1ms\ndeadline=1ms", BIDE_BY_ATTEMPTS},
        {"attempts=5\nmax_elapsed=0\ndeadline=1ms", BIDE_BY_MAX_ELAPSED},
        {"attempts=5\ndeadline=100ms", BIDE_BY_DEADLINE},
        {"attempts=5\ndeadline=101ms", BIDE_BY_BREAKER},
        {"attempts=5\nbreaker=open", BIDE_BY_BREAKER},
        {"attempts=5\nwait_initial=1s", BIDE_BY_BUDGET}, /* closed by then */
        {"attempts=5\nbreaker=closed", BIDE_BY_BUDGET},
        {"attempts=5\nbreaker=off", BIDE_BY_BUDGET},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char keys[600];
        struct guarded *s;
        struct machine m;
        struct budget_paid paid;

        snprintf(keys, sizeof(keys), CALL BUDGET BREAKER "%s", rows[i].keys);
        s = guarded_new(CALL BUDGET BREAKER);
        assert_int_equal(begin_call(s, &m, 0), MACHINE_GO);
        while (budget_take(&s->p->budget, MANDATORY, &s->g, PRICE_USUAL, TIME0,
                           &paid)) {
        }
        guarded_change(s, keys);
        start_attempt(&m, 0);
        fail_attempt(s, &m, 0);
        if (m.reason != rows[i].reason) {
            fail_msg("%s: reason %d", rows[i].keys, (int)m.reason);
        }
        assert_exhausted(&m, rows[i].reason);
        assert_int_equal(guarded_tokens(s, TIME0), 0);
        guarded_free(s);
    }
}

static void
nothing_is_charged_for_a_retry_that_does_not_happen(void **state)
{
    static const char *const keys[] = {
        CALL BUDGET "attempts=1",
        CALL BUDGET "max_elapsed=0",
        CALL BUDGET "deadline=50ms",
        CALL BUDGET BREAKER,
        CALL BUDGET "budget_cost=11\nbudget_timeout_cost=5", /* over capacity */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(keys); i++) {
        struct machine m;
        struct guarded *s = failed_once(&m, keys[i]);

        assert_int_equal(m.state, MACHINE_DONE);
        assert_int_equal(guarded_tokens(s, TIME0), 10000);
        guarded_free(s);
    }
}

static void
under_charge_failure_each_failure_is_charged_first(void **state)
{
    struct machine m;
    struct guarded *s = failed_once(
        &m, CALL "attempts=1\nbudget=own\nbudget_charge=failure\n"
                 "budget_capacity=10\nbudget_cost=1\nbudget_threshold=50%");

    (void)state;
    assert_int_equal(guarded_tokens(s, TIME0),
                     9000); /* even for the last attempt */
    guarded_change(s, CALL "budget=own\nbudget_charge=failure\n"
                           "budget_capacity=10\nbudget_cost=1\n"
                           "budget_threshold=50%");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(begin_call(s, &m, 0), MACHINE_GO);
        start_attempt(&m, 0);
        assert_int_equal(fail_attempt(s, &m, 0), MACHINE_WAIT);
    }
    assert_int_equal(resume_call(s, &m, 100), MACHINE_GO);
    start_attempt(&m, 100);
    assert_int_equal(fail_attempt(s, &m, 100), MACHINE_DONE); /* at half */
    assert_exhausted(&m, BIDE_BY_BUDGET);
    /* An outcome that is never retried is not charged. */
    guarded_change(s, CALL "never_on=app.x\nbudget=own\n"
                           "budget_charge=failure\nbudget_capacity=10\n"
                           "budget_cost=1");
    begin_call(s, &m, 0);
    start_attempt(&m, 0);
    fail_attempt(s, &m, 0);
    assert_int_equal(m.verdict, BIDE_REJECTED);
    assert_int_equal(guarded_tokens(s, TIME0), 5000);
    guarded_free(s);
}

/* ---- charges ---- */

static void
each_outcome_is_charged_its_price(void **state)
{
    static const struct {
        int status;
        int64_t left;
    } rows[] = {{503, 99000}, {504, 98000}, {408, 98000}, {429, 97000}};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct guarded *s =
            guarded_new(CALL "budget=own\nbudget_capacity=100\nbudget_cost=1\n"
                             "budget_timeout_cost=2\nbudget_throttle_cost=3");
        struct machine m;

        begin_call(s, &m, 0);
        start_attempt(&m, 0);
        assert_int_equal(end_attempt(s, &m, bide_http(rows[i].status, NULL), 0),
                         MACHINE_WAIT);
        assert_int_equal(guarded_tokens(s, TIME0), rows[i].left);
        guarded_free(s);
    }
}

static void
success_refunds_the_last_retry_or_deposits(void **state)
{
    struct machine m;
    struct guarded *s = failed_once(&m, CALL BUDGET);

    (void)state;
    assert_int_equal(guarded_tokens(s, TIME0), 5000);
    assert_int_equal(resume_call(s, &m, 100), MACHINE_GO);
    start_attempt(&m, 100);
    assert_int_equal(fail_attempt(s, &m, 100), MACHINE_WAIT);
    assert_int_equal(guarded_tokens(s, TIME0), 0);
    assert_int_equal(resume_call(s, &m, 200), MACHINE_GO);
    start_attempt(&m, 200);
    assert_int_equal(end_attempt(s, &m, bide_ok(), 200), MACHINE_DONE);
    assert_int_equal(guarded_tokens(s, TIME0),
                     5000); /* one of its two charges */
    begin_call(s, &m, 300);
    start_attempt(&m, 300);
    end_attempt(s, &m, bide_ok(), 300);
    assert_int_equal(guarded_tokens(s, TIME0), 6000);
    guarded_free(s);
}

static void
a_change_in_flight_does_not_charge_again(void **state)
{
    struct machine m;
    struct guarded *s = failed_once(&m, CALL BUDGET);

    (void)state;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(change_call(s, &m, 10), MACHINE_WAIT);
        assert_int_equal(m.wake_ns, TIME0 + 100 * MS);
        assert_int_equal(guarded_tokens(s, TIME0), 5000);
    }
    guarded_change(s, CALL BUDGET "wait_initial=200ms");
    assert_int_equal(change_call(s, &m, 10), MACHINE_WAIT);
    assert_int_equal(m.wake_ns, TIME0 + 200 * MS);
    assert_int_equal(guarded_tokens(s, TIME0), 5000);
    /* Stopped by the change: the charge is returned. */
    guarded_change(s, CALL BUDGET "attempts=1");
    assert_int_equal(change_call(s, &m, 20), MACHINE_DONE);
    assert_exhausted(&m, BIDE_BY_ATTEMPTS);
    assert_int_equal(guarded_tokens(s, TIME0), 10000);
    assert_int_equal(change_call(s, &m, 20), MACHINE_DONE); /* only once */
    assert_int_equal(guarded_tokens(s, TIME0), 10000);
    guarded_free(s);
}

static void
cancelling_returns_tokens_and_place(void **state)
{
    struct machine m, other;
    struct guarded *s = failed_once(&m, CALL BUDGET);

    (void)state;
    assert_int_equal(guarded_tokens(s, TIME0), 5000);
    machine_cancel(&m, s->p, &s->g, TIME0);
    assert_int_equal(m.verdict, BIDE_CANCELLED);
    assert_int_equal(guarded_tokens(s, TIME0), 10000);
    machine_cancel(&m, s->p, &s->g, TIME0);
    assert_int_equal(guarded_tokens(s, TIME0), 10000);
    /* A retry that may go but has not started. */
    begin_call(s, &m, 0);
    start_attempt(&m, 0);
    fail_attempt(s, &m, 0);
    assert_int_equal(resume_call(s, &m, 100), MACHINE_GO);
    machine_cancel(&m, s->p, &s->g, TIME0);
    assert_int_equal(guarded_tokens(s, TIME0), 10000);
    /* A retry that has started: the attempt does not count. */
    begin_call(s, &m, 0);
    start_attempt(&m, 0);
    fail_attempt(s, &m, 0);
    assert_int_equal(resume_call(s, &m, 100), MACHINE_GO);
    start_attempt(&m, 100);
    machine_cancel(&m, s->p, &s->g, TIME0);
    assert_int_equal(guarded_tokens(s, TIME0), 10000);
    machine_cancel(&m, s->p, &s->g, TIME0);
    assert_int_equal(guarded_tokens(s, TIME0), 10000);
    /* A retry that has failed as well: the first one stays charged. */
    begin_call(s, &m, 0);
    start_attempt(&m, 0);
    fail_attempt(s, &m, 0);
    assert_int_equal(resume_call(s, &m, 100), MACHINE_GO);
    start_attempt(&m, 100);
    fail_attempt(s, &m, 100);
    machine_cancel(&m, s->p, &s->g, TIME0);
    assert_int_equal(guarded_tokens(s, TIME0), 5000);

    guarded_change(s, CALL BREAKER);
    open_breaker(s, 1000);
    assert_int_equal(begin_call(s, &m, 2000), MACHINE_GO);
    assert_int_equal(m.has.probe.place, 1);
    assert_int_equal(begin_call(s, &other, 2000), MACHINE_REFUSED);
    start_attempt(&m, 2000);
    machine_cancel(&m, s->p, &s->g, TIME0);
    assert_int_equal(begin_call(s, &other, 2000), MACHINE_GO);
    guarded_free(s);
}

/* ---- the breaker ---- */

static void
a_refused_call_is_told_when_to_ask_again(void **state)
{
    struct guarded *s = guarded_new(CALL BUDGET BREAKER);
    struct machine m, second;

    (void)state;
    open_breaker(s, 0);
    assert_int_equal(begin_call(s, &m, 999), MACHINE_REFUSED);
    assert_int_equal(m.verdict, BIDE_REFUSED);
    assert_int_equal(m.reason, BIDE_BY_BREAKER);
    assert_int_equal(m.wake_ns, TIME0 + 1000 * MS);
    assert_int_equal(m.attempts, 0);
    assert_int_equal(begin_call(s, &m, 1000), MACHINE_GO); /* the probe */
    assert_int_equal(begin_call(s, &second, 1000), MACHINE_REFUSED);
    assert_int_equal(second.wake_ns, DURATION_NONE);
    assert_int_equal(guarded_tokens(s, TIME0), 10000);
    guarded_change(s, CALL "paused=yes\nbreaker=open");
    assert_int_equal(begin_call(s, &second, 1000), MACHINE_REFUSED);
    assert_int_equal(second.reason, BIDE_BY_PAUSED);
    guarded_change(s, CALL "breaker=open");
    assert_int_equal(begin_call(s, &second, 1000), MACHINE_REFUSED);
    assert_int_equal(second.reason, BIDE_BY_BREAKER);
    assert_int_equal(second.wake_ns, DURATION_NONE);
    guarded_free(s);
}

static void
a_waiting_call_ends_if_the_breaker_stays_open_past_its_wake(void **state)
{
    static const struct {
        uint64_t trip_ms;
        enum machine_says says;
    } rows[] = {{50, MACHINE_DONE}, {0, MACHINE_WAIT}};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct machine m;
        struct guarded *s =
            failed_once(&m, CALL BUDGET "wait_initial=1s\n"
                                        "breaker=on\nbreaker_consecutive=2\n"
                                        "breaker_open_for=1s");

        assert_int_equal(m.state, MACHINE_WAIT);
        open_breaker(s, rows[i].trip_ms);
        assert_int_equal(change_call(s, &m, 60), rows[i].says);
        if (rows[i].says == MACHINE_DONE) {
            assert_exhausted(&m, BIDE_BY_BREAKER);
        }
        assert_int_equal(guarded_tokens(s, TIME0),
                         rows[i].says == MACHINE_DONE ? 10000 : 5000);
        guarded_free(s);
    }
}

static void
a_retry_refused_by_the_breaker_is_not_charged(void **state)
{
    struct machine m, probe;
    struct guarded *s =
        failed_once(&m, CALL BUDGET "breaker=on\nbreaker_consecutive=2\n"
                                    "breaker_open_for=1ms\nbreaker_probes=1");

    (void)state;
    assert_int_equal(m.state, MACHINE_WAIT);
    open_breaker(s, 50);
    assert_int_equal(change_call(s, &m, 50), MACHINE_WAIT); /* over by then */
    assert_int_equal(begin_call(s, &probe, 60),
                     MACHINE_GO); /* takes the place */
    assert_int_equal(resume_call(s, &m, 99), MACHINE_WAIT);
    assert_int_equal(resume_call(s, &m, 100), MACHINE_DONE);
    assert_exhausted(&m, BIDE_BY_BREAKER);
    assert_int_equal(m.attempts, 1);
    assert_int_equal(guarded_tokens(s, TIME0), 10000);
    guarded_free(s);
}

static void
a_woken_call_waits_on_if_the_breaker_refuses_it(void **state)
{
    struct machine m, probe;
    struct guarded *s =
        failed_once(&m, CALL BUDGET "breaker=on\nbreaker_consecutive=2\n"
                                    "breaker_open_for=20ms\nbreaker_probes=1");

    (void)state;
    open_breaker(s, 50);
    assert_int_equal(machine_woken(&m, s->p, &s->g, TIME0 + 60 * MS),
                     MACHINE_WAIT); /* open */
    assert_int_equal(begin_call(s, &probe, 75), MACHINE_GO);
    assert_int_equal(machine_woken(&m, s->p, &s->g, TIME0 + 76 * MS),
                     MACHINE_WAIT); /* another call is the probe */
    assert_int_equal(m.wake_ns, TIME0 + 100 * MS);
    assert_int_equal(guarded_tokens(s, TIME0), 5000); /* it still may retry */
    machine_cancel(&probe, s->p, &s->g, TIME0 + 77 * MS);
    assert_int_equal(machine_woken(&m, s->p, &s->g, TIME0 + 78 * MS),
                     MACHINE_GO);
    assert_int_equal(m.has.probe.place, 1);
    guarded_free(s);
}

/* New rules move the wake to before the breaker opened: the retry goes now, and
 * the breaker is asked about now. */
static void
the_breaker_is_asked_as_of_now_if_the_wake_is_past(void **state)
{
    struct machine m;
    struct guarded *s = failed_once(
        &m, CALL "wait_initial=1s\nbreaker=on\nbreaker_consecutive=2\n"
                 "breaker_open_for=20ms");

    (void)state;
    open_breaker(s, 50);
    assert_int_equal(change_call(s, &m, 50), MACHINE_WAIT);
    guarded_change(s, CALL "wait_initial=10ms\nbreaker=on\n"
                           "breaker_consecutive=2\nbreaker_open_for=20ms");
    assert_int_equal(change_call(s, &m, 70), MACHINE_WAIT);
    assert_int_equal(resume_call(s, &m, 70), MACHINE_GO);
    assert_int_equal(m.has.probe.place, 1);
    guarded_free(s);
}

static void
a_wait_that_ends_after_the_deadline_returns_its_charge(void **state)
{
    struct machine m;
    struct guarded *s = failed_once(&m, CALL BUDGET "deadline=3s\nbreaker=on");

    (void)state;
    assert_int_equal(guarded_tokens(s, TIME0), 5000);
    s->p->breaker.mode = BREAKER_OPEN;
    assert_int_equal(resume_call(s, &m, 3000), MACHINE_DONE);
    assert_exhausted(&m, BIDE_BY_DEADLINE); /* asked before the breaker */
    assert_int_equal(guarded_tokens(s, TIME0), 10000);
    guarded_free(s);
}

static void
a_retry_can_be_a_probe(void **state)
{
    struct machine m;
    struct guarded *s = failed_once(&m, CALL "wait_initial=1s\n" BREAKER);

    (void)state;
    assert_int_equal(m.state, MACHINE_WAIT); /* until it may have closed */
    assert_int_equal(guarded_state(s, 999), STATE_OPEN);
    assert_int_equal(resume_call(s, &m, 1000), MACHINE_GO);
    assert_int_equal(m.has.probe.place, 1);
    start_attempt(&m, 1000);
    end_attempt(s, &m, bide_ok(), 1000);
    assert_int_equal(guarded_state(s, 1000), STATE_CLOSED);
    guarded_free(s);
}

static void
an_outcome_that_is_never_retried_counts_as_an_answer(void **state)
{
    struct guarded *s =
        guarded_new(CALL "never_on=app.x\nbreaker=on\nbreaker_min_calls=4");
    struct machine m;

    (void)state;
    for (int i = 0; i < 2; i++) {
        begin_call(s, &m, 0);
        start_attempt(&m, 0);
        fail_attempt(s, &m, 0);
        assert_int_equal(m.verdict, BIDE_REJECTED);
    }
    assert_int_equal(s->breaker.run, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(guarded_state(s, 0), STATE_CLOSED);
        begin_call(s, &m, 0);
        start_attempt(&m, 0);
        end_attempt(s, &m, bide_http(503, NULL), 0);
    }
    assert_int_equal(guarded_state(s, 0), STATE_OPEN); /* 2 of 4 */
    guarded_free(s);
}

static void
retries_do_not_count_as_calls_of_a_ratio(void **state)
{
    struct guarded *s =
        guarded_new(CALL "budget=own\nbudget_kind=ratio\nbudget_ratio=50%\n"
                         "budget_min_rate=0/s\nattempts=9");
    struct machine m[4];

    (void)state;
    for (int i = 0; i < 4; i++) {
        begin_call(s, &m[i], 0);
        start_attempt(&m[i], 0);
    }
    assert_int_equal(fail_attempt(s, &m[0], 0), MACHINE_DONE); /* 1 of 1 */
    assert_exhausted(&m[0], BIDE_BY_BUDGET);
    assert_int_equal(fail_attempt(s, &m[1], 0), MACHINE_WAIT); /* 1 of 2 */
    assert_int_equal(fail_attempt(s, &m[2], 0), MACHINE_DONE);
    assert_int_equal(resume_call(s, &m[1], 100), MACHINE_GO);
    start_attempt(&m[1], 100);
    assert_int_equal(fail_attempt(s, &m[1], 100), MACHINE_DONE); /* 3 calls */
    assert_int_equal(fail_attempt(s, &m[3], 100), MACHINE_WAIT); /* 2 of 4 */
    guarded_free(s);
}

static void
a_call_without_a_guard_goes_on(void **state)
{
    struct policy *p = compiled(CALL BUDGET BREAKER);
    struct machine m;

    (void)state;
    assert_int_equal(machine_begin(&m, p, NULL, TIME0), MACHINE_GO);
    for (int i = 0; i < 4; i++) {
        machine_started(&m, TIME0);
        assert_int_equal(machine_ended(&m, p, NULL, bide_app("x"), TIME0, 1, 0),
                         MACHINE_WAIT);
        assert_int_equal(machine_changed(&m, p, NULL, TIME0), MACHINE_WAIT);
        assert_int_equal(machine_due(&m, p, NULL, m.wake_ns), MACHINE_GO);
    }
    machine_cancel(&m, p, NULL, TIME0);
    policy_free(p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rules_stop_a_call_in_order),
        cmocka_unit_test(nothing_is_charged_for_a_retry_that_does_not_happen),
        cmocka_unit_test(under_charge_failure_each_failure_is_charged_first),
        cmocka_unit_test(each_outcome_is_charged_its_price),
        cmocka_unit_test(success_refunds_the_last_retry_or_deposits),
        cmocka_unit_test(a_change_in_flight_does_not_charge_again),
        cmocka_unit_test(cancelling_returns_tokens_and_place),
        cmocka_unit_test(a_refused_call_is_told_when_to_ask_again),
        cmocka_unit_test(
            a_waiting_call_ends_if_the_breaker_stays_open_past_its_wake),
        cmocka_unit_test(a_retry_refused_by_the_breaker_is_not_charged),
        cmocka_unit_test(a_woken_call_waits_on_if_the_breaker_refuses_it),
        cmocka_unit_test(the_breaker_is_asked_as_of_now_if_the_wake_is_past),
        cmocka_unit_test(
            a_wait_that_ends_after_the_deadline_returns_its_charge),
        cmocka_unit_test(a_retry_can_be_a_probe),
        cmocka_unit_test(an_outcome_that_is_never_retried_counts_as_an_answer),
        cmocka_unit_test(retries_do_not_count_as_calls_of_a_ratio),
        cmocka_unit_test(a_call_without_a_guard_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
