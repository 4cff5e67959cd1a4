/* BIDE_TRY, steps, the descriptor, cancelling. */
#define SCENE_FLAGS 0
#include "unit/registry/scene.h"

static const char shop[] = "[shop]\n"
                           "attempts = 3\n"
                           "wait = fixed\n"
                           "wait_initial = 100ms\n"
                           "wait_max = 1h\n"
                           "wait_jitter = none\n";

/* ---- BIDE_TRY ---- */

static void
the_block_runs_once_for_each_attempt(void **state)
{
    struct scene *s = *state;
    struct bide_call call;
    unsigned times = 0;

    scene_start(s, shop);
    BIDE_TRY(&call, scene_policy(s, "shop"))
    {
        times++;
        assert_int_equal(call.attempt.number, times);
        s->now += 5 * MS;
        bide_call_outcome(&call, times < 3 ? bide_http(503, NULL) : bide_ok());
        bide_call_outcome(&call, bide_http(404, NULL)); /* ignored */
    }
    assert_int_equal(times, 3);
    assert_int_equal(call.result.verdict, BIDE_SUCCEEDED);
    assert_int_equal(call.result.attempts, 3);
    assert_int_equal(call.result.slept_ns, 200 * MS);
    assert_int_equal(call.result.elapsed_ns, 215 * MS);
    assert_int_equal(bide_call_next(&call), 0);
    assert_int_equal(scene_stats(s, "shop").recovered, 1);
}

static void
a_block_without_an_outcome_has_failed(void **state)
{
    struct scene *s = *state;
    struct bide_call call;
    char name[64];
    int times = 0;

    scene_start(s, "[shop]\nattempts = 3\nwait = none\n"
                   "retry_on = app.no_outcome\n");
    BIDE_TRY(&call, scene_policy(s, "shop"))
    {
        times++;
    }
    assert_int_equal(times, 3);
    assert_int_equal(call.result.verdict, BIDE_EXHAUSTED);
    bide_outcome_name(call.result.outcome, name, sizeof(name));
    assert_string_equal(name, "app.no_outcome");
    scene_set(s, "shop", "retry_on", "transient");
    BIDE_TRY(&call, scene_policy(s, "shop"))
    {
        times++;
    }
    assert_int_equal(times, 4);
    assert_int_equal(call.result.verdict, BIDE_REJECTED);
}

static void
a_refused_block_never_runs(void **state)
{
    struct scene *s = *state;
    struct bide_call call;

    scene_start(s, "[shop]\npaused = yes\nimportance = postponable\n");
    BIDE_TRY(&call, scene_policy(s, "shop"))
    {
        fail();
    }
    assert_int_equal(call.result.verdict, BIDE_REFUSED);
    assert_int_equal(call.result.reason, BIDE_BY_PAUSED);
    assert_int_equal(call.result.end, BIDE_DEFERRED);
    assert_int_equal(call.result.attempts, 0);
}

static void
abandoning_a_call_cancels_it(void **state)
{
    struct scene *s = *state;
    struct bide_call call;
    struct bide_stats stats;

    scene_start(s, shop);
    BIDE_TRY(&call, scene_policy(s, "shop"))
    {
        s->now += 5 * MS;
        bide_call_abandon(&call);
        break;
    }
    assert_int_equal(call.result.verdict, BIDE_CANCELLED);
    assert_int_equal(call.result.elapsed_ns, 5 * MS);
    bide_call_abandon(&call); /* does nothing */
    stats = scene_stats(s, "shop");
    assert_int_equal(stats.cancelled, 1);
    assert_int_equal(stats.succeeded, 0);
    /* Abandoned before its first attempt, and while it waits. */
    bide_call_begin(&call, scene_policy(s, "shop"));
    assert_int_equal(bide_close(s->b), BIDE_EBUSY);
    bide_call_abandon(&call);
    assert_int_equal(call.result.attempts, 0);
    bide_step_begin(&call, scene_policy(s, "shop"));
    bide_step_ended(&call, bide_http(503, NULL));
    s->now += 30 * MS;
    bide_call_abandon(&call);
    assert_int_equal(call.result.verdict, BIDE_CANCELLED);
    assert_int_equal(call.result.slept_ns, 30 * MS);
    assert_int_equal(scene_stats(s, "shop").cancelled, 3);
    assert_int_equal(scene_stats(s, "shop").slept_ns, 30 * MS);
    assert_int_equal(scene_sleepers(s), 0);
}

