/* A call that is cancelled while its attempt runs: such an attempt counts for
 * neither breaker nor budget, in each driver. */
#include "unit/registry/scene.h"

/* Two failures, or one failed probe, open the breaker; a retry costs half of
 * the budget, and so does each failure. */
static const char shop[] = "[shop]\n"
                           "retry_on = transient\n"
                           "attempts = 3\n"
                           "wait = fixed\n"
                           "wait_initial = 100ms\n"
                           "wait_jitter = none\n"
                           "importance = postponable\n"
                           "breaker = on\n"
                           "breaker_consecutive = 2\n"
                           "breaker_open_for = 30s\n"
                           "breaker_probes = 1\n"
                           "budget = own\n"
                           "budget_capacity = 10\n"
                           "budget_cost = 5\n"
                           "budget_refill = 0/s\nbudget_deposit = 0\n";

struct cancelling {
    struct scene *s;
    struct bide_call call;
    struct bide_outcome outcome;
    uint32_t at; /* the attempt that is cancelled; earlier ones fail */
    unsigned attempts;
    bool from_thread;
};

static void *
cancel_in_thread(void *call)
{
    bide_call_cancel(call);
    return NULL;
}

static void
cancel(struct cancelling *t)
{
    pthread_t thread;

    if (!t->from_thread) {
        bide_call_cancel(&t->call);
        return;
    }
    assert_int_equal(pthread_create(&thread, NULL, cancel_in_thread, &t->call),
                     0);
    pthread_join(thread, NULL);
}

static struct bide_outcome
attempt(const struct bide_attempt *a, void *arg)
{
    struct cancelling *t = arg;

    t->attempts++;
    t->s->now += MS;
    if (a->number < t->at) {
        return bide_http(503, NULL);
    }
    cancel(t);
    return t->outcome;
}

/* ---- the drivers: each runs a call that `attempt` cancels ---- */

static void
drive_run(struct cancelling *t, struct bide_policy *p)
{
    bide_call_run(&t->call, p, attempt, t);
}

static void
drive_block(struct cancelling *t, struct bide_policy *p)
{
    BIDE_TRY(&t->call, p)
    {
        bide_call_outcome(&t->call, attempt(bide_call_attempt(&t->call), t));
    }
}

static void
drive_steps(struct cancelling *t, struct bide_policy *p)
{
    enum bide_next next = bide_step_begin(&t->call, p, NULL);

    while (next != BIDE_DONE) {
        if (next == BIDE_GO) {
            next = bide_step_ended(&t->call,
                                   attempt(bide_call_attempt(&t->call), t));
            continue;
        }
        t->s->now = bide_step_deadline_ns(&t->call);
        next = bide_step_resume(&t->call);
    }
}

static void
drive_work(struct cancelling *t, struct bide_policy *p)
{
    const struct bide_work work = {.bytes = "x", .length = 1};
    enum bide_next next = bide_step_begin(&t->call, p, NULL);

    if (next != BIDE_DONE) {
        assert_int_equal(bide_call_set_work(&t->call, &work), 0);
    }
    while (next == BIDE_GO) {
        next =
            bide_step_ended(&t->call, attempt(bide_call_attempt(&t->call), t));
    }
}

static void
drive_abandon(struct cancelling *t, struct bide_policy *p)
{
    BIDE_TRY(&t->call, p)
    {
        t->attempts++;
        if (bide_call_attempt(&t->call)->number < t->at) {
            bide_call_outcome(&t->call, bide_http(503, NULL));
            continue;
        }
        bide_call_abandon(&t->call);
        break;
    }
}

typedef void driver(struct cancelling *t, struct bide_policy *p);
static driver *const drivers[] = {drive_run, drive_block, drive_steps,
                                  drive_work};

/* Cancels attempt `at` of a call, which ends with `o`. */
static struct bide_result
cancel_attempt(struct scene *s, driver *drive, uint32_t at,
               struct bide_outcome o, bool from_thread)
{
    struct cancelling t = {
        .s = s, .outcome = o, .at = at, .from_thread = from_thread};

