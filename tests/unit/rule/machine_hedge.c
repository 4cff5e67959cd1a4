/* Attempts beside one that runs: when they start, what they pay and hold, and
 * how a call with several attempts ends. */
#include "guarded.h"

#include "rule/place.h"

#define CALL                                                   \
    "retry_on=any\nattempts=4\nwait=fixed\nwait_jitter=none\n" \
    "wait_initial=100ms\nhedge_after=50ms\n"
#define TWO CALL "hedge_max=2\n"
#define LIMIT "limit=own\nlimit_places=2\n"
#define COSTS \
    "budget=own\nbudget_capacity=10\nbudget_cost=1\nbudget_refill=0/s\n"

struct hedged {
    struct guarded *s;
    struct limits limits;
    struct hedges memory;
    struct machine m;
};

/* Begins a call whose first attempt starts at 0. */
static struct hedged *
hedged_new(const char *keys)
{
    struct hedged *h = calloc(1, sizeof(*h));

    assert_non_null(h);
    h->s = guarded_new(keys);
    if (strstr(keys, "limit=own")) {
        h->s->g.places = &h->limits.places;
        h->s->g.slots = h->limits.slot;
        h->s->g.owner = 7;
    }
    assert_int_equal(machine_begin(&h->m, h->s->p, &h->s->g, TIME0),
                     MACHINE_GO);
    h->m.hedges = &h->memory;
    machine_started(&h->m, TIME0);
    machine_hedge_after(&h->m, h->s->p->hedge.ns);
    return h;
}

static void
hedged_free(struct hedged *h)
{
    guarded_free(h->s);
    free(h);
}

static int
places_held(const struct hedged *h)
{
    return (int)place_used(h->limits.slot);
}

static bool
hedge_at(struct hedged *h, uint64_t at_ms)
{
    return machine_hedge(&h->m, h->s->p, &h->s->g, TIME0 + at_ms * MS);
}

static enum machine_says
end_at(struct hedged *h, uint32_t number, struct bide_outcome o, uint64_t at_ms)
{
    machine_pick(&h->m, number);
    assert_int_equal(machine_number(&h->m), number);
    return machine_ended(&h->m, h->s->p, &h->s->g, o, TIME0 + at_ms * MS, 1, 0);
}

enum event { HEDGE, SKIP, OK, FAIL, REJECT, CANCEL, RETRY };

struct step {
    uint64_t at_ms;
    enum event event;
    uint32_t number;        /* of the attempt that ends */
    enum machine_says says; /* after OK, FAIL, REJECT */
    uint32_t running;       /* attempts, after the event, in GO */
    uint64_t next_ms;       /* the next hedge, 0: none; or the end of a WAIT */
    uint64_t answers, failed; /* that the breaker has seen */
};

static void
play_step(struct hedged *h, const struct step *s)
{
    const uint64_t now = TIME0 + s->at_ms * MS;
    uint64_t next;

    switch (s->event) {
    case HEDGE:
    case SKIP:
        assert_int_equal(hedge_at(h, s->at_ms), s->event == HEDGE);
        break;
    case CANCEL:
        machine_cancel(&h->m, h->s->p, &h->s->g, now);
        break;
    case RETRY:
        assert_int_equal(machine_due(&h->m, h->s->p, &h->s->g, now),
                         MACHINE_GO);
        machine_started(&h->m, now);
        machine_hedge_after(&h->m, h->s->p->hedge.ns);
        break;
    default:
        end_at(h, s->number,
               s->event == OK     ? bide_ok()
               : s->event == FAIL ? bide_app("x")
                                  : bide_http(404, NULL),
               s->at_ms);
    }
    assert_int_equal(h->m.state, s->says);
    assert_int_equal(h->s->total.answers, s->answers);
    assert_int_equal(h->s->total.failed, s->failed);
    next =
        s->says == MACHINE_GO ? machine_hedge_ns(&h->m, h->s->p) : h->m.wake_ns;
    if (s->says != MACHINE_DONE) {
        assert_int_equal(next,
                         s->next_ms ? TIME0 + s->next_ms * MS : DURATION_NONE);
    }
    assert_int_equal(h->memory.count + 1, s->running ? s->running : 1);
}

#define PLAY(keys, verdict_, reason_, attempts_, ...)     \
    do {                                                  \
        static const struct step steps[] = {__VA_ARGS__}; \
        struct hedged *h = hedged_new(keys);              \
                                                          \
        for (size_t i = 0; i < COUNT(steps); i++) {       \
            play_step(h, &steps[i]);                      \
        }                                                 \
        assert_int_equal(h->m.verdict, verdict_);         \
        assert_int_equal(h->m.reason, reason_);           \
        assert_int_equal(h->m.attempts, attempts_);       \
        assert_int_equal(places_held(h), 0);              \
        hedged_free(h);                                   \
    } while (0)

static void
the_first_success_ends_the_call_and_the_others_do_not_count(void **state)
{
    (void)state;
    PLAY(CALL LIMIT, BIDE_SUCCEEDED, BIDE_BY_NONE, 2,
         {49, SKIP, 0, MACHINE_GO, 1, 50, 0, 0},
         {50, HEDGE, 0, MACHINE_GO, 2, 0, 0, 0},
         {60, OK, 2, MACHINE_DONE, 0, 0, 1, 0});
    PLAY(CALL LIMIT, BIDE_SUCCEEDED, BIDE_BY_NONE, 2,
         {55, HEDGE, 0, MACHINE_GO, 2, 0, 0, 0},
         {60, OK, 1, MACHINE_DONE, 0, 0, 1, 0});
}

