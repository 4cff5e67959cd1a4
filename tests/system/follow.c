/* A change made by the real command reaches calls that wait in another process.
 * They wait for an hour.  A waiting call also reads the registry every 5 s, so
 * each must continue sooner than that: it must have been woken. */
#include <bide.h>
#include "admin/live.h"
#include "admin/open.h"
#include "process.h"

static const char shop[] = "[base]\n"
                           "attempts = 2\n"
                           "wait = fixed\n"
                           "wait_initial = 1h\n"
                           "wait_max = 2h\n"
                           "wait_jitter = none\n"
                           "[shop]\n"
                           "extends = base\n";

#define LONG_RULES                                                   \
    "attempts = 2\nwait = fixed\nwait_initial = 1h\nwait_max = 2h\n" \
    "wait_jitter = none\n"

enum driver { RUN, TRY, STEP, DRIVERS };

struct service {
    pid_t pid;
    int results;
};

/* ---- the service ---- */

static struct bide_outcome
first_fails(const struct bide_attempt *attempt, void *arg)
{
    (void)arg;
    return attempt->number == 1 ? bide_http(503, NULL) : bide_ok();
}

static void
run_with_steps(struct bide *b, struct bide_policy *p, struct bide_result *out)
{
    struct pollfd fd = {.events = POLLIN};
    struct bide_watch *w;
    struct bide_call c;
    enum bide_next next;

    MUST(bide_watch_new(b, &w) == 0);
    fd.fd = bide_watch_fd(w);
    bide_call_init(&c);
    next = bide_step_begin(&c, p, w);
    while (next != BIDE_DONE) {
        if (next == BIDE_GO) {
            next =
                bide_step_ended(&c, first_fails(bide_call_attempt(&c), NULL));
            continue;
        }
        /* Only the descriptor wakes it. */
        if (poll(&fd, 1,
                 bide_step_deadline_ns(&c) > scene_monotonic() ? 60000 : 0)) {
            bide_watch_clear(w);
        }
        next = bide_step_resume(&c);
    }
    *out = *bide_call_result(&c);
    bide_watch_free(w);
}

static void
run_with_driver(enum driver driver, struct bide *b, struct bide_policy *p,
                struct bide_result *out)
{
    struct bide_call c;

    switch (driver) {
    case RUN:
        scene_call(p, first_fails, NULL, out);
        break;
    case TRY:
        bide_call_init(&c);
        BIDE_TRY(&c, p)
        {
            bide_call_outcome(&c, first_fails(bide_call_attempt(&c), NULL));
        }
        *out = *bide_call_result(&c);
        break;
    default:
        run_with_steps(b, p, out);
    }
}

static void
run_service(struct scene *s, enum driver driver, const char *name, int results)
{
    struct bide_result r;
    struct bide_policy *p;
    struct bide *b;

    MUST(bide_open(s->dir, 0, &b) == 0);
    MUST(bide_declare(b, "[declared]\n" LONG_RULES) == 0);
    MUST(bide_lookup(b, name, NULL, &p) == 0);
    run_with_driver(driver, b, p, &r);
    MUST(write(results, &r, sizeof(r)) == sizeof(r));
    MUST(bide_close(b) == 0);
    _exit(0);
}

static bool
any_call_waits(void *arg)
{
    return scene_sleepers(arg) > 0;
}

/* Starts a service and returns once its call waits. */
static struct service
service_start(struct scene *s, enum driver driver, const char *name)
{
    struct service v;
    int pipes[2];

    assert_int_equal(pipe(pipes), 0);
    v.pid = fork();
    if (v.pid == 0) {
        close(pipes[0]);
        run_service(s, driver, name, pipes[1]);
    }
    close(pipes[1]);
    v.results = pipes[0];
    assert_true(scene_until(any_call_waits, s));
    return v;
}

static struct bide_result
service_end(struct service v)
{
    struct bide_result r;
    int status;

    if (!process_read_all(v.results, &r, sizeof(r))) {
        kill(v.pid, SIGKILL);
        fail_msg("the call did not continue");
    }
    close(v.results);
    assert_int_equal(waitpid(v.pid, &status, 0), v.pid);
    assert_int_equal(status, 0);
    return r;
}

