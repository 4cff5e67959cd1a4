
#include <sys/resource.h>

#include "admin/open.h"
#include "store/queue/queue.h"
#include "unit/registry/scene.h"

static const char shop[] =
    "[mail]\nimportance = postponable\nattempts = 2\nwait = none\n"
    "defer_wait = 1m\ndefer_lease = 5m\n"
    "[card]\nattempts = 1\n"
    "[tip]\nimportance = optional\nattempts = 1\n"
    "[few]\nimportance = postponable\nattempts = 1\ndefer_max = 2\n";

#define TEXT(text) \
    (&(const struct bide_work){.bytes = (text), .length = sizeof(text) - 1})

static const struct bide_work letter = {
    .bytes = "dear customer", .length = 13, .type = "text/plain"};

static enum bide_verdict
run_work(struct scene *s, const char *name, struct bide_outcome outcome,
         struct bide_result *out)
{
    struct bide_call c = {0};
    enum bide_verdict verdict;

    s->outcomes = &outcome;
    s->outcome_count = 1;
    s->made = 0;
    assert_int_equal(bide_call_set_work(&c, &letter), 0);
    verdict = bide_call_run(&c, scene_policy(s, name), scene_attempt, s);
    *out = *bide_call_result(&c);
    return verdict;
}

static int
take_now(struct scene *s, const char *name, struct bide_deferred **out)
{
    return bide_deferred_take(scene_policy(s, name), 0, 1, out);
}

/* ---- calls with work ---- */

static void
an_exhausted_call_is_deferred_once_its_work_is_stored(void **state)
{
    struct scene *s = *state;
    struct bide_deferred *d;
    struct bide_result r;

    scene_start(s, shop);
    assert_int_equal(run_work(s, "mail", bide_http(503, NULL), &r),
                     BIDE_EXHAUSTED);
    assert_int_equal(r.end, BIDE_END_DEFERRED);
    assert_int_equal(r.defer_error, 0);
    assert_int_equal(r.attempts, 2);
    assert_int_equal(take_now(s, "mail", &d), 1);
    assert_int_equal(d->id, r.deferred_id);
    assert_int_equal(d->length, letter.length);
    assert_memory_equal(d->bytes, letter.bytes, letter.length);
    assert_string_equal(d->type, "text/plain");
    assert_int_equal(bide_deferred_ack(scene_policy(s, "mail"), d), 0);
    bide_deferred_free(d);
    assert_int_equal(scene_stats(s, "mail").deferred, 1);
    assert_int_equal(scene_stats(s, "mail").not_stored, 0);
}

static void
a_call_that_succeeds_or_is_rejected_stores_nothing(void **state)
{
    struct scene *s = *state;
    struct bide_deferred *d;
    struct bide_result r;

    scene_start(s, shop);
    assert_int_equal(run_work(s, "mail", bide_ok(), &r), BIDE_SUCCEEDED);
    assert_int_equal(r.deferred_id, 0);
    assert_int_equal(run_work(s, "mail", bide_http(404, NULL), &r),
                     BIDE_REJECTED);
    assert_int_equal(r.deferred_id, 0);
    assert_int_equal(run_work(s, "card", bide_http(503, NULL), &r),
                     BIDE_EXHAUSTED);
    assert_int_equal(r.end, BIDE_END_ABORTED);
    assert_int_equal(run_work(s, "tip", bide_http(503, NULL), &r),
                     BIDE_EXHAUSTED);
    assert_int_equal(r.end, BIDE_END_DROPPED);
    assert_int_equal(take_now(s, "mail", &d), 0);
    assert_int_equal(take_now(s, "card", &d), 0);
    assert_int_equal(take_now(s, "tip", &d), 0);
}

static void
a_refused_call_is_deferred_too(void **state)
{
    struct scene *s = *state;
    struct bide_deferred *d;
    struct bide_result r;

    scene_start(s, shop);
    scene_set(s, "mail", "paused", "yes");
    assert_int_equal(run_work(s, "mail", bide_ok(), &r), BIDE_REFUSED);
    assert_int_equal(s->made, 0);
    assert_int_equal(r.end, BIDE_END_DEFERRED);
    assert_int_equal(take_now(s, "mail", &d), 1);
    assert_int_equal(d->id, r.deferred_id);
    bide_deferred_free(d);
    assert_int_equal(scene_stats(s, "mail").refused, 1);
    assert_int_equal(scene_stats(s, "mail").deferred, 0);
}

