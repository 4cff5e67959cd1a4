/* Steps, and cancelling a call that sleeps. */
#define SCENE_FLAGS 0
#include "call/call.h"
#include "unit/registry/scene.h"

static const char shop[] = "[shop]\n"
                           "attempts = 3\n"
                           "wait = fixed\n"
                           "wait_initial = 100ms\n"
                           "wait_max = 1h\n"
                           "wait_jitter = none\n";

/* ---- steps ---- */

static void
steps_return_the_time_of_the_next_attempt(void **state)
{
    struct scene *s = *state;
    struct bide_call c = {0};
    uint64_t t0;

    scene_start(s, shop);
    t0 = s->now;
    assert_int_equal(bide_step_begin(&c, scene_policy(s, "shop"), NULL),
                     BIDE_GO);
    assert_int_equal(bide_call_attempt(&c)->number, 1);
    assert_true(bide_step_deadline_ns(&c) == UINT64_MAX);
    s->now += 3 * MS;
    assert_true(bide_step_wake_ns(&c) == UINT64_MAX);
    assert_int_equal(bide_step_ended(&c, bide_http(503, NULL)), BIDE_WAIT);
    assert_int_equal(bide_step_deadline_ns(&c), t0 + 103 * MS);
    assert_int_equal(bide_step_wake_ns(&c), t0 + 103 * MS);
    s->now = t0 + 103 * MS - 1;
    assert_int_equal(bide_step_resume(&c), BIDE_WAIT);
    assert_int_equal(bide_step_deadline_ns(&c), t0 + 103 * MS);
    s->now = t0 + 103 * MS;
    assert_int_equal(bide_step_resume(&c), BIDE_GO);
    assert_int_equal(bide_call_attempt(&c)->number, 2);
    s->now += 3 * MS;
    assert_int_equal(bide_step_ended(&c, bide_ok()), BIDE_DONE);
    assert_int_equal(bide_call_result(&c)->verdict, BIDE_SUCCEEDED);
    assert_int_equal(bide_call_result(&c)->slept_ns, 100 * MS);
    assert_int_equal(bide_call_result(&c)->elapsed_ns, 106 * MS);
    assert_int_equal(bide_step_resume(&c), BIDE_DONE);
    assert_int_equal(bide_step_ended(&c, bide_ok()), BIDE_DONE);
    assert_true(bide_step_deadline_ns(&c) == UINT64_MAX);
    assert_int_equal(scene_stats(s, "shop").succeeded, 1);
}

/* An event loop that resumes a call at each change of the host must not start
 * its attempt again: a payment would be sent twice. */
static void
each_attempt_is_started_once(void **state)
{
    struct scene *s = *state;
    struct bide_call c = {0};
    int started = 0;

    scene_start(s, shop);
    scene_apply(s, "[other]\nattempts = 2\n");
    started += bide_step_begin(&c, scene_policy(s, "shop"), NULL) == BIDE_GO;
    for (int i = 0; i < 3; i++) {
        scene_set(s, "other", "attempts", i % 2 ? "9" : "8");
        assert_int_equal(bide_step_resume(&c), BIDE_RUNNING);
        scene_set(s, "shop", "attempts", i % 2 ? "3" : "4");
        assert_int_equal(bide_step_resume(&c), BIDE_RUNNING);
        assert_int_equal(bide_step_wait(&c), BIDE_RUNNING); /* at once */
        assert_int_equal(bide_call_attempt(&c)->number, 1);
    }
    assert_int_equal(bide_step_ended(&c, bide_http(503, NULL)), BIDE_WAIT);
    assert_int_equal(bide_step_ended(&c, bide_ok()),
                     BIDE_WAIT); /* no attempt */
    s->now += 100 * MS;
    for (int i = 0; i < 3; i++) {
        started += bide_step_resume(&c) == BIDE_GO;
    }
    assert_int_equal(started, 2);
    assert_int_equal(bide_call_attempt(&c)->number, 2);
    bide_step_ended(&c, bide_ok());
    for (int i = 0; i < 3; i++) {
        assert_int_equal(bide_step_resume(&c), BIDE_DONE);
        assert_int_equal(bide_step_wait(&c), BIDE_DONE);
    }
    assert_int_equal(scene_stats(s, "shop").attempts, 2);
}