/* ---- changes ---- */

struct change {
    const char *what, *name;
    const char *words[6];
    const char *text; /* or applied */
    enum bide_verdict verdict;
    uint32_t attempts;
};

static const struct change changes[] = {
    {"lowered",
     "shop",
     {"set", "shop", "wait_initial=1ms"},
     NULL,
     BIDE_SUCCEEDED,
     2},
    {"its maximum lowered",
     "shop",
     {"set", "shop", "wait_max=1ms"},
     NULL,
     BIDE_SUCCEEDED,
     2},
    {"set to give up",
     "shop",
     {"set", "shop", "attempts=1"},
     NULL,
     BIDE_EXHAUSTED,
     1},
    {"deleted", "shop", {"delete", "shop"}, NULL, BIDE_EXHAUSTED, 1},
    {"its parent changed",
     "shop",
     {"set", "base", "wait_initial=1ms"},
     NULL,
     BIDE_SUCCEEDED,
     2},
    {"created",
     "declared",
     {NULL},
     "[declared]\nattempts = 1\n",
     BIDE_EXHAUSTED,
     1},
    {"created as another's child",
     "declared",
     {NULL},
     "[declared]\nextends = base\nwait = none\n",
     BIDE_SUCCEEDED,
     2},
    {"rolled back", "shop", {"rollback", "shop", "1"}, NULL, BIDE_SUCCEEDED, 2},
};

static const char *const drivers[] = {"run", "try", "step"};

static void
check_change(struct scene *s, const struct change *c, enum driver driver)
{
    struct service v;
    struct bide_result r;

    print_message("         %s, %s\n", c->what, drivers[driver]);
    BIDE(s, "apply", "--prune", process_file(s, shop));
    v = service_start(s, driver, c->name);
    if (c->text) {
        BIDE(s, "apply", process_file(s, c->text));
    } else {
        assert_int_equal(process_run(s, c->words), 0);
    }
    r = service_end(v);
    assert_int_equal(r.verdict, c->verdict);
    assert_int_equal(r.attempts, c->attempts);
    assert_true(r.slept_ns < 4500 * MS); /* woken, not by its own reading */
    assert_int_equal(scene_sleepers(s), 0);
}

static void
a_change_reaches_a_waiting_call_in_another_process(void **state)
{
    struct scene *s = *state;

    /* Version 1 of shop waits for 1 ms, for the rollback. */
    process_registry(s, "[shop]\nattempts = 2\nwait_initial = 1ms\n");
    for (size_t i = 0; i < COUNT(changes); i++) {
        for (enum driver driver = RUN; driver < DRIVERS; driver++) {
            check_change(s, &changes[i], driver);
        }
    }
}

static void
a_restore_reaches_a_waiting_call_in_another_process(void **state)
{
    struct scene *s = *state;
    char path[400];

    snprintf(path, sizeof(path), "%s/it.backup", s->dir);
    process_registry(s, "[shop]\nattempts = 2\nwait_initial = 1ms\n");
    BIDE(s, "backup", path);
    for (enum driver driver = RUN; driver < DRIVERS; driver++) {
        struct service v;
        struct bide_result r;

        BIDE(s, "apply", process_file(s, shop));
        v = service_start(s, driver, "shop");
        BIDE(s, "restore", path);
        r = service_end(v);
        assert_int_equal(r.verdict, BIDE_SUCCEEDED);
        assert_true(r.slept_ns < 4500 * MS);
        assert_int_equal(scene_sleepers(s), 0);
    }
}

static int
keep_wait(void *arg, const struct admin_sleeper *sleeper)
{
    *(int64_t *)arg = sleeper->wakes_in_ns;
    return 0;
}

static bool
wakes_later(void *arg)
{
    struct admin *a = scene_admin(arg);
    int64_t ns = 0;

    admin_each_sleeper(a, keep_wait, &ns);
    admin_close(a);
    return ns > 4000 * (int64_t)SECOND;
}

