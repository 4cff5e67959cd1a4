/* BIDE_TRY: its attempts, and the ways to leave it. */
#define SCENE_FLAGS 0
#include "unit/registry/scene.h"

static const char shop[] = "[shop]\n"
                           "attempts = 3\n"
                           "wait = fixed\n"
                           "wait_initial = 100ms\n"
                           "wait_max = 1h\n"
                           "wait_jitter = none\n";

static void
the_block_runs_once_for_each_attempt(void **state)
{
    struct scene *s = *state;
    struct bide_call call = {0};
    unsigned times = 0;

    scene_start(s, shop);
    BIDE_TRY(&call, scene_policy(s, "shop"))
    {
        times++;
        assert_int_equal(bide_call_attempt(&call)->number, times);
        s->now += 5 * MS;
        bide_call_outcome(&call, times < 3 ? bide_http(503, NULL) : bide_ok());
        bide_call_outcome(&call, bide_http(404, NULL)); /* ignored */
    }
    assert_int_equal(times, 3);
    assert_int_equal(bide_call_result(&call)->verdict, BIDE_SUCCEEDED);
    assert_int_equal(bide_call_result(&call)->attempts, 3);
    assert_int_equal(bide_call_result(&call)->slept_ns, 200 * MS);
    assert_int_equal(bide_call_result(&call)->elapsed_ns, 215 * MS);
    assert_int_equal(scene_stats(s, "shop").recovered, 1);
}

static void
a_block_without_an_outcome_has_failed(void **state)
{
    struct scene *s = *state;
    struct bide_call call = {0};
    char name[64];
    int times = 0;

    scene_start(s, "[shop]\nattempts = 3\nwait = none\n"
                   "retry_on = app.no_outcome\n");
    BIDE_TRY(&call, scene_policy(s, "shop"))
    {
        times++;
    }
    assert_int_equal(times, 3);
    assert_int_equal(bide_call_result(&call)->verdict, BIDE_EXHAUSTED);
    bide_outcome_name(bide_call_result(&call)->outcome, name, sizeof(name));
    assert_string_equal(name, "app.no_outcome");
    scene_set(s, "shop", "retry_on", "transient");
    BIDE_TRY(&call, scene_policy(s, "shop"))
    {
        times++;
    }
    assert_int_equal(times, 4);
    assert_int_equal(bide_call_result(&call)->verdict, BIDE_REJECTED);
}

static void
a_refused_block_never_runs(void **state)
{
    struct scene *s = *state;
    struct bide_call call = {0};

    scene_start(s, "[shop]\npaused = yes\nimportance = postponable\n");
    BIDE_TRY(&call, scene_policy(s, "shop"))
    {
        fail();
    }
    assert_int_equal(bide_call_result(&call)->verdict, BIDE_REFUSED);
    assert_int_equal(bide_call_result(&call)->reason, BIDE_BY_PAUSED);
    assert_int_equal(bide_call_result(&call)->end, BIDE_END_DEFERRED);
    assert_int_equal(bide_call_result(&call)->attempts, 0);
}

static void
abandoning_a_call_cancels_it(void **state)
{
    struct scene *s = *state;
    struct bide_call call = {0};
    struct bide_stats stats;

    scene_start(s, shop);
    BIDE_TRY(&call, scene_policy(s, "shop"))
    {
        s->now += 5 * MS;
        bide_call_abandon(&call);
        break;
    }
    assert_int_equal(bide_call_result(&call)->verdict, BIDE_CANCELLED);
    assert_int_equal(bide_call_result(&call)->elapsed_ns, 5 * MS);
    bide_call_abandon(&call); /* does nothing */
    stats = scene_stats(s, "shop");
    assert_int_equal(stats.cancelled, 1);
    assert_int_equal(stats.succeeded, 0);
    /* Abandoned before its first attempt, and while it waits. */
    bide_try_begin(&call, scene_policy(s, "shop"));
    bide_call_abandon(&call);
    assert_int_equal(bide_call_result(&call)->attempts, 0);
    bide_step_begin(&call, scene_policy(s, "shop"), NULL);
    bide_step_ended(&call, bide_http(503, NULL));
    s->now += 30 * MS;
    bide_call_abandon(&call);
    assert_int_equal(bide_call_result(&call)->verdict, BIDE_CANCELLED);
    assert_int_equal(bide_call_result(&call)->slept_ns, 30 * MS);
    assert_int_equal(scene_stats(s, "shop").cancelled, 3);
    assert_int_equal(scene_stats(s, "shop").slept_ns, 30 * MS);
    assert_int_equal(scene_sleepers(s), 0);
}

