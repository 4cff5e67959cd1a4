/* The questions at the start of an attempt: their order, what is given back,
 * how long a refused attempt waits, and what ends that wait. */
#include "guarded.h"

#include "rule/admit.h"
#include "rule/hint.h"
#include "rule/rate.h"

#define CALL "retry_on=any\nattempts=3\nwait=fixed\nwait_jitter=none\n"
#define LIMIT "limit=own\nlimit_places=1\n"
#define RATE "rate=own\nrate_limit=10/s\n"

struct admitted {
    struct guarded *s;
    struct limits limits;
    struct machine m;
};

static struct admitted *
admitted_new(const char *keys)
{
    struct admitted *a = calloc(1, sizeof(*a));

    assert_non_null(a);
    a->s = guarded_new(keys);
    a->s->g.places = &a->limits.places;
    a->s->g.slots = a->limits.slot;
    a->s->g.rate = &a->limits.rate;
    a->s->g.hint = &a->limits.hint;
    a->s->g.owner = 7;
    return a;
}

static void
admitted_free(struct admitted *a)
{
    guarded_free(a->s);
    free(a);
}

static enum machine_says
begin_call(struct admitted *a, uint64_t at_ms)
{
    return machine_begin(&a->m, a->s->p, &a->s->g, TIME0 + at_ms * MS);
}

static enum machine_says
resume_call(struct admitted *a, uint64_t at_ms)
{
    return machine_due(&a->m, a->s->p, &a->s->g, TIME0 + at_ms * MS);
}

static enum machine_says
change_call(struct admitted *a, uint64_t at_ms)
{
    return machine_changed(&a->m, a->s->p, &a->s->g, TIME0 + at_ms * MS);
}

static enum machine_says
run_attempt(struct admitted *a, struct bide_outcome o, uint64_t at_ms)
{
    machine_started(&a->m, TIME0 + at_ms * MS);
    return machine_ended(&a->m, a->s->p, &a->s->g, o, TIME0 + at_ms * MS, 1, 0);
}

/* Another process takes the only place, or gives it back. */
static void
take_the_place(struct admitted *a)
{
    atomic_store(&a->limits.slot[0], 1ull << 63); /* some process */
}
static void
free_the_place(struct admitted *a)
{
    atomic_store(&a->limits.slot[0], 0);
}

static bool
is_place_free(const struct admitted *a)
{
    return atomic_load(&a->limits.slot[0]) == 0;
}

static void
assert_ended(const struct admitted *a, enum machine_says says,
             enum bide_verdict verdict, enum bide_reason reason)
{
    assert_int_equal(a->m.state, says);
    assert_int_equal(a->m.verdict, verdict);
    assert_int_equal(a->m.reason, reason);
}

static void
assert_waits(const struct admitted *a, enum bide_reason reason,
             uint64_t until_ms)
{
    assert_int_equal(a->m.state, MACHINE_WAIT);
    assert_int_equal(a->m.waits_for, reason);
    assert_int_equal((a->m.wake_ns - TIME0) / MS, until_ms);
}

/* ---- order ---- */

static void
the_first_that_refuses_is_the_reason(void **state)
{
    static const struct {
        const char *keys;
        bool hinted, drained, taken;
        enum bide_reason reason;
    } rows[] = {
        {"paused=yes\nbreaker=open", true, true, true, BIDE_BY_PAUSED},
        {"breaker=open", true, true, true, BIDE_BY_BREAKER},
        {"rate_limit=1/h", true, true, true, BIDE_BY_HINT},
        {"rate_limit=1/h", false, true, true, BIDE_BY_RATE},
        {"rate_limit=1/h", false, false, true, BIDE_BY_LIMIT},
        {"rate_limit=1/h", false, false, false, BIDE_BY_NONE},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char keys[400];
        struct admitted *a;

        snprintf(keys, sizeof(keys),
                 CALL LIMIT RATE "retry_after_holds=all\n%s", rows[i].keys);
        a = admitted_new(keys);
        if (rows[i].drained) {
            uint64_t at;

            assert_true(rate_take(&a->s->p->rate, &a->limits.rate, a->s->g.txn,
                                  MANDATORY, TIME0, &at));
        }
        if (rows[i].hinted) {
            hint_hold(&a->limits.hint, TIME0 + 500 * MS, TIME0, 60 * SECOND);
        }
        if (rows[i].taken) {
            take_the_place(a);
        }
        begin_call(a, 1);
        if (rows[i].reason == BIDE_BY_HINT) { /* always waited for */
            assert_waits(a, BIDE_BY_HINT, 500);
        } else if (rows[i].reason != BIDE_BY_NONE) {
            assert_ended(a, MACHINE_REFUSED, BIDE_REFUSED, rows[i].reason);
        } else {
            assert_int_equal(a->m.state, MACHINE_GO);
        }
        admitted_free(a);
    }
}