static void
work_that_cannot_be_stored_stays_with_the_caller(void **state)
{
    struct scene *s = *state;
    struct bide_result r;
    int i;

    scene_start(s, shop);
    for (i = 0; i < 3; i++) {
        assert_int_equal(run_work(s, "few", bide_http(503, NULL), &r),
                         BIDE_EXHAUSTED);
        assert_int_equal(r.end,
                         i < 2 ? BIDE_END_DEFERRED : BIDE_END_NOT_STORED);
    }
    assert_int_equal(r.defer_error, BIDE_EFULL);
    assert_int_equal(r.deferred_id, 0);
    assert_string_equal(bide_end_name(r.end), "not_stored");
    assert_int_equal(scene_stats(s, "few").deferred, 2);
    assert_int_equal(scene_stats(s, "few").aborted, 1);
    assert_int_equal(scene_stats(s, "few").not_stored, 1);
    assert_int_equal(scene_stats(s, "few").exhausted, 3);
}

static void
without_a_registry_nothing_is_deferred(void **state)
{
    struct scene *s = *state;
    struct bide_result r;
    struct bide_deferred *d = NULL;
    uint64_t id = 7;

    scene_open(s);
    assert_int_equal(bide_declare(s->b, shop), 0);
    assert_int_equal(run_work(s, "mail", bide_http(503, NULL), &r),
                     BIDE_EXHAUSTED);
    assert_int_equal(r.end, BIDE_END_NOT_STORED);
    assert_int_equal(r.defer_error, BIDE_EMISSING);
    assert_int_equal(bide_defer(scene_policy(s, "mail"), &letter, &id),
                     BIDE_EMISSING);
    assert_int_equal(id, 7);
    assert_int_equal(take_now(s, "mail", &d), BIDE_EMISSING);
    assert_null(d);
    scene_init(s);
    scene_apply(s, shop);
    assert_int_equal(run_work(s, "mail", bide_http(503, NULL), &r),
                     BIDE_EXHAUSTED);
    assert_int_equal(r.end, BIDE_END_DEFERRED);
}

static void
a_full_disk_does_not_defer(void **state)
{
    const struct rlimit none = {100000, RLIM_INFINITY};
    struct scene *s = *state;
    struct bide_result r;
    struct rlimit before;

    scene_start(s, shop);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    run_work(s, "mail", bide_http(503, NULL), &r);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(r.end, BIDE_END_NOT_STORED);
    assert_int_equal(r.defer_error, BIDE_EFULL);
    run_work(s, "mail", bide_http(503, NULL), &r);
    assert_int_equal(r.end, BIDE_END_DEFERRED);
}

/* Each write of the library can be the first beyond the limit. */
static void
no_limit_on_file_size_ends_a_service(void **state)
{
    static const rlim_t limits[] = {0, 1, 100, 4096, 100000, 262144, 300000};
    struct scene *s = *state;
    struct bide_policy *p;
    struct rlimit before;
    struct bide_deferred *d;
    int stored = 0, taken = 0;

    scene_start(s, shop);
    p = scene_policy(s, "mail");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    for (size_t i = 0; i < COUNT(limits); i++) {
        const struct rlimit limit = {limits[i], before.rlim_max};
        int rc, n;

        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        rc = bide_defer(p, TEXT("x"), NULL);
        n = bide_deferred_take(p, 0, 1, &d);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_true(rc == 0 || rc == BIDE_EFULL);
        stored += rc == 0;
        if (n > 0) {
            bide_deferred_free(d);
            taken++;
        }
    }
    while (bide_deferred_take(p, 0, 1, &d) == 1) {
        bide_deferred_free(d);
        taken++;
    }
    assert_int_equal(taken, stored);
}

/* ---- BIDE_TRY and steps ---- */

static void
a_try_loop_may_have_work(void **state)
{
    struct scene *s = *state;
    struct bide_call c = {0};
    struct bide_deferred *d;

    scene_start(s, shop);
    BIDE_TRY(&c, scene_policy(s, "mail"))
    {
        assert_int_equal(bide_call_set_work(&c, &letter), 0);
        bide_call_outcome(&c, bide_errno(ECONNREFUSED));
    }
    assert_int_equal(bide_call_result(&c)->end, BIDE_END_DEFERRED);
    assert_int_equal(take_now(s, "mail", &d), 1);
    assert_int_equal(d->id, bide_call_result(&c)->deferred_id);
    bide_deferred_free(d);
    /* The next call has no work. */
    BIDE_TRY(&c, scene_policy(s, "mail"))
    {
        bide_call_outcome(&c, bide_errno(ECONNREFUSED));
    }
    assert_int_equal(bide_call_result(&c)->end, BIDE_END_DEFERRED);
    assert_int_equal(bide_call_result(&c)->deferred_id, 0);
    assert_int_equal(take_now(s, "mail", &d), 0);
}

