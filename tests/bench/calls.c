/* calls DIR ROUNDS N: measures a call that succeeds at once, and a failed
 * attempt without a wait.  The registry in DIR has the policies of CALLS_INI in
 * `run`. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <bide.h>
#include "race.h"

enum { MANY = 1000, THREADS = 2 };

static struct bide_policy *many[MANY];
static volatile uint64_t sink;

static struct bide_outcome
succeed(const struct bide_attempt *attempt, void *arg)
{
    (void)attempt;
    (void)arg;
    return (struct bide_outcome){0};
}

static struct bide_outcome
refuse_connection(const struct bide_attempt *attempt, void *arg)
{
    (void)attempt;
    (void)arg;
    return bide_errno(ECONNREFUSED);
}

static struct bide_outcome
succeed_third_time(const struct bide_attempt *attempt, void *arg)
{
    (void)arg;
    return attempt->number < 3 ? bide_errno(ECONNREFUSED) : bide_ok();
}

/* Called through a volatile pointer, so that the compiler cannot inline it; a
 * library calls an attempt in the same way. */
static bide_attempt_fn *volatile attempt_fn = succeed;

/* ---- the baseline: two clock readings ---- */

static void
call_directly(void *arg, long n)
{
    const struct bide_attempt attempt = {1, 0, UINT64_MAX, UINT64_MAX, NULL};

    while (n-- > 0) {
        attempt_fn(&attempt, arg);
    }
}

static void
call_with_clock(void *arg, long n)
{
    const struct bide_attempt attempt = {1, 0, UINT64_MAX, UINT64_MAX, NULL};

    while (n-- > 0) {
        uint64_t begin = race_now_ns();

        attempt_fn(&attempt, arg);
        sink = race_now_ns() - begin;
    }
}

/* ---- success at once ---- */

static void
run_plain(void *arg, long n)
{
    while (n-- > 0) {
        bide_run(arg, succeed, NULL);
    }
}

static void
run_with_result(void *arg, long n)
{
    struct bide_call call;

    while (n-- > 0) {
        bide_call_init(&call);
        bide_call_run(&call, arg, succeed, NULL);
        sink = bide_call_result(&call)->elapsed_ns;
    }
}

static void
run_in_turn(void *arg, long n)
{
    (void)arg;
    for (long i = 0; i < n; i++) {
        bide_run(many[i % MANY], succeed, NULL);
    }
}

static void
run_try(void *arg, long n)
{
    struct bide_call call;
    const struct bide_attempt *attempt = bide_call_attempt(&call);

    bide_call_init(&call);
    while (n-- > 0) {
        BIDE_TRY(&call, arg)
        {
            bide_call_outcome(&call, attempt_fn(attempt, NULL));
        }
    }
}

static void
run_steps(void *arg, long n)
{
    struct bide_call call;
    const struct bide_attempt *attempt = bide_call_attempt(&call);

    bide_call_init(&call);
    while (n-- > 0) {
        if (bide_step_begin(&call, arg, NULL) == BIDE_GO) {
            bide_step_ended(&call, attempt_fn(attempt, NULL));
        }
    }
}

/* ---- two threads ---- */

struct thread {
    pthread_t id;
    void (*run)(void *arg, long n);
    void *arg;
    long n;
};

static void *
run_thread(void *arg)
{
    struct thread *t = arg;

    t->run(t->arg, t->n);
    return NULL;
}

