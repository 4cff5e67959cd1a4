/* bide_close with calls in progress: the last one frees the registry.  That is
 * seen by its descriptors, and by AddressSanitizer. */
#define SCENE_FLAGS 0
#include "unit/registry/scene.h"

#include <dirent.h>

static const char shop[] = "[shop]\n"
                           "attempts = 3\n"
                           "wait = fixed\n"
                           "wait_initial = 100ms\n"
                           "wait_jitter = none\n";

static int
count_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    assert_non_null(d);
    while (readdir(d)) {
        n++;
    }
    closedir(d);
    return n;
}

/* Opens a registry that has descriptors; returns their number before. */
static int
start(struct scene *s)
{
    int before;

    scene_init(s);
    scene_apply(s, shop);
    before = count_descriptors();
    scene_open(s);
    scene_policy(s, "shop");
    assert_true(count_descriptors() > before);
    return before;
}

/* Closes while `calls` run. */
static void
close_early(struct scene *s, int calls)
{
    assert_int_equal(bide_close(s->b), calls);
    s->b = NULL;
}

static void
a_registry_without_calls_is_freed_at_once(void **state)
{
    struct scene *s = *state;
    const struct bide_outcome bad = bide_http(503, NULL);
    int before = start(s);

    scene_run(s, "shop", &bad, 1, NULL);
    scene_close(s);
    assert_int_equal(count_descriptors(), before);
}

static void
the_end_of_the_last_step_frees_it(void **state)
{
    struct scene *s = *state;
    struct bide_call c = {0}, waits = {0}, other = {0};
    int before = start(s);

    bide_step_begin(&c, scene_policy(s, "shop"), NULL);
    bide_step_begin(&other, scene_policy(s, "shop"), NULL);
    bide_step_begin(&waits, scene_policy(s, "shop"), NULL);
    bide_step_ended(&waits, bide_http(503, NULL));
    close_early(s, 3);
    /* All three go on as before. */
    bide_step_ended(&c, bide_http(503, NULL));
    s->now += SECOND;
    assert_int_equal(bide_step_resume(&c), BIDE_GO);
    assert_int_equal(bide_step_ended(&c, bide_ok()), BIDE_DONE);
    assert_int_equal(bide_call_result(&c)->attempts, 2);
    bide_call_abandon(&waits);
    assert_true(count_descriptors() > before);
    assert_int_equal(bide_step_ended(&other, bide_ok()), BIDE_DONE);
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(bide_call_result(&other)->verdict, BIDE_SUCCEEDED);
}

/* Each way in which a call can end. */
static void
every_end_of_a_call_frees_it(void **state)
{
    struct scene *s = *state;
    const struct bide_work work = {.bytes = "x", .length = 1};
    int before = start(s);

    for (int end = 0; end < 5; end++) {
        struct bide_call c = {0};

        if (!s->b) {
            scene_open(s);
        }
        assert_int_equal(bide_call_set_work(&c, &work), 0);
        bide_step_begin(&c, scene_policy(s, "shop"), NULL);
        close_early(s, 1);
        switch (end) {
        case 0:
            bide_call_abandon(&c);
            break;
        case 1:
            bide_step_ended(&c, bide_http(404, NULL));
            break;
        case 2:
            bide_call_cancel(&c);
            bide_step_ended(&c, bide_http(503, NULL));
            break;
        case 3:
            bide_step_ended(&c, bide_http(503, NULL));
            bide_call_cancel(&c);
            bide_step_resume(&c);
            break;
        default:
            for (int i = 0; i < 3; i++) {
                bide_step_ended(&c, bide_http(503, NULL));
                s->now += SECOND;
                bide_step_resume(&c);
            }
        }
        assert_int_equal(count_descriptors(), before);
        assert_int_not_equal(bide_call_result(&c)->verdict, BIDE_UNFINISHED);
        bide_call_abandon(&c); /* it has ended: the registry is not used */
    }
}

static struct bide_outcome
close_in_attempt(const struct bide_attempt *attempt, void *arg)
{
    struct scene *s = arg;

    if (s->b) {
        close_early(s, 1);
    }
    return attempt->number < 3 ? bide_http(503, NULL) : bide_ok();
}