static void
a_refused_step_stores_its_work(void **state)
{
    struct scene *s = *state;
    struct bide_call c = {0};
    struct bide_deferred *d;

    scene_start(s, shop);
    scene_set(s, "mail", "paused", "yes");
    assert_int_equal(bide_call_set_work(&c, &letter), 0);
    assert_int_equal(bide_step_begin(&c, scene_policy(s, "mail"), NULL),
                     BIDE_DONE);
    assert_int_equal(bide_call_result(&c)->end, BIDE_END_DEFERRED);
    assert_int_equal(take_now(s, "mail", &d), 1);
    assert_int_equal(d->id, bide_call_result(&c)->deferred_id);
    bide_deferred_free(d);
    assert_int_equal(take_now(s, "mail", &d), 0);
}

/* ---- storing and taking ---- */

static void
scopes_share_their_policys_work(void **state)
{
    struct scene *s = *state;
    struct bide_policy *scoped;
    struct bide_deferred *d;
    uint64_t id;

    scene_start(s, shop);
    assert_int_equal(bide_lookup(s->b, "mail", "eu", &scoped), 0);
    assert_int_equal(bide_defer(scoped, TEXT("hi"), &id), 0);
    assert_int_equal(take_now(s, "mail", &d), 1);
    assert_int_equal(d->id, id);
    bide_deferred_free(d);
}

static void
waits_and_leases_follow_the_present_policy(void **state)
{
    struct scene *s = *state;
    struct bide_policy *p;
    struct bide_deferred *d;
    uint64_t id;

    scene_start(s, shop);
    p = scene_policy(s, "mail");
    assert_int_equal(bide_defer(p, TEXT("hi"), &id), 0);
    assert_int_equal(take_now(s, "mail", &d), 1);
    assert_int_equal(d->lease_ends_boottime_ns, s->now + 300 * SECOND);
    scene_set(s, "mail", "defer_lease", "1h");
    assert_int_equal(bide_deferred_extend(p, d), 0);
    assert_int_equal(d->lease_ends_boottime_ns, s->now + 3600 * SECOND);
    scene_set(s, "mail", "defer_wait", "2s");
    assert_int_equal(bide_deferred_nack(p, d, "mail server down"), 0);
    bide_deferred_free(d);
    assert_int_equal(take_now(s, "mail", &d), 0);
    /* Sleeps once, until the work is due. */
    s->sleeps = 0;
    assert_int_equal(bide_deferred_take(p, UINT64_MAX, 1, &d), 1);
    assert_int_equal(s->sleeps, 1);
    assert_string_equal(d->last_error, "mail server down");
    assert_int_equal(d->attempts, 2);
    assert_int_equal(bide_deferred_ack(p, d), 0);
    assert_int_equal(bide_deferred_ack(p, d), BIDE_ENOWORK);
    bide_deferred_free(d);
}

static void
an_event_loop_knows_when_work_is_due(void **state)
{
    struct scene *s = *state;
    struct bide_work later = {.bytes = "x", .length = 1, .delay_ns = SECOND};
    struct bide_policy *p;
    struct bide_deferred *d;
    uint64_t next = 1;

    scene_start(s, shop);
    p = scene_policy(s, "mail");
    assert_int_equal(bide_deferred_next_ns(NULL, &next), BIDE_EINVAL);
    assert_int_equal(bide_deferred_next_ns(p, NULL), BIDE_EINVAL);
    assert_int_equal(next, 1);
    assert_int_equal(bide_deferred_next_ns(p, &next), 0);
    assert_true(next == UINT64_MAX);
    assert_int_equal(bide_defer(p, &later, NULL), 0);
    assert_int_equal(bide_deferred_next_ns(p, &next), 0);
    assert_int_equal(next, s->now + SECOND);
    s->now = next;
    assert_int_equal(take_now(s, "mail", &d), 1);
    assert_int_equal(bide_deferred_next_ns(p, &next), 0);
    assert_int_equal(next, d->lease_ends_boottime_ns);
    bide_deferred_free(d);
}

