/* Each allocation and each system call that can fail fails once, then always:
 * no crash, no leak, and calls go on.  The linker replaces the real functions
 * by these (tests/CMakeLists.txt). */
#define SCENE_FLAGS 0
#include "scene.h"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>

enum kind { ALLOCATIONS, CALLS };

static long countdown; /* calls until the one that fails; 0: none fails */
static bool for_ever;  /* the later ones fail as well */
static enum kind failing;
static _Atomic long happened[CALLS + 1];

static bool
fails_now(enum kind kind, int error)
{
    happened[kind]++;
    if (countdown == 0 || kind != failing) {
        return false;
    }
    if (countdown > 1) {
        countdown--;
        return false;
    }
    if (!for_ever) {
        countdown = 0;
    }
    errno = error;
    return true;
}

#define WRAP(kind, error, failed, type, name, parameters, arguments)      \
    type __real_##name parameters;                                        \
    type __wrap_##name parameters;                                        \
    type __wrap_##name parameters                                         \
    {                                                                     \
        return fails_now(kind, error) ? failed : __real_##name arguments; \
    }

WRAP(ALLOCATIONS, ENOMEM, NULL, void *, malloc, (size_t size), (size))
WRAP(ALLOCATIONS, ENOMEM, NULL, void *, calloc, (size_t n, size_t size),
     (n, size))
WRAP(ALLOCATIONS, ENOMEM, NULL, void *, realloc, (void *p, size_t size),
     (p, size))
WRAP(ALLOCATIONS, ENOMEM, NULL, void *, aligned_alloc, (size_t by, size_t size),
     (by, size))
WRAP(ALLOCATIONS, ENOMEM, NULL, char *, strdup, (const char *s), (s))
WRAP(ALLOCATIONS, ENOMEM, NULL, char *, strndup, (const char *s, size_t n),
     (s, n))
WRAP(ALLOCATIONS, ENOMEM, MAP_FAILED, void *, mmap,
     (void *at, size_t size, int protection, int flags, int fd, off_t offset),
     (at, size, protection, flags, fd, offset))
WRAP(CALLS, for_ever ? EIO : EINTR, -1, ssize_t, pread,
     (int fd, void *to, size_t size, off_t offset), (fd, to, size, offset))
WRAP(CALLS, EIO, -1, ssize_t, pwrite,
     (int fd, const void *from, size_t size, off_t offset),
     (fd, from, size, offset))
WRAP(CALLS, EACCES, -1, int, stat, (const char *path, struct stat *out),
     (path, out))
WRAP(CALLS, ENOSPC, -1, int, ftruncate, (int fd, off_t size), (fd, size))
WRAP(CALLS, ENOSPC, -1, int, fallocate,
     (int fd, int mode, off_t offset, off_t size), (fd, mode, offset, size))
WRAP(CALLS, EMFILE, -1, int, epoll_create1, (int flags), (flags))
WRAP(CALLS, ENOSPC, -1, int, epoll_ctl,
     (int fd, int op, int of, struct epoll_event *e), (fd, op, of, e))
WRAP(CALLS, EMFILE, -1, int, eventfd, (unsigned value, int flags),
     (value, flags))
WRAP(CALLS, EMFILE, -1, int, inotify_init1, (int flags), (flags))
WRAP(CALLS, ENOSPC, -1, int, inotify_add_watch,
     (int fd, const char *path, uint32_t mask), (fd, path, mask))
WRAP(CALLS, EMFILE, -1, int, timerfd_create, (int clock, int flags),
     (clock, flags))
WRAP(CALLS, ENOMEM, -1, int, madvise, (void *at, size_t size, int advice),
     (at, size, advice))

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int
__wrap_open(const char *path, int flags, ...)
{
    va_list args;
    int mode;

    va_start(args, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, int) : 0;
    va_end(args);
    return fails_now(CALLS, EMFILE) ? -1 : __real_open(path, flags, mode);
}

/* ---- a program's life ---- */

static const char shop[] = "[shop]\nextends = base\n"
                           "[base]\nattempts = 4\nwait = none\n";

static struct bide_outcome
fine(const struct bide_attempt *attempt, void *arg)
{
    (void)attempt;
    (void)arg;
    return bide_ok();
}

static struct bide_outcome
refused_connection(const struct bide_attempt *attempt, void *arg)
{
    (void)attempt;
    (void)arg;
    return bide_errno(ECONNREFUSED);
}

static void
expect(int rc)
{
    if (rc != 0 && rc != BIDE_ENOMEM &&
        (failing == ALLOCATIONS || (rc != BIDE_ESYS && rc != BIDE_EPERM))) {
        fail_msg("%s", bide_strerror(rc));
    }
}