    drive(&t, scene_policy(s, "shop"));
    assert_int_equal(t.attempts, at);
    return *bide_call_result(&t.call);
}

static void
assert_cancelled(const struct bide_result *r, uint32_t attempts)
{
    assert_int_equal(r->verdict, BIDE_CANCELLED);
    assert_int_equal(r->reason, BIDE_BY_CANCELLED);
    assert_int_equal(r->end, BIDE_END_NONE);
    assert_int_equal(r->deferred_id, 0);
    assert_int_equal(r->attempts, attempts);
}

/* The verdicts count each call once, and each attempt is in one histogram. */
static void
assert_counted(struct scene *s, uint64_t calls, uint64_t attempts)
{
    struct bide_stats n = scene_stats(s, "shop");

    assert_int_equal(n.succeeded + n.exhausted + n.refused + n.rejected +
                         n.cancelled,
                     calls);
    assert_int_equal(n.attempts, attempts);
}

/* ---- the breaker ---- */

static void
cancelled_attempts_do_not_open_the_breaker(void **state)
{
    struct scene *s = *state;
    uint64_t calls = 0;

    scene_start(s, shop);
    for (int thread = 0; thread < 2; thread++) {
        for (size_t i = 0; i < COUNT(drivers); i++) {
            struct bide_result r =
                cancel_attempt(s, drivers[i], 1, bide_http(503, NULL), thread);

            assert_cancelled(&r, 1);
            assert_int_equal(r.outcome.code, 503);
            r = cancel_attempt(s, drivers[i], 1, bide_http(404, NULL), thread);
            assert_cancelled(&r, 1);
            calls += 2;
        }
    }
    assert_int_equal(scene_stats(s, "shop").cancelled, calls);
    assert_counted(s, calls, calls);
    assert_int_equal(cancel_attempt(s, drive_run, 1, bide_ok(), false).verdict,
                     BIDE_SUCCEEDED);
    assert_counted(s, calls + 1, calls + 1);
}

static void
a_cancelled_attempt_ends_no_row_of_failures(void **state)
{
    struct scene *s = *state;
    const struct bide_outcome bad = bide_http(503, NULL);

    scene_start(s, shop);
    scene_set(s, "shop", "attempts", "1");
    assert_int_equal(scene_run(s, "shop", &bad, 1, NULL), BIDE_EXHAUSTED);
    cancel_attempt(s, drive_run, 1, bide_http(404, NULL), false);
    assert_int_equal(scene_run(s, "shop", &bad, 1, NULL), BIDE_EXHAUSTED);
    assert_int_equal(scene_run(s, "shop", &bad, 1, NULL), BIDE_REFUSED);
}

static void
a_cancelled_probe_leaves_its_place_to_the_next(void **state)
{
    struct scene *s = *state;
    const struct bide_outcome bad = bide_http(503, NULL), ok = bide_ok();

    scene_start(s, shop);
    scene_set(s, "shop", "attempts", "1");
    scene_run(s, "shop", &bad, 1, NULL);
    scene_run(s, "shop", &bad, 1, NULL);
    assert_int_equal(scene_run(s, "shop", &ok, 1, NULL), BIDE_REFUSED);
    s->now += 30 * SECOND;
    for (size_t i = 0; i < COUNT(drivers); i++) {
        /* Counted, a 404 closes the breaker and a 503 opens it. */
        struct bide_result r = cancel_attempt(
            s, drivers[i], 1, bide_http(i % 2 ? 404 : 503, NULL), false);

        assert_cancelled(&r, 1);
        r = cancel_attempt(s, drive_abandon, 1, ok, false);
        assert_cancelled(&r, 1);
    }
    /* Still half open: one failed probe opens it. */
    assert_int_equal(scene_run(s, "shop", &bad, 1, NULL), BIDE_EXHAUSTED);
    assert_int_equal(scene_run(s, "shop", &ok, 1, NULL), BIDE_REFUSED);
    s->now += 30 * SECOND;
    /* A probe that succeeded closes it, cancelled or not. */
    assert_int_equal(cancel_attempt(s, drive_run, 1, ok, false).verdict,
                     BIDE_SUCCEEDED);
    assert_int_equal(scene_run(s, "shop", &bad, 1, NULL), BIDE_EXHAUSTED);
    assert_int_equal(scene_run(s, "shop", &ok, 1, NULL), BIDE_SUCCEEDED);
}