static void
what_an_earlier_question_took_is_given_back(void **state)
{
    struct admitted *a = admitted_new(CALL LIMIT RATE);

    (void)state;
    take_the_place(a);
    assert_int_equal(begin_call(a, 0), MACHINE_REFUSED);
    free_the_place(a); /* the only turn of this moment is still there */
    assert_int_equal(begin_call(a, 0), MACHINE_GO);
    admitted_free(a);
}

static void
a_call_that_is_cancelled_before_its_attempt_gives_everything_back(void **state)
{
    struct admitted *a = admitted_new(CALL LIMIT RATE);

    (void)state;
    assert_int_equal(begin_call(a, 0), MACHINE_GO);
    assert_false(is_place_free(a));
    machine_cancel(&a->m, a->s->p, &a->s->g, TIME0);
    assert_true(is_place_free(a));
    assert_int_equal(begin_call(a, 0), MACHINE_GO); /* has the turn too */
    admitted_free(a);
}

/* ---- places ---- */

static void
a_place_is_held_by_an_attempt_and_never_while_a_call_sleeps(void **state)
{
    struct admitted *a = admitted_new(CALL LIMIT);

    (void)state;
    assert_int_equal(begin_call(a, 0), MACHINE_GO);
    assert_false(is_place_free(a));
    machine_started(&a->m, TIME0);
    assert_int_equal(
        machine_ended(&a->m, a->s->p, &a->s->g, bide_app("x"), TIME0, 1, 0),
        MACHINE_WAIT);
    assert_true(is_place_free(a));
    assert_int_equal(resume_call(a, 100), MACHINE_GO);
    assert_false(is_place_free(a));
    run_attempt(a, bide_ok(), 100);
    assert_true(is_place_free(a));
    admitted_free(a);
}

static void
a_call_waits_for_a_place_as_long_as_limit_wait(void **state)
{
    struct admitted *a = admitted_new(CALL LIMIT "limit_wait=200ms");

    (void)state;
    take_the_place(a);
    begin_call(a, 0);
    assert_waits(a, BIDE_BY_LIMIT, 200);
    change_call(a, 150); /* asks again; the wait does not begin anew */
    assert_waits(a, BIDE_BY_LIMIT, 200);
    resume_call(a, 200);
    assert_ended(a, MACHINE_REFUSED, BIDE_REFUSED, BIDE_BY_LIMIT);

    begin_call(a, 0);
    free_the_place(a);
    assert_int_equal(change_call(a, 199), MACHINE_GO);
    assert_int_equal(a->m.asked_ns, 0);
    admitted_free(a);
}

static void
a_retry_without_a_place_ends_the_call_and_pays_nothing(void **state)
{
    struct admitted *a = admitted_new(
        CALL LIMIT "budget=own\nbudget_capacity=10\nbudget_cost=5\n");

    (void)state;
    begin_call(a, 0);
    run_attempt(a, bide_app("x"), 0);
    assert_int_equal(guarded_tokens(a->s, TIME0), 5000);
    take_the_place(a);
    resume_call(a, 100);
    assert_ended(a, MACHINE_DONE, BIDE_EXHAUSTED, BIDE_BY_LIMIT);
    assert_int_equal(guarded_tokens(a->s, TIME0), 10000);
    admitted_free(a);
}

static void
a_place_is_given_back_under_rules_without_a_limit(void **state)
{
    struct admitted *a = admitted_new(CALL LIMIT);

    (void)state;
    begin_call(a, 0);
    machine_started(&a->m, TIME0);
    guarded_change(a->s, CALL);
    a->s->g.places = NULL;
    machine_ended(&a->m, a->s->p, NULL, bide_ok(), TIME0, 1, 0);
    assert_true(is_place_free(a));
    admitted_free(a);
}

/* ---- what ends a wait ---- */