static void
released_work_is_due_at_once_and_was_not_tried(void **state)
{
    struct scene *s = *state;
    struct bide_policy *p;
    struct bide_deferred *d;

    scene_start(s, shop);
    p = scene_policy(s, "mail");
    assert_int_equal(bide_deferred_release(p, NULL), BIDE_EINVAL);
    assert_int_equal(bide_defer(p, TEXT("hi"), NULL), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(take_now(s, "mail", &d), 1);
        assert_int_equal(d->attempts, 1);
        assert_int_equal(bide_deferred_release(p, d), 0);
        assert_int_equal(bide_deferred_release(p, d), BIDE_ELEASE);
        bide_deferred_free(d);
    }
}

static void
a_lease_expires_by_the_callers_clock(void **state)
{
    struct scene *s = *state;
    struct bide_policy *p;
    struct bide_deferred *d;
    uint64_t id;

    scene_start(s, shop);
    p = scene_policy(s, "mail");
    assert_int_equal(bide_defer(p, TEXT("hi"), &id), 0);
    assert_int_equal(take_now(s, "mail", &d), 1);
    s->now = d->lease_ends_boottime_ns;
    assert_int_equal(bide_deferred_ack(p, d), BIDE_ELEASE);
    assert_int_equal(bide_deferred_nack(p, d, "late"), BIDE_ELEASE);
    assert_int_equal(bide_deferred_extend(p, d), BIDE_ELEASE);
    assert_int_equal(d->lease_ends_boottime_ns, s->now);
    assert_string_equal(bide_strerror(BIDE_ELEASE), "the lease has expired");
    bide_deferred_free(d);
    assert_int_equal(take_now(s, "mail", &d), 1);
    assert_int_equal(d->id, id);
    assert_int_equal(d->attempts, 2);
    s->now = d->lease_ends_boottime_ns - 1;
    assert_int_equal(bide_deferred_ack(p, d), 0);
    bide_deferred_free(d);
}

static void
a_wait_for_work_ends_at_its_time(void **state)
{
    struct scene *s = *state;
    struct bide_deferred *d;
    uint64_t before, end;

    scene_start(s, shop);
    before = s->now;
    end = before + 12 * SECOND;
    assert_int_equal(bide_deferred_take(scene_policy(s, "mail"), end, 1, &d),
                     0);
    assert_int_equal(s->now, end);
    assert_int_equal(s->sleeps, 3); /* at most 5 s without a look */
}

static void
invalid_arguments_are_refused(void **state)
{
    struct scene *s = *state;
    struct bide_deferred *d = NULL;
    struct bide_policy *p;
    struct bide_work huge = {.bytes = "", .length = BIDE_WORK_MAX + 1};
    uint64_t id = 7;

    scene_start(s, shop);
    p = scene_policy(s, "mail");
    assert_int_equal(bide_defer(NULL, TEXT("x"), &id), BIDE_EINVAL);
    assert_int_equal(bide_defer(p, NULL, &id), BIDE_EINVAL);
    assert_int_equal(bide_defer(p, &huge, &id), BIDE_EINVAL);
    assert_int_equal(id, 7);
    assert_int_equal(bide_deferred_take(p, 0, 0, &d), BIDE_EINVAL);
    assert_int_equal(bide_deferred_take(p, 0, 1, NULL), BIDE_EINVAL);
    assert_int_equal(bide_deferred_ack(p, NULL), BIDE_EINVAL);
    bide_deferred_free(NULL);
    assert_int_equal(bide_defer(p, TEXT("x"), NULL), 0);
    assert_int_equal(bide_deferred_take(p, 0, SIZE_MAX, &d), 1);
    assert_int_equal(bide_deferred_ack(NULL, d), BIDE_EINVAL);
    assert_int_equal(bide_deferred_ack(p, d), 0);
    bide_deferred_free(d);
}

/* ---- waiting, with real clocks ---- */

struct waiter {
    struct bide *b;
    int taken;
    struct bide_deferred *d;
};

static void *
wait_for_work(void *arg)
{
    struct waiter *w = arg;
    struct bide_policy *p;

    if (bide_lookup(w->b, "mail", NULL, &p) != 0) {
        return NULL;
    }
    w->taken = bide_deferred_take(p, scene_monotonic() + 60 * SECOND, 1, &w->d);
    if (w->taken == 1) {
        bide_deferred_ack(p, w->d);
    }
    return NULL;
}

