/* Attempts that do not return: longjmp and pthread_cancel. */
#include "unit/registry/scene.h"

static const char shop[] = "[shop]\nattempts = 3\nwait = none\n";

struct leaving {
    struct scene *s;
    struct bide_call call;
    jmp_buf out;
    uint32_t at; /* the attempt that is left */
};

static struct bide_outcome
jump_out(const struct bide_attempt *a, void *arg)
{
    struct leaving *t = arg;

    if (a->number == t->at) {
        longjmp(t->out, 1);
    }
    return bide_errno(ETIMEDOUT);
}

static struct bide_outcome
be_cancelled(const struct bide_attempt *a, void *arg)
{
    const struct leaving *t = arg;

    while (a->number == t->at) {
        pthread_cancel(pthread_self());
        pthread_testcancel();
    }
    return bide_errno(ETIMEDOUT);
}

static void
abandon(void *call)
{
    bide_call_abandon(call);
}

static void *
run_until_cancelled(void *arg)
{
    struct leaving *t = arg;

    pthread_cleanup_push(abandon, &t->call);
    bide_call_run(&t->call, scene_policy(t->s, "shop"), be_cancelled, t);
    pthread_cleanup_pop(0);
    return NULL;
}

static void
expect_cancelled(struct leaving *t, uint64_t calls)
{
    struct bide_stats stats = scene_stats(t->s, "shop");

    assert_int_equal(bide_call_result(&t->call)->verdict, BIDE_CANCELLED);
    assert_int_equal(stats.cancelled, calls);
    bide_call_abandon(&t->call); /* it has ended: nothing happens */
    assert_int_equal(scene_stats(t->s, "shop").cancelled, calls);
    assert_int_equal(bide_close(t->s->b), 0);
    t->s->b = NULL;
}

static void
a_call_whose_attempt_jumped_out_can_be_abandoned(void **state)
{
    struct leaving t = {.s = *state};

    scene_init(t.s);
    scene_apply(t.s, shop);
    for (t.at = 1; t.at <= 3; t.at++) {
        assert_int_equal(bide_open(t.s->dir, 0, &t.s->b), 0);
        if (setjmp(t.out) == 0) {
            bide_call_run(&t.call, scene_policy(t.s, "shop"), jump_out, &t);
            fail();
        }
        assert_ptr_equal(bide_call_policy(&t.call),
                         scene_policy(t.s, "shop")); /* still in progress */
        bide_call_abandon(&t.call);
        expect_cancelled(&t, t.at);
    }
}

static void
a_call_whose_thread_was_cancelled_can_be_abandoned(void **state)
{
    struct leaving t = {.s = *state};
    pthread_t thread;
    void *end;

    scene_init(t.s);
    scene_apply(t.s, shop);
    for (t.at = 1; t.at <= 3; t.at++) {
        assert_int_equal(bide_open(t.s->dir, 0, &t.s->b), 0);
        pthread_create(&thread, NULL, run_until_cancelled, &t);
        pthread_join(thread, &end);
        assert_ptr_equal(end, PTHREAD_CANCELED);
        expect_cancelled(&t, t.at);
    }
}

/* Makes a look-up and a failed call with a cancellation pending. */
static void *
look_up_and_fail(void *arg)
{
    struct leaving *t = arg;
    struct bide_policy *p;

    pthread_cancel(pthread_self());
    bide_registry_status(t->s->b);
    if (bide_lookup(t->s->b, "shop", NULL, &p) == 0) {
        bide_call_run(&t->call, p, be_cancelled, t);
    }
    return NULL;
}

static void
a_cancelled_thread_leaves_no_lock_taken(void **state)
{
    struct leaving t = {.s = *state, .at = UINT32_MAX};
    struct bide_outcome ok = bide_ok();
    pthread_t thread;

    scene_start(t.s, shop);
    pthread_create(&thread, NULL, look_up_and_fail, &t);
    pthread_join(thread, NULL);
    alarm(60); /* ends this test if a lock is taken */
    scene_set(t.s, "shop", "attempts", "2");
    assert_int_equal(bide_registry_status(t.s->b), 0);
    bide_call_abandon(&t.call);
    assert_int_equal(scene_run(t.s, "other", &ok, 1, NULL), BIDE_SUCCEEDED);
    alarm(0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_call_whose_attempt_jumped_out_can_be_abandoned),
        SCENE(a_call_whose_thread_was_cancelled_can_be_abandoned),
        SCENE(a_cancelled_thread_leaves_no_lock_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