static void
a_raised_wait_makes_the_call_wait_longer(void **state)
{
    struct scene *s = *state;

    process_registry(s, shop);
    for (enum driver driver = RUN; driver < DRIVERS; driver++) {
        struct service v = service_start(s, driver, "shop");
        struct bide_result r;

        assert_false(wakes_later(s));
        BIDE(s, "set", "shop", "wait_initial=2h");
        assert_true(scene_until(wakes_later, s));
        BIDE(s, "set", "shop", "wait_initial=1ms");
        r = service_end(v);
        assert_int_equal(r.verdict, BIDE_SUCCEEDED);
        BIDE(s, "set", "shop", "wait_initial=1h");
    }
}

/* The end of a temporary change is not announced: blocking calls find it when
 * they read the registry, every 5 s. */
static void
a_temporary_change_ends_by_itself(void **state)
{
    struct scene *s = *state;
    struct service v;
    struct bide_result r;

    process_registry(s, "[shop]\nattempts = 2\nwait = fixed\n"
                        "wait_initial = 10ms\nwait_jitter = none\n"
                        "wait_max = 2h\n");
    BIDE(s, "set", "shop", "wait_initial=1h", "--for", "2s");
    v = service_start(s, RUN, "shop");
    r = service_end(v);
    assert_int_equal(r.verdict, BIDE_SUCCEEDED);
    BIDE(s, "set", "shop", "attempts=2", "wait_initial=1h");
    v = service_start(s, RUN, "shop");
    BIDE(s, "set", "shop", "attempts=1", "--for", "1h");
    r = service_end(v);
    assert_int_equal(r.verdict, BIDE_EXHAUSTED);
}

/* ---- fifty waiting threads ---- */

enum { MANY = 50 };

static void *
run_waiting_call(void *arg)
{
    bide_run(arg, first_fails, NULL);
    return NULL;
}

static bool
all_calls_wait(void *arg)
{
    return scene_sleepers(arg) == MANY;
}

static void
run_service_with_threads(struct scene *s, int results)
{
    pthread_t threads[MANY];
    struct bide_policy *p;
    struct bide_stats stats;
    struct bide *b;

    MUST(bide_open(s->dir, 0, &b) == 0);
    MUST(bide_lookup(b, "shop", NULL, &p) == 0);
    for (int i = 0; i < MANY; i++) {
        MUST(pthread_create(&threads[i], NULL, run_waiting_call, p) == 0);
    }
    for (int i = 0; i < MANY; i++) {
        pthread_join(threads[i], NULL);
    }
    MUST(bide_read_stats(p, sizeof(stats), &stats) == 0);
    MUST(write(results, &stats, sizeof(stats)) == sizeof(stats));
    MUST(bide_close(b) == 0);
    _exit(0);
}

static void
a_change_reaches_fifty_waiting_threads(void **state)
{
    struct scene *s = *state;
    struct bide_stats stats;
    int pipes[2], status;
    pid_t child;

    process_registry(s, shop);
    assert_int_equal(pipe(pipes), 0);
    child = fork();
    if (child == 0) {
        run_service_with_threads(s, pipes[1]);
    }
    close(pipes[1]);
    assert_true(scene_until(all_calls_wait, s));
    BIDE(s, "set", "shop", "wait_initial=1ms");
    assert_true(process_read_all(pipes[0], &stats, sizeof(stats)));
    close(pipes[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(stats.recovered, MANY);
    assert_int_equal(stats.attempts_failed, MANY);
    assert_int_equal(scene_sleepers(s), 0);
    assert_true(stats.slept_ns < MANY * 4500 * MS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_change_reaches_a_waiting_call_in_another_process),
        SCENE(a_restore_reaches_a_waiting_call_in_another_process),
        SCENE(a_raised_wait_makes_the_call_wait_longer),
        SCENE(a_temporary_change_ends_by_itself),
        SCENE(a_change_reaches_fifty_waiting_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