/* ---- the budget ---- */

static void
a_cancelled_retry_costs_nothing(void **state)
{
    static driver *const all[] = {drive_run, drive_block, drive_steps,
                                  drive_abandon};
    struct scene *s = *state;

    scene_start(s, shop);
    scene_set(s, "shop", "breaker", "off");
    for (int i = 0; i < 12; i++) {
        struct bide_result r = cancel_attempt(s, all[i % COUNT(all)], 2,
                                              bide_http(503, NULL), i % 3);

        assert_cancelled(&r, 2);
    }
    assert_int_equal(scene_attempts(s, "shop"), 3); /* both are paid */
    assert_int_equal(scene_attempts(s, "shop"), 1);
}

static void
a_cancelled_failure_costs_nothing(void **state)
{
    struct scene *s = *state;

    scene_start(s, shop);
    scene_set(s, "shop", "breaker", "off");
    scene_set(s, "shop", "budget_charge", "failure");
    for (size_t i = 0; i < COUNT(drivers); i++) {
        cancel_attempt(s, drivers[i], 1, bide_http(503, NULL), false);
    }
    assert_int_equal(scene_attempts(s, "shop"), 2); /* with half of it left */
}

/* ---- other moments ---- */

static void
a_call_cancelled_before_an_attempt_makes_none(void **state)
{
    struct scene *s = *state;
    struct bide_call c = {0};

    scene_start(s, shop);
    bide_call_cancel(&c);
    BIDE_TRY(&c, scene_policy(s, "shop"))
    {
        fail();
    }
    assert_cancelled(bide_call_result(&c), 0);
    bide_call_init(&c);
    bide_step_begin(&c, scene_policy(s, "shop"), NULL);
    bide_step_ended(&c, bide_http(503, NULL));
    s->now += 100 * MS;
    bide_call_cancel(&c);
    assert_int_equal(bide_step_resume(&c), BIDE_DONE);
    assert_cancelled(bide_call_result(&c), 1);
    assert_counted(s, 2, 1);
    assert_int_equal(scene_attempts(s, "shop"), 1); /* the second failure */
    assert_int_equal(bide_close(s->b), 0);
    s->b = NULL;
}

/* A cancellation that comes before the thread of the call has begun it must
 * not be lost. */
static void
a_call_cancelled_before_it_begins_ends_at_once(void **state)
{
    struct scene *s = *state;
    uint64_t calls = 0;

    scene_start(s, shop);
    for (size_t i = 0; i < COUNT(drivers); i++) {
        struct cancelling t = {.s = s, .from_thread = i % 2};

        cancel(&t);
        for (int again = 0; again < 2; again++) { /* it stays */
            drivers[i](&t, scene_policy(s, "shop"));
            assert_cancelled(bide_call_result(&t.call), 0);
            calls++;
        }
        bide_call_init(&t.call);
        t.outcome = bide_ok();
        drivers[i](&t, scene_policy(s, "shop"));
        assert_int_equal(bide_call_result(&t.call)->verdict, BIDE_SUCCEEDED);
        assert_int_equal(t.attempts, 1);
    }
    assert_int_equal(scene_stats(s, "shop").cancelled, calls);
}