static void
a_failure_is_counted_and_the_last_one_decides(void **state)
{
    (void)state;
    PLAY(TWO, BIDE_SUCCEEDED, BIDE_BY_NONE, 4,
         {50, HEDGE, 0, MACHINE_GO, 2, 100, 0, 0},
         {100, HEDGE, 0, MACHINE_GO, 3, 0, 0, 0},
         {110, FAIL, 1, MACHINE_GO, 2, 150, 1, 1},
         {120, FAIL, 3, MACHINE_GO, 1, 150, 2, 2},
         {130, FAIL, 2, MACHINE_WAIT, 0, 230, 3, 3},
         {230, RETRY, 0, MACHINE_GO, 1, 0, 3, 3},
         {240, OK, 4, MACHINE_DONE, 0, 0, 4, 3});
}

static void
attempts_counts_hedges(void **state)
{
    (void)state;
    PLAY(TWO "attempts=2", BIDE_EXHAUSTED, BIDE_BY_ATTEMPTS, 2,
         {50, HEDGE, 0, MACHINE_GO, 2, 0, 0, 0},
         {100, SKIP, 0, MACHINE_GO, 2, 0, 0, 0},
         {110, FAIL, 2, MACHINE_GO, 1, 0, 1, 1},
         {120, FAIL, 1, MACHINE_DONE, 0, 0, 2, 2});
}

static void
a_rejection_ends_the_call(void **state)
{
    (void)state;
    PLAY(TWO LIMIT "never_on=http.404", BIDE_REJECTED, BIDE_BY_REJECTED, 2,
         {50, HEDGE, 0, MACHINE_GO, 2, 100, 0, 0},
         {60, REJECT, 1, MACHINE_DONE, 0, 0, 1, 0});
}

static void
a_cancelled_call_gives_all_places_back(void **state)
{
    (void)state;
    PLAY(CALL LIMIT, BIDE_CANCELLED, BIDE_BY_CANCELLED, 2,
         {50, HEDGE, 0, MACHINE_GO, 2, 0, 0, 0},
         {60, CANCEL, 0, MACHINE_DONE, 0, 0, 0, 0});
}

static void
no_hedge_starts_at_the_deadline_or_under_a_pause(void **state)
{
    struct hedged *h = hedged_new(CALL "deadline=50ms");

    (void)state;
    assert_false(hedge_at(h, 50));
    guarded_change(h->s, CALL "paused=yes");
    assert_false(hedge_at(h, 100));
    guarded_change(h->s, CALL "hedge_after=none");
    assert_int_equal(machine_hedge_ns(&h->m, h->s->p), DURATION_NONE);
    hedged_free(h);
}

static void
a_hedge_that_would_wait_is_skipped_and_pays_nothing(void **state)
{
    struct hedged *h = hedged_new(CALL COSTS LIMIT "limit_wait=1m");
    _Atomic uint64_t *other =
        &h->limits.slot[atomic_load(&h->limits.slot[0]) ? 8 : 0];

    (void)state;
    atomic_store(other, 1ull << 63); /* some process */
    assert_false(hedge_at(h, 50));
    assert_int_equal(atomic_load(&h->limits.places.waiting), 0);
    assert_int_equal(guarded_tokens(h->s, TIME0), 10000);
    atomic_store(other, 0);
    assert_false(hedge_at(h, 99)); /* once more after another hedge_after */
    assert_true(hedge_at(h, 100));
    assert_int_equal(places_held(h), 2);
    assert_int_equal(guarded_tokens(h->s, TIME0), 9000);
    assert_int_equal(end_at(h, 2, bide_app("x"), 110), MACHINE_GO);
    assert_int_equal(places_held(h), 1); /* the first attempt runs on */
    hedged_free(h);
}

static void
without_tokens_no_hedge_starts(void **state)
{
    struct hedged *h = hedged_new(CALL COSTS LIMIT);

    (void)state;
    guarded_drain(h->s, TIME0);
    assert_false(hedge_at(h, 50));
    assert_int_equal(places_held(h), 1);
    hedged_free(h);
}

static void
a_breaker_that_is_not_closed_lets_no_hedge_out(void **state)
{
    struct hedged *h = hedged_new(
        CALL COSTS "breaker=on\nbreaker_consecutive=1\nbreaker_open_for=10ms");
    struct machine other;

    (void)state;
    machine_begin(&other, h->s->p, &h->s->g, TIME0);
    machine_started(&other, TIME0);
    machine_ended(&other, h->s->p, &h->s->g, bide_app("x"), TIME0, 1, 0);
    assert_int_equal(guarded_state(h->s, 5), STATE_OPEN);
    assert_false(hedge_at(h, 50)); /* half open: it is no probe */
    for (int i = 0; i < PROBES_MAX; i++) {
        assert_int_equal(h->s->rings.probe[i], 0);
    }
    assert_int_equal(h->s->rings.half_opened, 0); /* not even asked */
    assert_int_equal(h->m.attempts, 1);
    hedged_free(h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            the_first_success_ends_the_call_and_the_others_do_not_count),
        cmocka_unit_test(a_failure_is_counted_and_the_last_one_decides),
        cmocka_unit_test(attempts_counts_hedges),
        cmocka_unit_test(a_rejection_ends_the_call),
        cmocka_unit_test(a_cancelled_call_gives_all_places_back),
        cmocka_unit_test(no_hedge_starts_at_the_deadline_or_under_a_pause),
        cmocka_unit_test(a_hedge_that_would_wait_is_skipped_and_pays_nothing),
        cmocka_unit_test(without_tokens_no_hedge_starts),
        cmocka_unit_test(a_breaker_that_is_not_closed_lets_no_hedge_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