/* Calls go on whatever has failed; only the number of attempts may differ. */
static void
use(struct bide_policy *p)
{
    struct bide_result r;
    struct bide_call c = {0};
    struct bide_stats stats;

    assert_int_equal(scene_call(p, fine, NULL, &r), BIDE_SUCCEEDED);
    assert_int_equal(scene_call(p, refused_connection, NULL, &r),
                     BIDE_EXHAUSTED);
    assert_in_range(r.attempts, 1, 4);
    BIDE_TRY(&c, p)
    {
        bide_call_outcome(&c, bide_http(503, NULL));
    }
    assert_int_equal(bide_call_result(&c)->verdict, BIDE_EXHAUSTED);
    bide_step_begin(&c, p, NULL);
    bide_call_abandon(&c);
    expect(bide_read_stats(p, sizeof(stats), &stats));
}

static struct bide_outcome
cancel_and_fail(const struct bide_attempt *attempt, void *call)
{
    bide_call_cancel(call);
    return refused_connection(attempt, NULL);
}

static void
without_memory_for_rules_calls_are_still_counted(void **state)
{
    struct scene *s = *state;
    struct bide_policy *p;
    struct bide_stats stats;
    struct bide_call c = {0};

    scene_open(s);
    failing = ALLOCATIONS;
    for_ever = true;
    /* Memory is exhausted once the handle and its cell exist. */
    for (long n = 1; n < 100; n++) {
        countdown = n;
        if (bide_lookup(s->b, "shop", NULL, &p) == 0) {
            break;
        }
    }
    countdown = 1;
    assert_int_equal(bide_run(p, refused_connection, NULL), BIDE_EXHAUSTED);
    assert_int_equal(bide_call_run(&c, p, cancel_and_fail, &c), BIDE_CANCELLED);
    assert_int_equal(bide_call_result(&c)->outcome.code, ECONNREFUSED);
    countdown = 0;
    assert_int_equal(bide_read_stats(p, sizeof(stats), &stats), 0);
    assert_int_equal(stats.aborted, 1);
    assert_int_equal(stats.cancelled, 1);
    assert_int_equal(stats.attempts_failed, 2);
}

/* A call of an event loop, with work, that waits and is abandoned. */
static void
step_with(struct bide_policy *p, struct bide_watch *w)
{
    const struct bide_work work = {.bytes = "x", .length = 1, .key = "k"};
    struct bide_call *c = NULL;
    int rc = bide_call_new(&c);

    expect(rc);
    if (rc == 0) {
        expect(bide_call_set_work(c, &work));
        bide_step_begin(c, p, w);
        bide_step_ended(c, bide_errno(ECONNREFUSED));
        bide_watch_clear(w);
    }
    bide_call_free(c);
}

static void
live_once(const char *dir)
{
    struct bide *b = NULL;
    struct bide_policy *p = NULL, *scoped = NULL;
    struct bide_watch *w = NULL;
    int rc = bide_open(dir, 0, &b);

    expect(rc);
    if (rc) {
        assert_null(b);
        return;
    }
    rc = bide_declare(b, "[mine]\nattempts = 2\nwait = none\n"
                         "[other]\nextends = mine\n");
    expect(rc);
    assert_int_equal(rc != 0, *bide_declare_error() != '\0');
    for (int i = 0; i < 4; i++) {
        static const char *const names[] = {"shop", "mine", "other", "none"};

        p = NULL;
        rc = bide_lookup(b, names[i], NULL, &p);
        expect(rc);
        assert_int_equal(rc == 0, p != NULL);
        if (p) {
            use(p);
        }
    }
    if (bide_lookup(b, "shop", "scope", &scoped) == 0) {
        use(scoped);
    }
    rc = bide_watch_new(b, &w);
    expect(rc);
    assert_int_equal(rc == 0, w != NULL);
    if (w && p) {
        step_with(p, w);
    }
    bide_watch_free(w);
    bide_registry_status(b);
    assert_int_equal(bide_close(b), 0);
}

static int
lowest_free(void)
{
    int fd = dup(0);

    assert_true(fd > 0); /* 0 is still open */
    close(fd);
    return fd;
}

/* Returns the number of calls that could have failed. */
static long
fail_each(enum kind kind, bool all_after, const char *dir)
{
    int free_before = lowest_free();
    long n;

    failing = kind;
    for_ever = all_after;
    for (n = 1; n < 100000; n++) {
        bool reached;

        countdown = n;
        live_once(dir);
        reached = for_ever ? countdown == 1 : countdown == 0;
        countdown = 0;
        assert_int_equal(lowest_free(), free_before);
        if (!reached) {
            break;
        }
    }
    print_message("         %ld\n", n - 1);
    return n - 1;
}

static void
start(struct scene *s)
{
    scene_init(s);
    scene_apply(s, shop);
    live_once(s->dir); /* makes the objects that exist once per process */
}

static void
a_single_failed_allocation_crashes_nothing(void **state)
{
    struct scene *s = *state;

    start(s);
    assert_true(fail_each(ALLOCATIONS, false, s->dir) > 20);
}

static void
memory_that_stays_exhausted_crashes_nothing(void **state)
{
    struct scene *s = *state;

    start(s);
    assert_true(fail_each(ALLOCATIONS, true, s->dir) > 20);
}