/* ---- leaving the block ---- */

static int
return_from_block(struct bide_call *c, struct bide_policy *p)
{
    BIDE_TRY(c, p)
    {
        return 7;
    }
    return 0;
}

static void
jump_from_block(struct bide_call *c, struct bide_policy *p)
{
    BIDE_TRY(c, p)
    {
        goto out;
    }
    fail();
out:
    return;
}

static void
break_from_block(struct bide_call *c, struct bide_policy *p)
{
    BIDE_TRY(c, p)
    {
        break;
    }
}

/* With an outcome the attempt has ended, but not the call. */
static void
break_before_the_wait(struct bide_call *c, struct bide_policy *p)
{
    BIDE_TRY(c, p)
    {
        bide_call_outcome(c, bide_http(503, NULL));
        break;
    }
}

static void
leaving_the_block_abandons_the_call(void **state)
{
    struct scene *s = *state;
    struct bide_call c = {0};
    struct bide_policy *p;

    scene_start(s, shop);
    p = scene_policy(s, "shop");
    for (uint64_t i = 1; i <= 4; i++) {
        const struct bide_result *r = bide_call_result(&c);

        switch (i) {
        case 1:
            assert_int_equal(return_from_block(&c, p), 7);
            break;
        case 2:
            jump_from_block(&c, p);
            break;
        case 3:
            break_from_block(&c, p);
            break;
        default:
            break_before_the_wait(&c, p);
        }
        assert_int_equal(r->verdict, BIDE_CANCELLED);
        assert_int_equal(r->reason, BIDE_BY_CANCELLED);
        assert_int_equal(r->attempts, 1);
        assert_null(bide_call_policy(&c));
        assert_int_equal(scene_stats(s, "shop").cancelled, i);
    }
    assert_int_equal(scene_sleepers(s), 0);
    scene_close(s); /* no call is in progress */
}

static void
leaving_after_the_last_outcome_keeps_the_result(void **state)
{
    struct scene *s = *state;
    struct bide_call c = {0};

    scene_start(s, shop);
    BIDE_TRY(&c, scene_policy(s, "shop"))
    {
        bide_call_outcome(&c, bide_ok());
        break;
    }
    assert_int_equal(bide_call_result(&c)->verdict, BIDE_SUCCEEDED);
    assert_int_equal(scene_stats(s, "shop").cancelled, 0);
}

/* ---- misuse ---- */

static void
a_block_on_the_same_call_cancels_the_outer_one(void **state)
{
    struct scene *s = *state;
    struct bide_policy *outer, *inner;
    struct bide_call c = {0};
    int outside = 0, inside = 0;

    scene_start(s, shop);
    scene_apply(s, "[inner]\nattempts = 2\nwait = none\n");
    outer = scene_policy(s, "shop");
    inner = scene_policy(s, "inner");
    BIDE_TRY(&c, outer)
    {
        outside++;
        BIDE_TRY(&c, inner)
        {
            inside++;
            bide_call_outcome(&c, bide_ok());
        }
        assert_int_equal(bide_call_result(&c)->verdict, BIDE_SUCCEEDED);
        bide_call_outcome(&c, bide_ok()); /* without an attempt: nothing */
    }
    assert_int_equal(outside, 1);
    assert_int_equal(inside, 1);
    assert_int_equal(bide_call_result(&c)->verdict, BIDE_CANCELLED);
    assert_int_equal(bide_call_result(&c)->reason, BIDE_BY_CANCELLED);
    assert_int_equal(scene_stats(s, "shop").cancelled, 1);
    assert_int_equal(scene_stats(s, "shop").succeeded, 0);
    assert_int_equal(scene_stats(s, "inner").succeeded, 1);
    scene_close(s);
}

