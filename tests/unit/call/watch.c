/* Watches: the descriptors of event loops. */
#define SCENE_FLAGS 0
#include "unit/registry/scene.h"

static const char shop[] = "[shop]\n"
                           "attempts = 3\n"
                           "wait = fixed\n"
                           "wait_initial = 1h\n"
                           "wait_max = 1h\n"
                           "wait_jitter = none\n"
                           "[other]\n"
                           "attempts = 3\n";

/* An event loop of one call. */
struct loop {
    struct bide_watch *watch;
    struct bide_call call;
};

static bool
readable(const struct bide_watch *w, int timeout_ms)
{
    struct pollfd p = {.fd = bide_watch_fd(w), .events = POLLIN};

    return poll(&p, 1, timeout_ms) == 1;
}

/* Begins a call of `policy` that waits, in a loop of its own. */
static void
start_loop(struct scene *s, const char *policy, struct loop *l)
{
    *l = (struct loop){0};
    assert_int_equal(bide_watch_new(s->b, &l->watch), 0);
    assert_int_equal(
        bide_step_begin(&l->call, scene_policy(s, policy), l->watch), BIDE_GO);
    assert_int_equal(bide_step_ended(&l->call, bide_http(503, NULL)),
                     BIDE_WAIT);
}

static void
end_loop(struct loop *l)
{
    bide_call_abandon(&l->call);
    bide_watch_free(l->watch);
}

/* ---- waking ---- */

/* Wakes the calls of a policy and scope; returns their number. */
static uint32_t
wake_calls(struct scene *s, const char *scope, bool try_only)
{
    struct admin *a;
    uint32_t woken;

    assert_int_equal(admin_open(s->dir, &a), 0);
    assert_int_equal(admin_wake(a, "shop", scope, try_only, &woken),
                     scope && *scope ? BIDE_ENOPOLICY : 0);
    admin_close(a);
    return woken;
}

static void
waking_lets_waiting_calls_go_once(void **state)
{
    struct scene *s = *state;
    struct loop first, later;

    scene_start(s, shop);
    scene_set_clock(s->b, NULL);
    start_loop(s, "shop", &first);
    assert_int_equal(wake_calls(s, NULL, true), 1);
    assert_int_equal(wake_calls(s, "eu", false), 0);
    assert_int_equal(bide_step_resume(&first.call), BIDE_WAIT);
    assert_int_equal(wake_calls(s, NULL, false), 1);
    start_loop(s, "shop", &later);
    assert_true(readable(first.watch, 60000));
    assert_int_equal(bide_watch_clear(first.watch), 1);
    assert_int_equal(bide_step_resume(&first.call), BIDE_GO);
    assert_int_equal(bide_call_attempt(&first.call)->number, 2);
    assert_int_equal(bide_step_ended(&first.call, bide_http(503, NULL)),
                     BIDE_WAIT);
    assert_int_equal(bide_step_resume(&first.call), BIDE_WAIT);
    assert_int_equal(bide_step_resume(&later.call), BIDE_WAIT);
    assert_int_equal(wake_calls(s, "", false), 2);
    assert_int_equal(bide_step_resume(&later.call), BIDE_GO);
    assert_int_equal(bide_step_ended(&later.call, bide_ok()), BIDE_DONE);
    assert_int_equal(bide_step_resume(&first.call), BIDE_GO);
    assert_int_equal(scene_stats(s, "shop").retries, 2);
    end_loop(&first);
    end_loop(&later);
}

static void
waking_in_the_future_is_garbage(void **state)
{
    struct scene *s = *state;
    struct loop l;

    scene_start(s, shop);
    scene_set_clock(s->b, NULL);
    start_loop(s, "shop", &l);
    atomic_store(&atomic_load(&scene_policy(s, "shop")->cell)->woken_ns,
                 UINT64_MAX);
    assert_int_equal(bide_step_resume(&l.call), BIDE_WAIT);
    end_loop(&l);
}

static bool
three_sleep(void *arg)
{
    return scene_sleepers(arg) == 3;
}

static struct bide_outcome
fail_first(const struct bide_attempt *attempt, void *arg)
{
    (void)arg;
    return attempt->number == 1 ? bide_http(503, NULL) : bide_ok();
}

static void *
run_blocking(void *arg)
{
    bide_run(arg, fail_first, NULL);
    return NULL;
}

static void
waking_reaches_threads_that_block(void **state)
{
    struct scene *s = *state;
    pthread_t threads[3];

    scene_start(s, shop);
    scene_set_clock(s->b, NULL);
    for (size_t i = 0; i < COUNT(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, run_blocking,
                                        scene_policy(s, "shop")),
                         0);
    }
    assert_true(scene_until(three_sleep, s));
    assert_int_equal(wake_calls(s, NULL, false), COUNT(threads));
    for (size_t i = 0; i < COUNT(threads); i++) {
        pthread_join(threads[i], NULL); /* else after an hour */
    }
    assert_int_equal(scene_stats(s, "shop").recovered, COUNT(threads));
}