static void
a_single_failed_system_call_crashes_nothing(void **state)
{
    struct scene *s = *state;

    start(s);
    assert_true(fail_each(CALLS, false, s->dir) > 20);
}

static void
system_calls_that_keep_failing_crash_nothing(void **state)
{
    struct scene *s = *state;

    start(s);
    assert_true(fail_each(CALLS, true, s->dir) > 20);
}

static void
failures_without_a_registry_crash_nothing(void **state)
{
    struct scene *s = *state;

    assert_true(fail_each(ALLOCATIONS, false, s->dir) > 10);
    assert_true(fail_each(ALLOCATIONS, true, s->dir) > 10);
    fail_each(CALLS, false, s->dir);
    fail_each(CALLS, true, s->dir);
}

/* ---- while it runs ---- */

static void
rules_stay_while_there_is_no_memory_for_new_ones(void **state)
{
    const struct bide_outcome bad = bide_http(503, NULL);
    struct scene *s = *state;
    long n, seen_old = 0;

    scene_start(s, shop);
    scene_policy(s, "shop");
    failing = ALLOCATIONS;
    for (n = 1; n < 1000; n++) {
        scene_set(s, "base", "attempts", n % 2 ? "5" : "4");
        for_ever = true;
        countdown = n;
        scene_run(s, "shop", &bad, 1, NULL);
        if (countdown != 1) {
            break;
        }
        countdown = 0;
        assert_in_range(s->made, 4, 5); /* the old or the new rules */
        seen_old += s->made == (n % 2 ? 4 : 5);
        scene_run(s, "shop", &bad, 1, NULL);
        assert_int_equal(s->made, n % 2 ? 5 : 4); /* it recovers */
    }
    countdown = 0;
    assert_true(seen_old > 3);
}

/* ---- the success path ---- */

static struct bide_outcome
as_told(const struct bide_attempt *attempt, void *arg)
{
    (void)attempt;
    return *(const struct bide_outcome *)arg;
}

static void
succeed_by_each_driver(struct bide_policy *p, struct bide_outcome o)
{
    struct bide_result r;
    struct bide_call c = {0};

    assert_int_equal(scene_call(p, as_told, &o, &r), BIDE_SUCCEEDED);
    assert_int_equal(r.outcome.domain, o.domain);
    assert_int_equal(r.outcome.code, o.code);
    BIDE_TRY(&c, p)
    {
        bide_call_outcome(&c, o);
    }
    assert_int_equal(bide_call_result(&c)->verdict, BIDE_SUCCEEDED);
    assert_int_equal(bide_call_result(&c)->outcome.code, o.code);
    bide_step_begin(&c, p, NULL);
    assert_int_equal(bide_step_ended(&c, o), BIDE_DONE);
    assert_int_equal(bide_call_result(&c)->verdict, BIDE_SUCCEEDED);
}

/* Runs for longer than the 1 ms after which a failure would look at the
 * registry: successes must not. */
static void
a_success_makes_no_system_call_under_any_policy_name(void **state)
{
    const struct bide_outcome successes[] = {
        bide_ok(),     bide_http(200, NULL), bide_http(304, NULL), bide_grpc(0),
        bide_errno(0), bide_wait_status(0),  bide_curl(0)};
    struct scene *s = *state;
    struct bide_policy *p;
    cpu_set_t all, one;

    /* On one CPU: each CPU maps counters of its own on first use. */
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    scene_start(s, shop);
    scene_set_clock(s->b, NULL);
    p = scene_policy(s, "shop");
    for (size_t i = 0; i < COUNT(successes); i++) {
        uint64_t until = scene_monotonic() + 5 * MS;
        long calls = happened[CALLS], memory = happened[ALLOCATIONS];

        do {
            succeed_by_each_driver(p, successes[i]);
        } while (scene_monotonic() < until);
        if (i > 0) { /* the first one maps its counters */
            assert_int_equal(happened[CALLS], calls);
            assert_int_equal(happened[ALLOCATIONS], memory);
        }
    }
    sched_setaffinity(0, sizeof(all), &all);
    /* A successful outcome is a failure under this policy (GATE_CLASSIFY). */
    scene_set(s, "base", "retry_on", "http.304, exit.0");
    assert_int_equal(bide_run(p, as_told, (void *)&successes[2]),
                     BIDE_EXHAUSTED);
    assert_int_equal(bide_run(p, as_told, (void *)&successes[5]),
                     BIDE_EXHAUSTED);
    assert_int_equal(bide_run(p, as_told, (void *)&successes[1]),
                     BIDE_SUCCEEDED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_single_failed_allocation_crashes_nothing),
        SCENE(memory_that_stays_exhausted_crashes_nothing),
        SCENE(a_single_failed_system_call_crashes_nothing),
        SCENE(system_calls_that_keep_failing_crash_nothing),
        SCENE(failures_without_a_registry_crash_nothing),
        SCENE(without_memory_for_rules_calls_are_still_counted),
        SCENE(a_success_makes_no_system_call_under_any_policy_name),
        SCENE(rules_stay_while_there_is_no_memory_for_new_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