static void
pause_and_deadline_end_a_wait_for_a_place(void **state)
{
    struct admitted *a = admitted_new(CALL LIMIT "limit_wait=1m\ndeadline=1s");

    (void)state;
    take_the_place(a);
    begin_call(a, 0);
    assert_waits(a, BIDE_BY_LIMIT, 1000);
    resume_call(a, 1000);
    assert_ended(a, MACHINE_DONE, BIDE_EXHAUSTED, BIDE_BY_DEADLINE);

    begin_call(a, 0);
    guarded_change(a->s, CALL LIMIT "limit_wait=1m\npaused=yes");
    change_call(a, 10);
    assert_ended(a, MACHINE_REFUSED, BIDE_REFUSED, BIDE_BY_PAUSED);
    admitted_free(a);
}

static void
a_turn_after_the_deadline_is_refused_at_once(void **state)
{
    struct admitted *a = admitted_new(
        CALL "rate=own\nrate_limit=1/m\nrate_wait=1h\ndeadline=1s");

    (void)state;
    begin_call(a, 0);
    run_attempt(a, bide_ok(), 0);
    begin_call(a, 1);
    assert_ended(a, MACHINE_REFUSED, BIDE_REFUSED, BIDE_BY_RATE);
    admitted_free(a);
}

static void
a_longer_wait_of_the_rules_moves_a_call_back_to_its_retry(void **state)
{
    struct admitted *a =
        admitted_new(CALL LIMIT "limit_wait=1m\nwait_initial=100ms");

    (void)state;
    begin_call(a, 0);
    run_attempt(a, bide_app("x"), 0);
    take_the_place(a);
    resume_call(a, 100);
    assert_waits(a, BIDE_BY_LIMIT, 60100);
    guarded_change(a->s, CALL LIMIT "limit_wait=1m\nwait_initial=400ms");
    change_call(a, 150);
    assert_int_equal(a->m.asked_ns, 0);
    assert_int_equal(a->m.wake_ns, TIME0 + 400 * MS);
    guarded_change(a->s, CALL LIMIT "attempts=1");
    change_call(a, 160);
    assert_ended(a, MACHINE_DONE, BIDE_EXHAUSTED, BIDE_BY_ATTEMPTS);
    admitted_free(a);
}

static void
an_operator_s_wake_passes_a_hint_and_no_limit(void **state)
{
    struct admitted *a =
        admitted_new(CALL LIMIT "limit_wait=1m\nretry_after_holds=all");

    (void)state;
    hint_hold(&a->limits.hint, TIME0 + 30 * SECOND, TIME0, 60 * SECOND);
    begin_call(a, 0);
    assert_waits(a, BIDE_BY_HINT, 30000);
    take_the_place(a);
    assert_int_equal(machine_woken(&a->m, a->s->p, &a->s->g, TIME0 + MS),
                     MACHINE_WAIT);
    free_the_place(a);
    assert_int_equal(machine_woken(&a->m, a->s->p, &a->s->g, TIME0 + 2 * MS),
                     MACHINE_GO);
    admitted_free(a);
}

static void
a_call_waits_for_an_open_breaker_as_long_as_breaker_wait(void **state)
{
    struct admitted *a =
        admitted_new(CALL "breaker=on\nbreaker_consecutive=1\n"
                          "breaker_open_for=1s\nbreaker_wait=1500ms");

    (void)state;
    breaker_report(&a->s->p->breaker, &a->s->g, true, 0, (struct probe){0},
                   TIME0);
    begin_call(a, 0);
    assert_waits(a, BIDE_BY_BREAKER, 1000);
    assert_int_equal(resume_call(a, 1000), MACHINE_GO); /* as a probe */
    assert_int_not_equal(a->m.has.probe.place, 0);
    machine_cancel(&a->m, a->s->p, &a->s->g, TIME0 + 1000 * MS);
    guarded_change(a->s, CALL "breaker=on\nbreaker_consecutive=1\n"
                              "breaker_open_for=10s\nbreaker_wait=1500ms");
    breaker_reset(&a->s->g, TIME0);
    breaker_report(&a->s->p->breaker, &a->s->g, true, 0, (struct probe){0},
                   TIME0);
    begin_call(a, 0); /* it stays open for longer than a call may wait */
    assert_ended(a, MACHINE_REFUSED, BIDE_REFUSED, BIDE_BY_BREAKER);
    admitted_free(a);
}