/* ---- changes ---- */

static void
the_watch_rings_at_a_change(void **state)
{
    struct scene *s = *state;
    struct bide_watch *w;

    scene_start(s, shop);
    assert_int_equal(bide_watch_new(s->b, &w), 0);
    assert_true(bide_watch_fd(w) >= 0);
    assert_false(readable(w, 0));
    assert_int_equal(bide_watch_clear(w), 0); /* nothing to clear */
    for (int i = 0; i < 3; i++) {
        scene_set(s, "shop", "attempts", i % 2 ? "5" : "4");
        assert_true(readable(w, 60000));
        assert_true(readable(w, 0)); /* stays */
        /* None of its calls has waited for this policy. */
        assert_int_equal(bide_watch_clear(w), 0);
        assert_false(readable(w, 0));
    }
    bide_watch_free(w);
    bide_watch_free(NULL);
    assert_int_equal(bide_watch_new(NULL, &w), BIDE_EINVAL);
    assert_int_equal(bide_watch_new(s->b, NULL), BIDE_EINVAL);
}

static void
the_watch_works_without_a_registry(void **state)
{
    struct scene *s = *state;
    struct bide_watch *w;
    int fd;

    scene_open(s);
    assert_int_equal(bide_watch_new(s->b, &w), 0);
    fd = bide_watch_fd(w);
    scene_policy(s, "shop");
    scene_init(s);
    scene_apply(s, shop);
    /* The call looks at the registry when it is resumed. */
    assert_int_equal(bide_registry_status(s->b), 0);
    bide_watch_clear(w);
    scene_set(s, "shop", "attempts", "7");
    assert_true(readable(w, 60000));
    assert_int_equal(bide_watch_fd(w), fd);
    bide_watch_free(w);
}

/* The first loop that clears its watch must not keep the others asleep. */
static void
each_loop_sees_each_change(void **state)
{
    struct scene *s = *state;
    struct loop loops[3];

    scene_start(s, shop);
    for (size_t i = 0; i < COUNT(loops); i++) {
        start_loop(s, "shop", &loops[i]);
    }
    for (int turn = 0; turn < 3; turn++) {
        scene_set(s, "shop", "wait_initial", turn % 2 ? "2h" : "3h");
        for (size_t i = 0; i < COUNT(loops); i++) {
            assert_true(readable(loops[i].watch, 60000));
            assert_int_equal(bide_watch_clear(loops[i].watch), 1);
            assert_int_equal(bide_step_resume(&loops[i].call), BIDE_WAIT);
            assert_false(readable(loops[i].watch, 0));
        }
    }
    for (size_t i = 0; i < COUNT(loops); i++) {
        end_loop(&loops[i]);
    }
}

static void
a_loop_knows_which_changes_concern_its_calls(void **state)
{
    struct scene *s = *state;
    struct loop l;

    scene_start(s, shop);
    start_loop(s, "shop", &l);
    scene_set(s, "other", "attempts", "7");
    assert_true(readable(l.watch, 60000));
    assert_int_equal(bide_watch_clear(l.watch), 0);
    scene_set(s, "shop", "wait", "none");
    assert_true(readable(l.watch, 60000));
    assert_int_equal(bide_watch_clear(l.watch), 1);
    assert_int_equal(bide_step_resume(&l.call), BIDE_GO);
    assert_int_equal(bide_watch_clear(l.watch), 0);
    end_loop(&l);
}

static void
a_loop_whose_call_was_refused_hears_that_it_may_begin(void **state)
{
    struct scene *s = *state;
    struct bide_call c = {0};
    struct bide_watch *w;

    scene_start(s, shop);
    scene_set(s, "shop", "paused", "yes");
    assert_int_equal(bide_watch_new(s->b, &w), 0);
    assert_int_equal(bide_step_begin(&c, scene_policy(s, "shop"), w),
                     BIDE_DONE);
    assert_int_equal(bide_call_result(&c)->verdict, BIDE_REFUSED);
    bide_watch_clear(w);
    scene_set(s, "shop", "paused", "no");
    assert_true(readable(w, 60000));
    assert_int_equal(bide_watch_clear(w), 1);
    assert_int_equal(bide_step_begin(&c, scene_policy(s, "shop"), w), BIDE_GO);
    bide_call_abandon(&c);
    bide_watch_free(w);
}

/* ---- cancelling ---- */