/* ---- steps ---- */

static void
steps_return_the_time_of_the_next_attempt(void **state)
{
    struct scene *s = *state;
    struct bide_call c;
    uint64_t t0;

    scene_start(s, shop);
    t0 = s->now;
    assert_int_equal(bide_step_begin(&c, scene_policy(s, "shop")), BIDE_GO);
    assert_int_equal(c.attempt.number, 1);
    assert_int_equal(bide_step_resume(&c), BIDE_GO); /* in progress */
    s->now += 3 * MS;
    assert_int_equal(bide_step_ended(&c, bide_http(503, NULL)), BIDE_WAIT);
    assert_int_equal(bide_step_deadline_ns(&c), t0 + 103 * MS);
    s->now = t0 + 103 * MS - 1;
    assert_int_equal(bide_step_resume(&c), BIDE_WAIT);
    assert_int_equal(bide_step_deadline_ns(&c), t0 + 103 * MS);
    s->now = t0 + 103 * MS;
    assert_int_equal(bide_step_resume(&c), BIDE_GO);
    assert_int_equal(c.attempt.number, 2);
    s->now += 3 * MS;
    assert_int_equal(bide_step_ended(&c, bide_ok()), BIDE_DONE);
    assert_int_equal(c.result.verdict, BIDE_SUCCEEDED);
    assert_int_equal(c.result.slept_ns, 100 * MS);
    assert_int_equal(c.result.elapsed_ns, 106 * MS);
    assert_int_equal(bide_step_resume(&c), BIDE_DONE);
    assert_int_equal(bide_step_ended(&c, bide_ok()), BIDE_DONE);
    assert_int_equal(bide_step_deadline_ns(&c), 0);
    assert_int_equal(scene_stats(s, "shop").succeeded, 1);
}

static void
a_paused_policy_refuses_steps(void **state)
{
    struct scene *s = *state;
    struct bide_call c;

    scene_start(s, "[shop]\npaused = yes\n");
    assert_int_equal(bide_step_begin(&c, scene_policy(s, "shop")),
                     BIDE_NOT_LET_OUT);
    assert_int_equal(c.result.verdict, BIDE_REFUSED);
    assert_int_equal(bide_step_resume(&c), BIDE_DONE);
    assert_int_equal(scene_stats(s, "shop").refused, 1);
}

struct turn {
    const char *key, *value;
    enum bide_next says;
    uint64_t until_ms; /* since the attempt ended */
};

static void
a_change_decides_a_waiting_step_again(void **state)
{
    static const struct turn turns[] = {
        {"description", "the same", BIDE_WAIT, 100},
        {"wait_initial", "3m", BIDE_WAIT, 180000},
        {"wait_initial", "50ms", BIDE_WAIT, 50},
        {"wait_max", "40ms", BIDE_WAIT, 40},
        {"wait_initial", "10ms", BIDE_GO, 0}, /* 20 ms are over */
        {"attempts", "1", BIDE_DONE, 0},
        {"deadline", "100ms", BIDE_DONE, 0},
        {"deadline", "101ms", BIDE_WAIT, 100},
        {"max_elapsed", "1ms", BIDE_WAIT, 100},    /* as of its end */
        {"retry_on", "errno.EIO", BIDE_WAIT, 100}, /* not judged again */
        {"paused", "yes", BIDE_WAIT, 100},         /* new calls only */
    };
    struct scene *s = *state;
    size_t i;

    scene_start(s, shop);
    for (i = 0; i < COUNT(turns); i++) {
        struct bide_call c;
        uint64_t ended = s->now;

        scene_apply(s, shop);
        bide_step_begin(&c, scene_policy(s, "shop"));
        assert_int_equal(bide_step_ended(&c, bide_http(503, NULL)), BIDE_WAIT);
        s->now += 20 * MS;
        scene_set(s, "shop", turns[i].key, turns[i].value);
        print_message("         %s = %s\n", turns[i].key, turns[i].value);
        assert_int_equal(bide_step_resume(&c), turns[i].says);
        if (turns[i].says == BIDE_WAIT) {
            assert_int_equal(bide_step_deadline_ns(&c),
                             ended + turns[i].until_ms * MS);
        }
        bide_call_abandon(&c);
        s->now += SECOND;
    }
}