/* A loop that only knows BIDE_DONE must not spin. */
static void
one_state_ends_every_loop(void **state)
{
    static const char *const pauses[] = {"no", "yes"};
    struct scene *s = *state;

    scene_start(s, shop);
    for (size_t i = 0; i < COUNT(pauses); i++) {
        struct bide_call c = {0};
        enum bide_next next;
        int turns = 0;

        scene_set(s, "shop", "paused", pauses[i]);
        next = bide_step_begin(&c, scene_policy(s, "shop"), NULL);
        while (next != BIDE_DONE && turns++ < 100) {
            next = next == BIDE_GO ? bide_step_ended(&c, bide_http(503, NULL))
                                   : bide_step_wait(&c);
        }
        assert_int_equal(turns, i ? 0 : 5);
        assert_int_equal(bide_call_result(&c)->verdict,
                         i ? BIDE_REFUSED : BIDE_EXHAUSTED);
    }
}

/* Poisons the memory that a call has left. */
static void
move_call(struct bide_call *to, struct bide_call *from)
{
    memcpy(to, from, sizeof(*to));
    memset(from, 0xa5, sizeof(*from));
}

static void
a_call_may_be_moved_between_its_steps(void **state)
{
    const struct bide_work work = {.bytes = "x", .length = 1};
    struct scene *s = *state;
    struct bide_watch *w;
    struct bide_call a = {0}, b;

    scene_start(s, shop);
    scene_set(s, "shop", "importance", "postponable");
    assert_int_equal(bide_watch_new(s->b, &w), 0);
    bide_call_set_data(&a, s);
    assert_int_equal(bide_call_set_work(&a, &work), 0);
    move_call(&b, &a);
    assert_int_equal(bide_step_begin(&b, scene_policy(s, "shop"), w), BIDE_GO);
    for (uint32_t n = 1; n <= 3; n++) {
        move_call(&a, &b);
        assert_int_equal(bide_call_attempt(&a)->number, n);
        s->now += 3 * MS;
        assert_int_equal(bide_step_ended(&a, bide_http(503, NULL)),
                         n < 3 ? BIDE_WAIT : BIDE_DONE);
        move_call(&b, &a);
        s->now = bide_step_deadline_ns(&b) == UINT64_MAX
                     ? s->now
                     : bide_step_deadline_ns(&b);
        assert_int_equal(bide_step_resume(&b), n < 3 ? BIDE_GO : BIDE_DONE);
    }
    assert_int_equal(bide_call_result(&b)->attempts, 3);
    assert_int_equal(bide_call_result(&b)->slept_ns, 200 * MS);
    assert_int_equal(bide_call_result(&b)->end, BIDE_END_DEFERRED);
    assert_int_not_equal(bide_call_result(&b)->deferred_id, 0);
    assert_ptr_equal(bide_call_data(&b), s);
    bide_watch_free(w);
}

static void
a_call_on_the_heap_is_like_any_other(void **state)
{
    struct scene *s = *state;
    struct bide_call *c;

    assert_int_equal(bide_call_size(), sizeof(struct bide_call));
    assert_int_equal(bide_call_size(), 640);
    assert_int_equal(bide_call_alignment(), _Alignof(struct bide_call));
    scene_start(s, shop);
    assert_int_equal(bide_call_new(&c), 0);
    assert_int_equal(bide_call_result(c)->verdict, BIDE_UNFINISHED);
    bide_step_begin(c, scene_policy(s, "shop"), NULL);
    bide_call_free(c); /* abandons it */
    bide_call_free(NULL);
    assert_int_equal(bide_call_new(NULL), BIDE_EINVAL);
    assert_int_equal(scene_stats(s, "shop").cancelled, 1);
}