static void
cancelling_rings_only_the_watch_of_the_call(void **state)
{
    struct scene *s = *state;
    struct loop a, b;

    scene_start(s, shop);
    start_loop(s, "shop", &a);
    start_loop(s, "shop", &b);
    bide_watch_clear(a.watch);
    bide_watch_clear(b.watch);
    bide_call_cancel(&a.call);
    assert_true(readable(a.watch, 0));
    assert_false(readable(b.watch, 0));
    assert_int_equal(bide_watch_clear(a.watch), 1);
    assert_false(readable(a.watch, 0));
    assert_int_equal(bide_step_resume(&a.call), BIDE_DONE);
    assert_int_equal(bide_call_result(&a.call)->verdict, BIDE_CANCELLED);
    assert_int_equal(bide_step_resume(&b.call), BIDE_WAIT);
    bide_call_cancel(&a.call); /* it has ended: nobody is woken */
    assert_false(readable(a.watch, 0));
    end_loop(&a);
    end_loop(&b);
}

static void *
cancel_call(void *call)
{
    bide_call_cancel(call);
    return NULL;
}

/* The attempt is not interrupted, but its loop hears of it. */
static void
cancelling_from_a_thread_wakes_the_loop(void **state)
{
    struct scene *s = *state;

    scene_start(s, shop);
    for (int in_attempt = 0; in_attempt < 2; in_attempt++) {
        pthread_t thread;
        struct loop l;

        start_loop(s, "shop", &l);
        if (in_attempt) {
            s->now += 3600 * SECOND;
            assert_int_equal(bide_step_resume(&l.call), BIDE_GO);
        }
        assert_int_equal(pthread_create(&thread, NULL, cancel_call, &l.call),
                         0);
        assert_true(readable(l.watch, 60000));
        assert_int_equal(bide_watch_clear(l.watch), 1);
        assert_true(bide_call_is_cancelled(&l.call));
        assert_int_equal(bide_step_resume(&l.call),
                         in_attempt ? BIDE_RUNNING : BIDE_DONE);
        pthread_join(thread, NULL);
        bide_step_ended(&l.call, bide_http(503, NULL));
        assert_int_equal(bide_call_result(&l.call)->verdict, BIDE_CANCELLED);
        end_loop(&l);
    }
}

/* ---- freeing ---- */

/* A binding begins calls without a watch, because most succeed at once. */
static void
a_call_gets_its_watch_after_a_failed_attempt(void **state)
{
    struct scene *s = *state;
    struct loop l = {0};
    struct bide_watch *other;

    scene_start(s, shop);
    assert_int_equal(bide_watch_new(s->b, &l.watch), 0);
    assert_int_equal(bide_watch_new(s->b, &other), 0);
    bide_step_set_watch(&l.call, l.watch); /* has not begun */
    assert_int_equal(bide_step_begin(&l.call, scene_policy(s, "shop"), NULL),
                     BIDE_GO);
    bide_step_set_watch(&l.call, NULL);
    bide_step_set_watch(&l.call, l.watch);
    bide_step_set_watch(&l.call, other); /* has one */
    assert_int_equal(bide_step_ended(&l.call, bide_http(503, NULL)), BIDE_WAIT);
    /* The call waits for an hour, and looks again within 5 s. */
    assert_true(bide_step_wake_ns(&l.call) > bide_step_deadline_ns(&l.call));
    bide_watch_clear(l.watch);
    scene_set(s, "shop", "wait_initial", "2h");
    assert_true(readable(l.watch, 60000));
    assert_int_equal(bide_watch_clear(l.watch), 1);
    assert_int_equal(bide_watch_clear(other), 0);
    bide_watch_free(other);
    end_loop(&l);
}

static void
calls_outlive_their_watch(void **state)
{
    struct scene *s = *state;
    struct loop a, b;

    scene_start(s, shop);
    start_loop(s, "shop", &a);
    start_loop(s, "shop", &b);
    bide_watch_free(a.watch);
    bide_watch_free(b.watch);
    scene_set(s, "shop", "wait_initial", "1s");
    bide_call_cancel(&a.call);
    assert_int_equal(bide_step_resume(&a.call), BIDE_DONE);
    s->now += SECOND;
    assert_int_equal(bide_step_resume(&b.call), BIDE_GO);
    assert_int_equal(bide_step_ended(&b.call, bide_http(503, NULL)), BIDE_WAIT);
    s->now += SECOND;
    assert_int_equal(bide_step_resume(&b.call), BIDE_GO);
    assert_int_equal(bide_step_ended(&b.call, bide_ok()), BIDE_DONE);
    scene_close(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(waking_lets_waiting_calls_go_once),
        SCENE(waking_in_the_future_is_garbage),
        SCENE(waking_reaches_threads_that_block),
        SCENE(the_watch_rings_at_a_change),
        SCENE(the_watch_works_without_a_registry),
        SCENE(each_loop_sees_each_change),
        SCENE(a_loop_knows_which_changes_concern_its_calls),
        SCENE(a_loop_whose_call_was_refused_hears_that_it_may_begin),
        SCENE(cancelling_rings_only_the_watch_of_the_call),
        SCENE(cancelling_from_a_thread_wakes_the_loop),
        SCENE(a_call_gets_its_watch_after_a_failed_attempt),
        SCENE(calls_outlive_their_watch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