/* A consumer that is not woken looks every 5 s. */
static void
arriving_work_wakes_a_waiting_consumer(void **state)
{
    struct scene *s = *state;
    const struct timespec moment = {0, 5000000};
    struct waiter w;
    pthread_t thread;
    uint64_t id, begun;
    int i;

    scene_init(s);
    scene_apply(s, shop);
    assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
    assert_int_equal(bide_open(s->dir, 0, &w.b), 0);
    begun = scene_monotonic();
    for (i = 0; i < 20; i++) {
        assert_int_equal(pthread_create(&thread, NULL, wait_for_work, &w), 0);
        nanosleep(&moment, NULL); /* it most probably sleeps now */
        assert_int_equal(bide_defer(scene_policy(s, "mail"), TEXT("hi"), &id),
                         0);
        pthread_join(thread, NULL);
        assert_int_equal(w.taken, 1);
        assert_int_equal(w.d->id, id);
        bide_deferred_free(w.d);
    }
    assert_true(scene_monotonic() - begun < 50 * SECOND);
    assert_int_equal(bide_close(w.b), 0);
}

static void
an_operators_change_wakes_consumers_and_event_loops(void **state)
{
    struct scene *s = *state;
    struct bide_policy *p;
    struct bide_deferred *d;
    struct deferred *queue;
    struct admin *a;
    struct waiter w;
    pthread_t thread;
    struct bide_watch *watch;
    struct pollfd fd;
    uint64_t id;

    scene_init(s);
    scene_apply(s, shop);
    assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
    assert_int_equal(bide_open(s->dir, 0, &w.b), 0);
    p = scene_policy(s, "mail");
    assert_int_equal(bide_defer(p, TEXT("hi"), &id), 0);
    assert_int_equal(bide_deferred_take(p, 0, 1, &d), 1);
    assert_int_equal(bide_deferred_nack(p, d, "x"), 0);
    bide_deferred_free(d);
    assert_int_equal(bide_watch_new(s->b, &watch), 0);
    fd = (struct pollfd){bide_watch_fd(watch), POLLIN, 0};
    assert_int_equal(pthread_create(&thread, NULL, wait_for_work, &w), 0);
    a = scene_admin(s);
    assert_int_equal(admin_deferred(a, &queue), 0);
    assert_int_equal(deferred_change(queue, DEFERRED_REQUEUED, id, NULL), 0);
    admin_deferred_arrived(a, "mail");
    assert_int_equal(poll(&fd, 1, 60000), 1);
    bide_watch_free(watch);
    pthread_join(thread, NULL);
    assert_int_equal(w.taken, 1);
    bide_deferred_free(w.d);
    assert_int_equal(deferred_change(queue, DEFERRED_DROPPED, 12345, NULL),
                     BIDE_ENOWORK);
    assert_non_null(strstr(place_why(), "12345"));
    admin_close(a);
    assert_int_equal(bide_close(w.b), 0);
}

static void
a_forked_child_takes_work_as_well(void **state)
{
    struct scene *s = *state;
    struct bide_policy *p;
    uint64_t id;
    int status;
    pid_t child;

    scene_init(s);
    scene_apply(s, shop);
    assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
    p = scene_policy(s, "mail");
    assert_int_equal(bide_defer(p, TEXT("parent"), &id), 0);
    child = fork();
    if (child == 0) {
        struct bide_deferred *d;

        _exit(bide_deferred_take(p, 0, 1, &d) != 1 || d->length != 6 ||
              bide_deferred_ack(p, d) || bide_defer(p, TEXT("child"), &id));
    }
    assert_int_equal(bide_defer(p, TEXT("parent"), &id), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(an_exhausted_call_is_deferred_once_its_work_is_stored),
        SCENE(a_call_that_succeeds_or_is_rejected_stores_nothing),
        SCENE(a_refused_call_is_deferred_too),
        SCENE(work_that_cannot_be_stored_stays_with_the_caller),
        SCENE(without_a_registry_nothing_is_deferred),
        SCENE(a_full_disk_does_not_defer),
        SCENE(no_limit_on_file_size_ends_a_service),
        SCENE(a_try_loop_may_have_work),
        SCENE(a_refused_step_stores_its_work),
        SCENE(scopes_share_their_policys_work),
        SCENE(waits_and_leases_follow_the_present_policy),
        SCENE(an_event_loop_knows_when_work_is_due),
        SCENE(released_work_is_due_at_once_and_was_not_tried),
        SCENE(a_lease_expires_by_the_callers_clock),
        SCENE(a_wait_for_work_ends_at_its_time),
        SCENE(invalid_arguments_are_refused),
        SCENE(arriving_work_wakes_a_waiting_consumer),
        SCENE(an_operators_change_wakes_consumers_and_event_loops),
        SCENE(a_forked_child_takes_work_as_well),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