/* Runs `body` n times in each of the threads. */
static void
run_threads(void (*body)(void *, long), void *arg, long n)
{
    struct thread t[THREADS];

    for (int i = 0; i < THREADS; i++) {
        t[i] = (struct thread){.run = body, .arg = arg, .n = n};
        if (pthread_create(&t[i].id, NULL, run_thread, &t[i])) {
            race_stop("pthread_create", "failed");
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(t[i].id, NULL);
    }
}

static void
run_in_threads(void *arg, long n)
{
    run_threads(run_plain, arg, n);
}

static void
clocks_in_threads(void *arg, long n)
{
    run_threads(call_with_clock, arg, n);
}

/* ---- failures ---- */

/* The policy allows 1,000 attempts, so each call makes 1,000 failures. */
static void
fail_always(void *arg, long n)
{
    for (; n > 0; n -= MANY) {
        bide_run(arg, refuse_connection, NULL);
    }
}

static void
fail_once(void *arg, long n)
{
    while (n-- > 0) {
        bide_run(arg, refuse_connection, NULL);
    }
}

static void
fail_twice(void *arg, long n)
{
    while (n-- > 0) {
        bide_run(arg, succeed_third_time, NULL);
    }
}

/* Takes 20,000 retries from the policy's budget: the successes of the
 * measurement do not fill it again. */
static void
drain_budget(struct bide_policy *p)
{
    for (int i = 0; i < 20000; i++) {
        bide_run(p, refuse_connection, NULL);
    }
}

/* ---- main ---- */

static struct bide_policy *
lookup_policy(struct bide *b, const char *name)
{
    struct bide_policy *p;
    int rc = bide_lookup(b, name, NULL, &p);

    if (rc) {
        race_stop(name, bide_strerror(rc));
    }
    return p;
}

static struct bide *
open_registry(const char *dir)
{
    struct bide *b;
    int rc = bide_open(dir, 0, &b);

    if (rc) {
        race_stop(dir, bide_strerror(rc));
    }
    return b;
}

int
main(int argc, char **argv)
{
    struct bide *b, *none;
    struct bide_policy *plain, *drained;
    char name[64];
    int rounds;
    long n;

    if (argc != 4) {
        race_stop("usage", "calls DIR ROUNDS N");
    }
    rounds = (int)race_number(argv[2]);
    n = race_number(argv[3]);
    b = open_registry(argv[1]);
    none = open_registry("/nonexistent/registry");
    if (bide_declare(none, "[plain]\nattempts = 5\n")) {
        race_stop("bide_declare", bide_declare_error());
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "turn-%d", i);
        many[i] = lookup_policy(b, name);
    }
    plain = lookup_policy(b, "plain");
    drained = lookup_policy(b, "drained");
    drain_budget(drained);
    struct racer success[] = {
        {.id = "empty", .run = call_directly},
        {.id = "clocks", .run = call_with_clock},
        {.id = "run", .run = run_plain, .arg = plain},
        {.id = "run_result", .run = run_with_result, .arg = plain},
        {.id = "try", .run = run_try, .arg = plain},
        {.id = "step", .run = run_steps, .arg = plain},
        {.id = "run_1000", .run = run_in_turn},
        {"run_declared", run_plain, lookup_policy(none, "plain"), 0, 0},
        {"run_missing", run_plain, lookup_policy(b, "undefined"), 0, 0},
        {"run_limit", run_plain, lookup_policy(b, "limited"), 0, 0},
        {"run_breaker", run_plain, lookup_policy(b, "breaker"), 0, 0},
        {"run_budget", run_plain, lookup_policy(b, "budget"), 0, 0},
        {"run_both", run_plain, lookup_policy(b, "both"), 0, 0},
        {"run_group", run_plain, lookup_policy(b, "grouped"), 0, 0},
        {.id = "run_drained", .run = run_plain, .arg = drained},
        {.id = "clocks_threads", .run = clocks_in_threads},
        {.id = "run_threads", .run = run_in_threads, .arg = plain},
    };
    struct racer failing[] = {
        {.id = "fail_1000",
         .run = fail_always,
         .arg = lookup_policy(b, "stubborn")},
        {.id = "fail_once", .run = fail_once, .arg = lookup_policy(b, "once")},
        {.id = "fail_twice",
         .run = fail_twice,
         .arg = lookup_policy(b, "stubborn"),
         .divide = 2},
    };
    race(success, sizeof(success) / sizeof(*success), rounds, n);
    race(failing, sizeof(failing) / sizeof(*failing), rounds,
         (n / 10 + MANY - 1) / MANY * MANY);
    bide_close(none);
    return bide_close(b) != 0;
}