static void
ending_by_pointer_is_the_same(void **state)
{
    const struct bide_outcome bad = bide_http(503, NULL), ok = bide_ok();
    struct scene *s = *state;
    struct bide_call c = {0};

    scene_start(s, shop);
    bide_step_begin(&c, scene_policy(s, "shop"), NULL);
    assert_int_equal(bide_step_ended_by(&c, &bad), BIDE_WAIT);
    s->now += 100 * MS;
    assert_int_equal(bide_step_resume(&c), BIDE_GO);
    assert_int_equal(bide_step_ended_by(&c, &ok), BIDE_DONE);
    assert_int_equal(bide_call_result(&c)->verdict, BIDE_SUCCEEDED);
}

static void
a_paused_policy_refuses_steps(void **state)
{
    struct scene *s = *state;
    struct bide_call c = {0};

    scene_start(s, "[shop]\npaused = yes\n");
    assert_int_equal(bide_step_begin(&c, scene_policy(s, "shop"), NULL),
                     BIDE_DONE);
    assert_int_equal(bide_call_result(&c)->verdict, BIDE_REFUSED);
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
        struct bide_call c = {0};
        uint64_t ended = s->now;

        scene_apply(s, shop);
        bide_step_begin(&c, scene_policy(s, "shop"), NULL);
        assert_int_equal(bide_step_ended(&c, bide_http(503, NULL)), BIDE_WAIT);
        s->now += 20 * MS;
        scene_set(s, "shop", turns[i].key, turns[i].value);
        print_message("         %s = %s\n", turns[i].key, turns[i].value);
        assert_int_equal(bide_step_resume(&c), turns[i].says);
        if (turns[i].says == BIDE_WAIT) {
            uint64_t until = ended + turns[i].until_ms * MS;
            uint64_t look = s->now + 5 * SECOND;

            assert_int_equal(bide_step_deadline_ns(&c),
                             until < look ? until : look);
            s->now = until - 1;
            assert_int_equal(bide_step_resume(&c), BIDE_WAIT);
            assert_int_equal(bide_step_deadline_ns(&c), until);
        }
        bide_call_abandon(&c);
        s->now += SECOND;
    }
}

static void
the_same_rules_again_keep_a_random_wait(void **state)
{
    struct scene *s = *state;
    struct bide_call c = {0};
    uint64_t waits[20];
    int i;

    scene_start(s, "[shop]\nattempts = 9\nwait_initial = 1m\nwait_max = 1h\n");
    bide_step_begin(&c, scene_policy(s, "shop"), NULL);
    bide_step_ended(&c, bide_http(503, NULL));
    for (i = 0; i < 20; i++) {
        scene_set(s, "shop", "attempts", i % 2 ? "9" : "8");
        assert_int_equal(bide_step_resume(&c), BIDE_WAIT);
        waits[i] = call_of(&c)->machine.wake_ns;
        assert_int_equal(waits[i], waits[0]);
    }
    bide_call_abandon(&c);
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
    bide_call_cancel(&t.call);
    pthread_join(thread, NULL); /* else after an hour */
    assert_int_equal(bide_call_result(&t.call)->verdict, BIDE_CANCELLED);
    assert_int_equal(bide_call_result(&t.call)->reason, BIDE_BY_CANCELLED);
    assert_int_equal(t.attempts, 1);
    /* Earlier than its next look, which is due every 5 s. */
    assert_true(bide_call_result(&t.call)->slept_ns < 4500 * MS);
    assert_int_equal(scene_stats(s, "shop").cancelled, 1);
    assert_int_equal(scene_sleepers(s), 0);
}