static void
a_step_within_a_block_on_its_call_is_abandoned(void **state)
{
    struct scene *s = *state;
    struct bide_call c = {0};

    scene_start(s, shop);
    BIDE_TRY(&c, scene_policy(s, "shop"))
    {
        bide_step_begin(&c, scene_policy(s, "shop"), NULL);
    }
    assert_int_equal(bide_call_result(&c)->verdict, BIDE_CANCELLED);
    assert_int_equal(scene_stats(s, "shop").cancelled, 2);
    scene_close(s);
}

static struct bide_call *
next_call(struct bide_call *c, int *evaluated)
{
    ++*evaluated;
    return c;
}

static void
arguments_are_evaluated_once(void **state)
{
    struct scene *s = *state;
    struct bide_call calls[3] = {0}, *c = calls;
    struct bide_policy *p[2];
    int evaluated = 0, at = 0, times = 0;

    scene_start(s, shop);
    p[0] = scene_policy(s, "shop");
    p[1] = NULL;
    BIDE_TRY(next_call(c++, &evaluated), p[at++])
    {
        times++;
        bide_call_outcome(&calls[0], bide_http(503, NULL));
    }
    assert_int_equal(times, 3);
    assert_int_equal(evaluated, 1);
    assert_int_equal(at, 1);
    assert_ptr_equal(c, &calls[1]);
    assert_int_equal(bide_call_result(&calls[0])->attempts, 3);
}

static void
nothing_may_be_done_to_a_call_that_was_not_begun(void **state)
{
    struct bide_call zeroed = {0}, set_up;
    struct bide_call *const calls[] = {&zeroed, &set_up};

    (void)state;
    memset(&set_up, 0xa5, sizeof(set_up));
    bide_call_init(&set_up);
    for (size_t i = 0; i < COUNT(calls); i++) {
        struct bide_call *c = calls[i];

        assert_int_equal(bide_call_result(c)->verdict, BIDE_UNFINISHED);
        assert_string_equal(bide_verdict_name(bide_call_result(c)->verdict),
                            "unfinished");
        assert_null(bide_call_policy(c));
        assert_null(bide_call_data(c));
        assert_int_equal(bide_step_resume(c), BIDE_DONE);
        assert_int_equal(bide_step_wait(c), BIDE_DONE);
        assert_int_equal(bide_step_ended(c, bide_ok()), BIDE_DONE);
        assert_true(bide_step_deadline_ns(c) == UINT64_MAX);
        bide_call_outcome(c, bide_ok());
        bide_call_abandon(c);
        assert_false(bide_call_is_cancelled(c));
        bide_call_cancel(c);
        assert_true(bide_call_is_cancelled(c));
        bide_call_abandon(c);
        assert_true(bide_call_is_cancelled(c));
        assert_int_equal(bide_call_result(c)->verdict, BIDE_UNFINISHED);
    }
}

static void
beginning_again_abandons_the_call_in_progress(void **state)
{
    struct scene *s = *state;
    struct bide_call c = {0};

    scene_start(s, shop);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(bide_step_begin(&c, scene_policy(s, "shop"), NULL),
                         BIDE_GO);
        assert_int_equal(bide_call_result(&c)->verdict, BIDE_UNFINISHED);
    }
    bide_step_ended(&c, bide_http(503, NULL)); /* waits now */
    assert_int_equal(
        bide_call_run(&c, scene_policy(s, "shop"), scene_succeed, NULL),
        BIDE_SUCCEEDED);
    assert_int_equal(scene_stats(s, "shop").cancelled, 3);
    assert_int_equal(scene_stats(s, "shop").succeeded, 1);
    assert_int_equal(scene_sleepers(s), 0);
    scene_close(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(the_block_runs_once_for_each_attempt),
        SCENE(a_block_without_an_outcome_has_failed),
        SCENE(a_refused_block_never_runs),
        SCENE(abandoning_a_call_cancels_it),
        SCENE(leaving_the_block_abandons_the_call),
        SCENE(leaving_after_the_last_outcome_keeps_the_result),
        SCENE(a_block_on_the_same_call_cancels_the_outer_one),
        SCENE(a_step_within_a_block_on_its_call_is_abandoned),
        SCENE(arguments_are_evaluated_once),
        SCENE(nothing_may_be_done_to_a_call_that_was_not_begun),
        SCENE(beginning_again_abandons_the_call_in_progress),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