/* Cancelled, not refused: its work is not stored. */
static void
a_call_cancelled_before_it_begins_is_not_deferred(void **state)
{
    static const char *const rules[][2] = {
        {"paused", "yes"}, {"paused", "no"}, {"breaker", "open"}};
    const struct bide_work work = {.bytes = "x", .length = 1};
    struct scene *s = *state;
    struct bide_deferred *d;

    scene_start(s, shop);
    for (size_t i = 0; i < COUNT(rules); i++) {
        for (int deadline = 0; deadline < 2; deadline++) {
            struct bide_call c = {0};

            scene_set(s, "shop", rules[i][0], rules[i][1]);
            assert_int_equal(bide_call_set_work(&c, &work), 0);
            if (deadline) {
                bide_call_set_deadline_ns(&c, s->now - 1);
            }
            bide_call_cancel(&c);
            assert_int_equal(bide_step_begin(&c, scene_policy(s, "shop"), NULL),
                             BIDE_DONE);
            assert_cancelled(bide_call_result(&c), 0);
        }
    }
    assert_int_equal(scene_stats(s, "shop").refused, 0);
    assert_int_equal(bide_deferred_take(scene_policy(s, "shop"), 0, 1, &d), 0);
    scene_close(s);
}

/* ---- hooks: each may cancel the call ---- */

struct canceller {
    struct bide_call call;
    int at; /* the hook that cancels */
};

static void
cancel_at(struct canceller *h, const struct bide_call *c, int at)
{
    assert_ptr_equal(c, &h->call);
    if (h->at == at) {
        bide_call_cancel(&h->call);
    }
}

static void
cancel_before_attempt(void *arg, const struct bide_call *c,
                      const struct bide_attempt *a)
{
    (void)a;
    cancel_at(arg, c, 0);
}

static void
cancel_after_attempt(void *arg, const struct bide_call *c,
                     const struct bide_attempt *a, const struct bide_outcome *o,
                     uint64_t took_ns)
{
    (void)a;
    (void)o;
    (void)took_ns;
    cancel_at(arg, c, 1);
}

static void
cancel_before_wait(void *arg, const struct bide_call *c, uint32_t attempts,
                   const struct bide_outcome *o, uint64_t wait_ns)
{
    (void)attempts;
    (void)o;
    (void)wait_ns;
    cancel_at(arg, c, 2);
}

static void
a_hook_may_cancel_the_call(void **state)
{
    struct scene *s = *state;
    const struct bide_outcome bad = bide_http(503, NULL);
    struct canceller h = {.at = 0};
    const struct bide_hooks hooks = {.arg = &h,
                                     .before_attempt = cancel_before_attempt,
                                     .after_attempt = cancel_after_attempt,
                                     .before_wait = cancel_before_wait};

    scene_init(s);
    scene_apply(s, shop);
    scene_open_with(s, 1, &hooks);
    s->outcomes = &bad;
    s->outcome_count = 1;
    for (; h.at < 3; h.at++) {
        bide_call_init(&h.call);
        bide_call_run(&h.call, scene_policy(s, "shop"), scene_attempt, s);
        assert_cancelled(bide_call_result(&h.call), 1);
    }
    /* Only the last one cancelled after the attempt had failed. */
    bide_call_init(&h.call);
    s->made = 0;
    bide_call_run(&h.call, scene_policy(s, "shop"), scene_attempt, s);
    assert_int_equal(s->made, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(cancelled_attempts_do_not_open_the_breaker),
        SCENE(a_cancelled_attempt_ends_no_row_of_failures),
        SCENE(a_cancelled_probe_leaves_its_place_to_the_next),
        SCENE(a_cancelled_retry_costs_nothing),
        SCENE(a_cancelled_failure_costs_nothing),
        SCENE(a_call_cancelled_before_an_attempt_makes_none),
        SCENE(a_call_cancelled_before_it_begins_ends_at_once),
        SCENE(a_call_cancelled_before_it_begins_is_not_deferred),
        SCENE(a_hook_may_cancel_the_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