static void
cancelling_one_call_leaves_others_asleep(void **state)
{
    struct scene *s = *state;
    struct sleeper_thread t = {.s = s};
    struct bide_call other = {0};
    pthread_t thread;

    scene_start(s, shop);
    scene_set_clock(s->b, NULL);
    scene_set(s, "shop", "wait_initial", "1h");
    t.p = scene_policy(s, "shop");
    bide_step_begin(&other, t.p, NULL);
    bide_step_ended(&other, bide_http(503, NULL));
    assert_true(scene_until(one_sleeps, s));
    assert_int_equal(pthread_create(&thread, NULL, sleep_long, &t), 0);
    bide_call_cancel(&other);
    assert_int_equal(bide_step_resume(&other), BIDE_DONE);
    assert_int_equal(bide_call_result(&other)->verdict, BIDE_CANCELLED);
    assert_true(scene_until(one_sleeps, s)); /* the call of the thread */
    assert_int_equal(scene_stats(s, "shop").cancelled, 1);
    bide_call_cancel(&t.call);
    pthread_join(thread, NULL);
    assert_int_equal(bide_call_result(&t.call)->verdict, BIDE_CANCELLED);
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
    /* It stays cancelled until it is set up again. */
    assert_int_equal(
        bide_call_run(&t.call, scene_policy(s, "shop"), cancel_itself, &t),
        BIDE_CANCELLED);
    assert_int_equal(t.attempts, 1);
    bide_call_init(&t.call);
    /* A call that succeeded has ended. */
    assert_int_equal(
        bide_call_run(&t.call, scene_policy(s, "shop"), cancel_itself, &t),
        BIDE_SUCCEEDED);
}

static void
an_abandoned_call_may_be_cancelled_late(void **state)
{
    struct scene *s = *state;
    struct bide_call c = {0};

    scene_start(s, shop);
    bide_step_begin(&c, scene_policy(s, "shop"), NULL);
    bide_step_ended(&c, bide_ok());
    bide_call_cancel(&c);
    assert_int_equal(bide_call_result(&c)->verdict, BIDE_SUCCEEDED);
    bide_call_abandon(&c);
    assert_int_equal(bide_call_result(&c)->verdict, BIDE_SUCCEEDED);
}

/* ---- a signal ---- */

static _Atomic bool waits_for_signal;

static void
do_nothing(int number)
{
    (void)number;
}

static void *
signal_until_it_returns(void *arg)
{
    const struct timespec pause = {0, 1000000};
    pthread_t *waiting = arg;

    while (atomic_load(&waits_for_signal)) {
        pthread_kill(*waiting, SIGUSR1);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* So that a binding can raise its exception. */
static void
a_wait_returns_when_a_signal_handler_has_run(void **state)
{
    const struct sigaction handler = {.sa_handler = do_nothing,
                                      .sa_flags = SA_RESTART};
    struct scene *s = *state;
    pthread_t self = pthread_self(), thread;
    struct sigaction before;
    struct bide_call c = {0};

    scene_start(s, shop);
    scene_set_clock(s->b, NULL);
    scene_set(s, "shop", "wait_initial", "1h");
    bide_step_begin(&c, scene_policy(s, "shop"), NULL);
    bide_step_ended(&c, bide_http(503, NULL));
    assert_int_equal(sigaction(SIGUSR1, &handler, &before), 0);
    atomic_store(&waits_for_signal, true);
    assert_int_equal(
        pthread_create(&thread, NULL, signal_until_it_returns, &self), 0);
    assert_int_equal(bide_step_wait(&c), BIDE_WAIT); /* else after an hour */
    atomic_store(&waits_for_signal, false);
    pthread_join(thread, NULL);
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
    bide_call_cancel(&c);
    assert_int_equal(bide_step_wait(&c), BIDE_DONE);
    assert_int_equal(bide_call_result(&c)->verdict, BIDE_CANCELLED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(steps_return_the_time_of_the_next_attempt),
        SCENE(each_attempt_is_started_once),
        SCENE(one_state_ends_every_loop),
        SCENE(a_call_may_be_moved_between_its_steps),
        SCENE(a_call_on_the_heap_is_like_any_other),
        SCENE(ending_by_pointer_is_the_same),
        SCENE(a_paused_policy_refuses_steps),
        SCENE(a_change_decides_a_waiting_step_again),
        SCENE(the_same_rules_again_keep_a_random_wait),
        SCENE(cancelling_wakes_a_sleeping_call_at_once),
        SCENE(cancelling_one_call_leaves_others_asleep),
        SCENE(a_call_cancelled_in_an_attempt_makes_no_other),
        SCENE(a_wait_returns_when_a_signal_handler_has_run),
        SCENE(an_abandoned_call_may_be_cancelled_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