static void
an_attempt_may_close_its_registry(void **state)
{
    struct scene *s = *state;
    struct bide_call c = {0};
    int before = start(s);

    assert_int_equal(bide_run(scene_policy(s, "shop"), close_in_attempt, s),
                     BIDE_SUCCEEDED);
    assert_int_equal(count_descriptors(), before);
    scene_open(s);
    BIDE_TRY(&c, scene_policy(s, "shop"))
    {
        bide_call_outcome(&c, close_in_attempt(bide_call_attempt(&c), s));
    }
    assert_int_equal(bide_call_result(&c)->attempts, 3);
    assert_int_equal(count_descriptors(), before);
    scene_open(s);
    BIDE_TRY(&c, scene_policy(s, "shop"))
    {
        close_in_attempt(bide_call_attempt(&c), s);
        break;
    }
    assert_int_equal(bide_call_result(&c)->verdict, BIDE_CANCELLED);
    assert_int_equal(count_descriptors(), before);
}

static void
close_while_it_sleeps(struct scene *s)
{
    if (s->b) {
        close_early(s, 1);
    }
}

static void
a_sleeping_call_and_a_consumer_free_it_when_they_wake(void **state)
{
    struct scene *s = *state;
    const struct bide_outcome script[] = {bide_http(503, NULL), bide_ok()};
    struct bide_deferred *d = NULL;
    int before = start(s);

    s->on_sleep = close_while_it_sleeps;
    assert_int_equal(scene_run(s, "shop", script, 2, NULL), BIDE_SUCCEEDED);
    assert_int_equal(count_descriptors(), before);
    scene_open(s);
    assert_int_equal(bide_deferred_take(scene_policy(s, "shop"),
                                        s->now + 12 * SECOND, 1, &d),
                     0);
    assert_null(s->b);
    assert_int_equal(count_descriptors(), before);
}

static void
a_watch_may_be_freed_after_its_registry(void **state)
{
    struct scene *s = *state;
    struct bide_call c = {0};
    struct bide_watch *w;
    int before = start(s);

    assert_int_equal(bide_watch_new(s->b, &w), 0);
    bide_step_begin(&c, scene_policy(s, "shop"), w);
    bide_step_ended(&c, bide_http(503, NULL));
    close_early(s, 1);
    bide_call_cancel(&c);
    assert_int_equal(bide_watch_clear(w), 1);
    assert_int_equal(bide_step_resume(&c), BIDE_DONE);
    assert_int_equal(count_descriptors(), before);
    assert_true(bide_watch_fd(w) < 0);
    assert_int_equal(bide_watch_clear(w), 0);
    bide_watch_free(w);
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 200 };

struct closing_threads {
    struct bide_policy *p;
    pthread_barrier_t begun;
};

/* Ends its call at about the time of bide_close. */
static struct bide_outcome
meet_and_succeed(const struct bide_attempt *attempt, void *arg)
{
    struct closing_threads *t = arg;

    (void)attempt;
    pthread_barrier_wait(&t->begun);
    return bide_ok();
}

static void *
run_one_call(void *arg)
{
    struct closing_threads *t = arg;

    (void)bide_run(t->p, meet_and_succeed, t);
    return NULL;
}

static void
exactly_one_of_many_threads_frees_it(void **state)
{
    struct scene *s = *state;
    struct closing_threads t;
    int before = start(s);

    scene_close(s);
    assert_int_equal(pthread_barrier_init(&t.begun, NULL, THREADS + 1), 0);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t thread[THREADS];
        int calls;

        assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
        t.p = scene_policy(s, "shop");
        for (int i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_create(&thread[i], NULL, run_one_call, &t),
                             0);
        }
        pthread_barrier_wait(&t.begun);
        calls = bide_close(s->b);
        s->b = NULL;
        assert_in_range(calls, 0, THREADS);
        for (int i = 0; i < THREADS; i++) {
            pthread_join(thread[i], NULL);
        }
        assert_int_equal(count_descriptors(), before);
    }
    pthread_barrier_destroy(&t.begun);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_registry_without_calls_is_freed_at_once),
        SCENE(the_end_of_the_last_step_frees_it),
        SCENE(every_end_of_a_call_frees_it),
        SCENE(an_attempt_may_close_its_registry),
        SCENE(a_sleeping_call_and_a_consumer_free_it_when_they_wake),
        SCENE(a_watch_may_be_freed_after_its_registry),
        SCENE(exactly_one_of_many_threads_frees_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