/* The probes' number goes at once, then a share that grows with the time; at
 * the end the state is that of a breaker without a ramp. */
static void
a_ramp_lets_out_more_and_more_after_closing(void **state)
{
    static const struct {
        uint64_t from_ms;
        uint32_t least, most;
    } rows[] = {{0, 2, 2}, {250, 24, 26}, {500, 49, 51}, {900, 89, 91}};
    struct admitted *a = admitted_new(
        CALL "breaker=on\nbreaker_consecutive=1\nbreaker_open_for=1s\n"
             "breaker_probes=2\nbreaker_ramp=1s");
    struct breaker_words *w = &a->s->breaker;
    struct machine probe[2];

    (void)state;
    a->s->g.rate = NULL;
    a->s->g.places = NULL;
    breaker_report(&a->s->p->breaker, &a->s->g, true, 0, (struct probe){0},
                   TIME0 - 1000 * MS);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(machine_begin(&probe[i], a->s->p, &a->s->g, TIME0),
                         MACHINE_GO);
        machine_started(&probe[i], TIME0);
    }
    for (int i = 0; i < 2; i++) {
        machine_ended(&probe[i], a->s->p, &a->s->g, bide_ok(), TIME0, 1, 0);
    }
    assert_true(atomic_load(&w->state) & BREAKER_HOLDS);
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint32_t out = 0;

        for (int n = 0; n < 100; n++) {
            out += begin_call(a, rows[i].from_ms) == MACHINE_GO;
        }
        assert_in_range(out, rows[i].least, rows[i].most);
    }
    assert_int_equal(a->m.reason, BIDE_BY_BREAKER);
    assert_int_equal(begin_call(a, 1000), MACHINE_GO);
    assert_false(atomic_load(&w->state) & BREAKER_HOLDS);
    admitted_free(a);
}

/* ---- useful_time ---- */

static void
an_attempt_with_too_little_time_left_is_not_started(void **state)
{
    struct admitted *a = admitted_new(CALL "deadline=1s\nuseful_time=200ms");
    struct machine m;

    (void)state;
    a->s->g.rate = NULL;
    a->s->p->wait.initial_ns = a->s->p->wait.max_ns = 800 * MS;
    begin_call(a, 0);
    assert_int_equal(run_attempt(a, bide_app("x"), 0), MACHINE_WAIT);
    begin_call(a, 0);
    a->s->p->wait.initial_ns = a->s->p->wait.max_ns = 801 * MS;
    run_attempt(a, bide_app("x"), 0);
    assert_ended(a, MACHINE_DONE, BIDE_EXHAUSTED, BIDE_BY_DEADLINE);
    assert_int_equal(
        machine_begin_until(&m, a->s->p, &a->s->g, TIME0 + 199 * MS, TIME0),
        MACHINE_DONE);
    assert_int_equal(
        machine_begin_until(&m, a->s->p, &a->s->g, TIME0 + 200 * MS, TIME0),
        MACHINE_GO);
    admitted_free(a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_that_refuses_is_the_reason),
        cmocka_unit_test(what_an_earlier_question_took_is_given_back),
        cmocka_unit_test(
            a_call_that_is_cancelled_before_its_attempt_gives_everything_back),
        cmocka_unit_test(
            a_place_is_held_by_an_attempt_and_never_while_a_call_sleeps),
        cmocka_unit_test(a_call_waits_for_a_place_as_long_as_limit_wait),
        cmocka_unit_test(
            a_retry_without_a_place_ends_the_call_and_pays_nothing),
        cmocka_unit_test(a_place_is_given_back_under_rules_without_a_limit),
        cmocka_unit_test(pause_and_deadline_end_a_wait_for_a_place),
        cmocka_unit_test(a_turn_after_the_deadline_is_refused_at_once),
        cmocka_unit_test(
            a_longer_wait_of_the_rules_moves_a_call_back_to_its_retry),
        cmocka_unit_test(an_operator_s_wake_passes_a_hint_and_no_limit),
        cmocka_unit_test(
            a_call_waits_for_an_open_breaker_as_long_as_breaker_wait),
        cmocka_unit_test(a_ramp_lets_out_more_and_more_after_closing),
        cmocka_unit_test(an_attempt_with_too_little_time_left_is_not_started),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
