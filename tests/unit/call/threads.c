/* Many threads run calls under a few policies that change all the time: each
 * call ends, and all are counted.  Made for ThreadSanitizer. */
#define SCENE_FLAGS 0
#include "unit/registry/scene.h"

enum { THREADS = 8, POLICIES = 3, CHANGES = 500, CALLS_AT_LEAST = 200 };

static const char *const names[POLICIES] = {"a", "b", "c"};

struct counted {
    uint64_t calls, by_verdict[BIDE_CANCELLED + 1], attempts, recovered;
    uint64_t slept_ns;
};

struct worker {
    struct scene *s;
    pthread_t thread;
    struct bide_policy *policy[POLICIES];
    struct counted counted[POLICIES];
    _Atomic bool *stop;
    uint32_t call;
};

/* A third of the calls always fails, a third fails once. */
static struct bide_outcome
by_number(const struct bide_attempt *attempt, void *arg)
{
    const struct worker *w = arg;

    switch (w->call % 3) {
    case 0:
        return bide_http(503, NULL);
    case 1:
        return attempt->number == 1 ? bide_errno(ETIMEDOUT) : bide_ok();
    default:
        return w->call % 2 ? bide_ok() : bide_http(404, NULL);
    }
}

static void
run_one(struct worker *w, unsigned which)
{
    struct counted *c = &w->counted[which];
    struct bide_call call = {0};
    struct bide_result r;

    if (w->call % 5 == 0) {
        bide_call_run(&call, w->policy[which], by_number, w);
        r = *bide_call_result(&call);
    } else if (w->call % 5 == 1) {
        BIDE_TRY(&call, w->policy[which])
        {
            bide_call_outcome(&call, by_number(bide_call_attempt(&call), w));
        }
        r = *bide_call_result(&call);
    } else {
        scene_call(w->policy[which], by_number, w, &r);
    }
    c->calls++;
    c->by_verdict[r.verdict]++;
    c->attempts += r.attempts;
    c->slept_ns += r.slept_ns;
    c->recovered += r.verdict == BIDE_SUCCEEDED && r.attempts > 1;
}

static void *
work(void *arg)
{
    struct worker *w = arg;
    struct bide_stats stats;
    char name[32];

    for (; w->call < CALLS_AT_LEAST || !atomic_load(w->stop); w->call++) {
        struct bide_policy *p;

        run_one(w, w->call / 3 % POLICIES);
        if (w->call % 64 == 0) {
            snprintf(name, sizeof(name), "n%u", w->call / 64 % 200);
            assert_int_equal(bide_lookup(w->s->b, name, NULL, &p), 0);
            bide_read_stats(w->policy[0], sizeof(stats), &stats);
            bide_registry_status(w->s->b);
        }
    }
    return NULL;
}

static void
turn(struct scene *s, int i)
{
    static const char *const keys[][2] = {
        {"attempts", "2"},
        {"attempts", "3"},
        {"wait_initial", "20us"},
        {"wait", "none"},
        {"attempt_timeout", "1s"},
        {"wait", "fixed"},
        {"attempt_timeout", "none"},
        {"paused", "yes"},
        {"paused", "no"},
        {"retry_on", "any"},
        {"retry_on", "transient"},
        {"description", "turned"},
    };
    const char *const *key = keys[i % (int)COUNT(keys)];

    scene_set(s, names[i / (int)COUNT(keys) % POLICIES], key[0], key[1]);
}

static pid_t
turn_in_another_process(struct scene *s, int *out_start)
{
    int pipes[2];
    pid_t child;

    assert_int_equal(pipe(pipes), 0);
    child = fork();
    if (child == 0) {
        char byte;

        close(pipes[1]);
        if (read(pipes[0], &byte, 1) != 1) {
            _exit(1);
        }
        for (int i = 0; i < CHANGES; i++) {
            turn(s, i * 7);
        }
        _exit(0);
    }
    close(pipes[0]);
    *out_start = pipes[1];
    return child;
}

static struct counted
sum_of(const struct worker *workers, int which)
{
    struct counted sum = {0};

    for (int i = 0; i < THREADS; i++) {
        const struct counted *c = &workers[i].counted[which];

        sum.calls += c->calls;
        sum.attempts += c->attempts;
        sum.slept_ns += c->slept_ns;
        sum.recovered += c->recovered;
        for (int v = 0; v <= BIDE_CANCELLED; v++) {
            sum.by_verdict[v] += c->by_verdict[v];
        }
    }
    return sum;
}

