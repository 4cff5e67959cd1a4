/* A call that is cancelled during an attempt: unless the attempt succeeds, it
 * counts for neither breaker nor budget. */
#include "guarded.h"

#define KEYS                                                                  \
    "retry_on=transient\nattempts=5\nwait=fixed\nwait_jitter=none\n"          \
    "wait_initial=100ms\n"                                                    \
    "budget=own\nbudget_capacity=10\nbudget_cost=5\nbudget_deposit=0\n"       \
    "breaker=on\nbreaker_consecutive=2\nbreaker_open_for=1s\nbreaker_probes=" \
    "1\n"

/* Begins a call and its first attempt. */
static void
start(struct guarded *s, struct machine *m, uint64_t at_ms)
{
    assert_int_equal(machine_begin(m, s->p, &s->g, TIME0 + at_ms * MS),
                     MACHINE_GO);
    machine_started(m, TIME0 + at_ms * MS);
}

static enum machine_says
end(struct guarded *s, struct machine *m, struct bide_outcome o, uint64_t at_ms)
{
    return machine_ended(m, s->p, &s->g, o, TIME0 + at_ms * MS, 1, 0);
}

static void
end_cancelled(struct guarded *s, struct machine *m, struct bide_outcome o,
              uint64_t at_ms)
{
    m->cancelled = true;
    assert_int_equal(end(s, m, o, at_ms), MACHINE_DONE);
}

/* Outcomes that are retried and never retried. */
static struct bide_outcome
bad(int i)
{
    return bide_http(i % 2 ? 404 : 503, NULL);
}

static void
a_cancelled_attempt_counts_for_neither_breaker_nor_budget(void **state)
{
    struct guarded *s = guarded_new(KEYS "budget_charge=failure\n");
    struct machine m;

    (void)state;
    for (int i = 0; i < 6; i++) {
        start(s, &m, 0);
        end_cancelled(s, &m, bad(i), 7);
        assert_int_equal(m.verdict, BIDE_CANCELLED);
        assert_int_equal(m.reason, BIDE_BY_CANCELLED);
        assert_int_equal(m.end, BIDE_END_NONE);
        assert_int_equal(m.last.code, bad(i).code);
        assert_int_equal(m.ended_ns, TIME0 + 7 * MS);
    }
    assert_int_equal(s->total.answers, 0);
    assert_int_equal(s->breaker.run, 0);
    assert_int_equal(guarded_state(s, 7), STATE_CLOSED);
    assert_int_equal(guarded_tokens(s, TIME0), 10000);
    start(s, &m, 0);
    end_cancelled(s, &m, bide_ok(), 7);
    assert_int_equal(m.verdict, BIDE_SUCCEEDED);
    assert_int_equal(s->total.answers, 1);
    guarded_free(s);
}

static void
a_cancelled_attempt_ends_no_row_of_failures(void **state)
{
    struct guarded *s = guarded_new(KEYS "attempts=1\n");
    struct machine m;

    (void)state;
    start(s, &m, 0);
    end(s, &m, bad(0), 0);
    start(s, &m, 0);
    end_cancelled(s, &m, bad(1), 0);
    assert_int_equal(s->breaker.run, 1);
    guarded_free(s);
}

static void
a_cancelled_retry_is_not_charged(void **state)
{
    struct guarded *s = guarded_new(KEYS);
    struct machine m;

    (void)state;
    start(s, &m, 0);
    assert_int_equal(end(s, &m, bad(0), 0), MACHINE_WAIT);
    assert_int_equal(guarded_tokens(s, TIME0), 5000);
    assert_int_equal(machine_due(&m, s->p, &s->g, TIME0 + 100 * MS),
                     MACHINE_GO);
    machine_started(&m, TIME0 + 100 * MS);
    end_cancelled(s, &m, bad(0), 100);
    assert_int_equal(m.attempts, 2);
    assert_int_equal(guarded_tokens(s, TIME0), 10000);
    guarded_free(s);
}

static void
a_cancelled_probe_frees_its_place_and_decides_nothing(void **state)
{
    struct guarded *s = guarded_new(KEYS "attempts=1\n");
    struct machine m;

    (void)state;
    for (int i = 0; i < 2; i++) {
        start(s, &m, 0);
        end(s, &m, bad(0), 0);
    }
    assert_int_equal(guarded_state(s, 0), STATE_OPEN);
    for (int i = 0; i < 4; i++) {
        start(s, &m, 1000);
        end_cancelled(s, &m, bad(i), 1000);
        assert_int_equal(guarded_state(s, 1000), STATE_HALF_OPEN);
    }
    start(s, &m, 1000);
    end_cancelled(s, &m, bide_ok(), 1000);
    assert_int_equal(guarded_state(s, 1000), STATE_CLOSED);
    guarded_free(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_cancelled_attempt_counts_for_neither_breaker_nor_budget),
        cmocka_unit_test(a_cancelled_attempt_ends_no_row_of_failures),
        cmocka_unit_test(a_cancelled_retry_is_not_charged),
        cmocka_unit_test(a_cancelled_probe_frees_its_place_and_decides_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