static void
the_same_rules_again_keep_a_random_wait(void **state)
{
    struct scene *s = *state;
    struct bide_call c;
    uint64_t until;
    int i;

    scene_start(s, "[shop]\nattempts = 9\nwait_initial = 1m\nwait_max = 1h\n");
    bide_step_begin(&c, scene_policy(s, "shop"));
    bide_step_ended(&c, bide_http(503, NULL));
    until = bide_step_deadline_ns(&c);
    for (i = 0; i < 20; i++) {
        scene_set(s, "shop", "attempts", i % 2 ? "9" : "8");
        assert_int_equal(bide_step_resume(&c), BIDE_WAIT);
        assert_int_equal(bide_step_deadline_ns(&c), until);
    }
    bide_call_abandon(&c);
}

static void
the_descriptor_rings_at_a_change(void **state)
{
    struct scene *s = *state;
    struct pollfd fd = {.events = POLLIN};
    int i;

    scene_start(s, shop);
    fd.fd = bide_fd(s->b);
    assert_true(fd.fd >= 0);
    assert_int_equal(bide_fd(s->b), fd.fd);
    assert_int_equal(poll(&fd, 1, 0), 0);
    bide_fd_clear(s->b); /* nothing to clear */
    for (i = 0; i < 3; i++) {
        scene_set(s, "shop", "attempts", i % 2 ? "5" : "4");
        assert_int_equal(poll(&fd, 1, 60000), 1);
        assert_int_equal(poll(&fd, 1, 0), 1); /* stays */
        bide_fd_clear(s->b);
        assert_int_equal(poll(&fd, 1, 0), 0);
    }
    assert_true(bide_fd(NULL) < 0);
    bide_fd_clear(NULL);
}

static void
the_descriptor_works_without_a_registry(void **state)
{
    struct scene *s = *state;
    struct pollfd fd = {.events = POLLIN};

    scene_open(s);
    fd.fd = bide_fd(s->b);
    assert_true(fd.fd >= 0);
    scene_policy(s, "shop");
    scene_init(s);
    scene_apply(s, shop);
    /* The call looks at the registry when it is resumed. */
    assert_int_equal(bide_registry_status(s->b), 0);
    bide_fd_clear(s->b);
    scene_set(s, "shop", "attempts", "7");
    assert_int_equal(poll(&fd, 1, 60000), 1);
    assert_int_equal(bide_fd(s->b), fd.fd);
}

/* ---- busy ---- */

static void
a_step_in_progress_keeps_the_registry_open(void **state)
{
    struct scene *s = *state;
    struct bide_call c;

    scene_start(s, shop);
    bide_step_begin(&c, scene_policy(s, "shop"));
    assert_int_equal(bide_close(s->b), BIDE_EBUSY);
    bide_step_ended(&c, bide_http(503, NULL));
    assert_int_equal(bide_close(s->b), BIDE_EBUSY);
    s->now += SECOND;
    assert_int_equal(bide_step_resume(&c), BIDE_GO);
    assert_int_equal(bide_close(s->b), BIDE_EBUSY);
    bide_step_ended(&c, bide_ok());
    assert_int_equal(bide_close(s->b), 0);
    s->b = NULL;
}

/* ---- sleeping for real ---- */

struct sleeper_thread {
    struct scene *s;
    struct bide_policy *p;
    struct bide_call call;
    int attempts;
};

static struct bide_outcome
count_and_fail(const struct bide_attempt *attempt, void *arg)
{
    struct sleeper_thread *t = arg;

    (void)attempt;
    t->attempts++;
    return bide_http(503, NULL);
}

static void *
sleep_long(void *arg)
{
    struct sleeper_thread *t = arg;

    bide_call_run(&t->call, t->p, count_and_fail, t);
    return NULL;
}

static bool
one_sleeps(void *arg)
{
    return scene_sleepers(arg) == 1;
}