static void
check_counts(struct scene *s, const struct worker *workers)
{
    for (int i = 0; i < POLICIES; i++) {
        struct counted c = sum_of(workers, i);
        struct bide_stats stats = scene_stats(s, names[i]);

        assert_int_equal(stats.succeeded, c.by_verdict[BIDE_SUCCEEDED]);
        assert_int_equal(stats.exhausted, c.by_verdict[BIDE_EXHAUSTED]);
        assert_int_equal(stats.refused, c.by_verdict[BIDE_REFUSED]);
        assert_int_equal(stats.rejected, c.by_verdict[BIDE_REJECTED]);
        assert_int_equal(stats.recovered, c.recovered);
        assert_int_equal(stats.attempts, c.attempts);
        assert_int_equal(stats.attempts_failed, c.attempts - stats.succeeded);
        assert_int_equal(stats.retries, c.attempts - (c.calls - stats.refused));
        assert_int_equal(stats.slept_ns, c.slept_ns);
    }
}

static void
every_call_is_counted_while_policies_change(void **state)
{
    struct scene *s = *state;
    static struct worker workers[THREADS];
    _Atomic bool stop = false;
    int start, status;
    pid_t child;

    /* In memory: a thousand commits need no disk. */
    snprintf(s->dir, sizeof(s->dir), "%s/registry", s->live);
    scene_init(s);
    scene_apply(s, "[a]\nwait_initial = 10us\n[b]\nwait_initial = 10us\n"
                   "[c]\nwait_initial = 10us\n");
    child = turn_in_another_process(s, &start);
    assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
    memset(workers, 0, sizeof(workers));
    for (int i = 0; i < THREADS; i++) {
        struct worker *w = &workers[i];

        w->s = s;
        w->stop = &stop;
        for (int p = 0; p < POLICIES; p++) {
            w->policy[p] = scene_policy(s, names[p]);
        }
        assert_int_equal(pthread_create(&w->thread, NULL, work, w), 0);
    }
    assert_int_equal(write(start, "", 1), 1);
    close(start);
    for (int i = 0; i < CHANGES; i++) {
        turn(s, i);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
    }
    check_counts(s, workers);
    assert_int_equal(scene_sleepers(s), 0);
}

/* ---- the live file is replaced meanwhile ---- */

static void
losing_the_live_file_ends_no_call(void **state)
{
    struct scene *s = *state;
    static struct worker workers[THREADS];
    _Atomic bool stop = false;

    snprintf(s->dir, sizeof(s->dir), "%s/registry", s->live);
    assert_int_equal(
        admin_init(s->dir, &(struct admin_init){.live_dir = s->top}), 0);
    scene_apply(s, "[a]\nwait_initial = 10us\n");
    assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
    memset(workers, 0, sizeof(workers));
    for (int i = 0; i < THREADS; i++) {
        struct worker *w = &workers[i];

        w->s = s;
        w->stop = &stop;
        for (int p = 0; p < POLICIES; p++) {
            w->policy[p] = scene_policy(s, names[p]);
        }
        assert_int_equal(pthread_create(&w->thread, NULL, work, w), 0);
    }
    for (int i = 0; i < 20; i++) {
        struct admin *a = scene_admin(s);

        unlink(admin_live_path(a));
        admin_close(a);
        bide_registry_status(s->b);
        scene_set(s, "a", "attempts", i % 2 ? "3" : "2");
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
    }
    assert_int_equal(bide_close(s->b), 0);
    s->b = NULL;
}

/* ---- cancelling, closing ---- */

struct cancelled {
    struct bide_policy *p;
    struct bide_call call;
    _Atomic bool entered;
};

static struct bide_outcome
enter_and_fail(const struct bide_attempt *attempt, void *arg)
{
    struct cancelled *c = arg;

    (void)attempt;
    atomic_store(&c->entered, true);
    return bide_http(503, NULL);
}

static void *
run_cancelled(void *arg)
{
    struct cancelled *c = arg;

    bide_call_run(&c->call, c->p, enter_and_fail, c);
    return NULL;
}

static bool
has_entered(void *arg)
{
    return atomic_load(&((struct cancelled *)arg)->entered);
}

/* The call may be in its attempt, deciding, or asleep. */
static void
cancelling_at_any_moment_ends_the_call(void **state)
{
    struct scene *s = *state;

    scene_init(s);
    scene_apply(s, "[a]\nattempts = unlimited\nwait_initial = 1h\n"
                   "wait_max = 1h\nwait_jitter = none\n");
    assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
    for (int i = 0; i < 200; i++) {
        struct cancelled c = {.p = scene_policy(s, "a")};
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, run_cancelled, &c), 0);
        assert_true(scene_until(has_entered, &c));
        bide_call_cancel(&c.call);
        pthread_join(thread, NULL);
        assert_int_equal(bide_call_result(&c.call)->verdict, BIDE_CANCELLED);
        assert_int_equal(bide_call_result(&c.call)->attempts, 1);
        /* Not noticed only at its look every 5 s. */
        assert_true(bide_call_result(&c.call)->slept_ns < 4500 * MS);
    }
    assert_int_equal(scene_stats(s, "a").cancelled, 200);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(every_call_is_counted_while_policies_change),
        SCENE(losing_the_live_file_ends_no_call),
        SCENE(cancelling_at_any_moment_ends_the_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