static void
cancelling_wakes_a_sleeping_call_at_once(void **state)
{
    struct scene *s = *state;
    struct sleeper_thread t = {.s = s};
    pthread_t thread;

    scene_start(s, shop);
    scene_set_clock(s->b, NULL);
    scene_set(s, "shop", "wait_initial", "1h");
    t.p = scene_policy(s, "shop");
    assert_int_equal(pthread_create(&thread, NULL, sleep_long, &t), 0);
    assert_true(scene_until(one_sleeps, s));
    assert_int_equal(bide_close(s->b), BIDE_EBUSY);
    bide_call_cancel(&t.call);
    pthread_join(thread, NULL); /* else after an hour */
    assert_int_equal(t.call.result.verdict, BIDE_CANCELLED);
    assert_int_equal(t.call.result.reason, BIDE_BY_CANCELLED);
    assert_int_equal(t.attempts, 1);
    /* Earlier than its next look, which is due every 5 s. */
    assert_true(t.call.result.slept_ns < 4500 * MS);
    assert_int_equal(scene_stats(s, "shop").cancelled, 1);
    assert_int_equal(scene_sleepers(s), 0);
}

static void
cancelling_one_call_leaves_others_asleep(void **state)
{
    struct scene *s = *state;
    struct sleeper_thread t = {.s = s};
    struct bide_call other;
    uint64_t until;
    pthread_t thread;

    scene_start(s, shop);
    scene_set_clock(s->b, NULL);
    scene_set(s, "shop", "wait_initial", "1h");
    t.p = scene_policy(s, "shop");
    bide_step_begin(&other, t.p);
    bide_step_ended(&other, bide_http(503, NULL));
    until = bide_step_deadline_ns(&other);
    assert_true(scene_until(one_sleeps, s));
    assert_int_equal(pthread_create(&thread, NULL, sleep_long, &t), 0);
    bide_call_cancel(&other);
    assert_int_equal(bide_step_deadline_ns(&other), until);
    assert_int_equal(bide_step_resume(&other), BIDE_DONE);
    assert_int_equal(other.result.verdict, BIDE_CANCELLED);
    assert_true(scene_until(one_sleeps, s)); /* the call of the thread */
    assert_int_equal(scene_stats(s, "shop").cancelled, 1);
    bide_call_cancel(&t.call);
    pthread_join(thread, NULL);
    assert_int_equal(t.call.result.verdict, BIDE_CANCELLED);
}

static struct bide_outcome
cancel_itself(const struct bide_attempt *attempt, void *arg)
{
    struct sleeper_thread *t = arg;

    (void)attempt;
    t->attempts++;
    bide_call_cancel(&t->call);
    return t->attempts == 1 ? bide_http(503, NULL) : bide_ok();
}

static void
a_call_cancelled_in_an_attempt_makes_no_other(void **state)
{
    struct scene *s = *state;
    struct sleeper_thread t = {.s = s};

    scene_start(s, shop);
    assert_int_equal(
        bide_call_run(&t.call, scene_policy(s, "shop"), cancel_itself, &t),
        BIDE_CANCELLED);
    assert_int_equal(t.attempts, 1);
    /* A call that succeeded has ended. */
    assert_int_equal(
        bide_call_run(&t.call, scene_policy(s, "shop"), cancel_itself, &t),
        BIDE_SUCCEEDED);
}

static void
an_abandoned_call_may_be_cancelled_late(void **state)
{
    struct scene *s = *state;
    struct bide_call c;

    scene_start(s, shop);
    bide_step_begin(&c, scene_policy(s, "shop"));
    bide_step_ended(&c, bide_ok());
    bide_call_cancel(&c);
    assert_int_equal(c.result.verdict, BIDE_SUCCEEDED);
    bide_call_abandon(&c);
    assert_int_equal(c.result.verdict, BIDE_SUCCEEDED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(the_block_runs_once_for_each_attempt),
        SCENE(a_block_without_an_outcome_has_failed),
        SCENE(a_refused_block_never_runs),
        SCENE(abandoning_a_call_cancels_it),
        SCENE(steps_return_the_time_of_the_next_attempt),
        SCENE(a_paused_policy_refuses_steps),
        SCENE(a_change_decides_a_waiting_step_again),
        SCENE(the_same_rules_again_keep_a_random_wait),
        SCENE(the_descriptor_rings_at_a_change),
        SCENE(the_descriptor_works_without_a_registry),
        SCENE(a_step_in_progress_keeps_the_registry_open),
        SCENE(cancelling_wakes_a_sleeping_call_at_once),
        SCENE(cancelling_one_call_leaves_others_asleep),
        SCENE(a_call_cancelled_in_an_attempt_makes_no_other),
        SCENE(an_abandoned_call_may_be_cancelled_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
