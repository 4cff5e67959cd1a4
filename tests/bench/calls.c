/* calls DIR ROUNDS N: what a call costs that succeeds at once, and what a
 * failed attempt costs that need not wait.  The registry in DIR has the
 * policies of run's CALLS_INI. */
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
nothing(const struct bide_attempt *attempt, void *arg)
{
    (void)attempt;
    (void)arg;
    return (struct bide_outcome){0};
}

static struct bide_outcome
failure(const struct bide_attempt *attempt, void *arg)
{
    (void)attempt;
    (void)arg;
    return bide_errno(ECONNREFUSED);
}

static struct bide_outcome
third_time_lucky(const struct bide_attempt *attempt, void *arg)
{
    (void)arg;
    return attempt->number < 3 ? bide_errno(ECONNREFUSED) : bide_ok();
}

/* As a library would call it: by a pointer that the compiler cannot see
 * through. */
static bide_attempt_fn *volatile attempt_fn = nothing;

/* ---- what we are measured against ---- */

static void
empty_function(void *arg, long n)
{
    const struct bide_attempt attempt = {1, 0, UINT64_MAX};

    while (n-- > 0) {
        attempt_fn(&attempt, arg);
    }
}

static void
two_clock_readings(void *arg, long n)
{
    const struct bide_attempt attempt = {1, 0, UINT64_MAX};

    while (n-- > 0) {
        uint64_t begin = race_now_ns();

        attempt_fn(&attempt, arg);
        sink = race_now_ns() - begin;
    }
}

/* ---- success at once ---- */

static void
run(void *arg, long n)
{
    while (n-- > 0) {
        bide_run(arg, nothing, NULL, NULL);
    }
}

static void
run_with_result(void *arg, long n)
{
    struct bide_result result;

    while (n-- > 0) {
        bide_run(arg, nothing, NULL, &result);
        sink = result.elapsed_ns;
    }
}

static void
run_in_turn(void *arg, long n)
{
    (void)arg;
    for (long i = 0; i < n; i++) {
        bide_run(many[i % MANY], nothing, NULL, NULL);
    }
}

static void
try_loop(void *arg, long n)
{
    struct bide_call call;

    while (n-- > 0) {
        BIDE_TRY(&call, arg)
        {
            bide_call_outcome(&call, attempt_fn(&call.attempt, NULL));
        }
    }
}

static void
steps(void *arg, long n)
{
    struct bide_call call;

    while (n-- > 0) {
        if (bide_step_begin(&call, arg) == BIDE_GO) {
            bide_step_ended(&call, attempt_fn(&call.attempt, NULL));
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
in_thread(void *arg)
{
    struct thread *t = arg;

    t->run(t->arg, t->n);
    return NULL;
}

static void
in_threads(void (*body)(void *, long), void *arg, long n)
{
    struct thread t[THREADS];

    for (int i = 0; i < THREADS; i++) {
        t[i] = (struct thread){.run = body, .arg = arg, .n = n};
        if (pthread_create(&t[i].id, NULL, in_thread, &t[i])) {
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
    in_threads(run, arg, n);
}

static void
clocks_in_threads(void *arg, long n)
{
    in_threads(two_clock_readings, arg, n);
}

/* ---- failures ---- */

/* Of a policy with 1,000 attempts. */
static void
fail_on_and_on(void *arg, long n)
{
    for (; n > 0; n -= MANY) {
        bide_run(arg, failure, NULL, NULL);
    }
}

static void
fail_once(void *arg, long n)
{
    while (n-- > 0) {
        bide_run(arg, failure, NULL, NULL);
    }
}

static void
fail_twice(void *arg, long n)
{
    while (n-- > 0) {
        bide_run(arg, third_time_lucky, NULL, NULL);
    }
}

/* Empties its budget so far that the successes to come do not fill it. */
static void
drain(struct bide_policy *p)
{
    for (int i = 0; i < 20000; i++) {
        bide_run(p, failure, NULL, NULL);
    }
}

/* ---- main ---- */

static struct bide_policy *
policy(struct bide *b, const char *name)
{
    struct bide_policy *p;
    int rc = bide_lookup(b, name, NULL, &p);

    if (rc) {
        race_stop(name, bide_strerror(rc));
    }
    return p;
}

static struct bide *
opened(const char *dir)
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
    b = opened(argv[1]);
    none = opened("/nonexistent/registry");
    if (bide_declare(none, "[plain]\nattempts = 5\n")) {
        race_stop("bide_declare", bide_declare_error());
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "turn-%d", i);
        many[i] = policy(b, name);
    }
    plain = policy(b, "plain");
    drained = policy(b, "drained");
    drain(drained);
    struct racer success[] = {
        {.id = "empty", .run = empty_function},
        {.id = "clocks", .run = two_clock_readings},
        {.id = "run", .run = run, .arg = plain},
        {.id = "run_result", .run = run_with_result, .arg = plain},
        {.id = "try", .run = try_loop, .arg = plain},
        {.id = "step", .run = steps, .arg = plain},
        {.id = "run_1000", .run = run_in_turn},
        {.id = "run_declared", .run = run, .arg = policy(none, "plain")},
        {.id = "run_missing", .run = run, .arg = policy(b, "undefined")},
        {.id = "run_limit", .run = run, .arg = policy(b, "limited")},
        {.id = "run_breaker", .run = run, .arg = policy(b, "breaker")},
        {.id = "run_budget", .run = run, .arg = policy(b, "budget")},
        {.id = "run_both", .run = run, .arg = policy(b, "both")},
        {.id = "run_group", .run = run, .arg = policy(b, "grouped")},
        {.id = "run_drained", .run = run, .arg = drained},
        {.id = "clocks_threads", .run = clocks_in_threads},
        {.id = "run_threads", .run = run_in_threads, .arg = plain},
    };
    struct racer failing[] = {
        {.id = "fail_1000",
         .run = fail_on_and_on,
         .arg = policy(b, "stubborn")},
        {.id = "fail_once", .run = fail_once, .arg = policy(b, "once")},
        {.id = "fail_twice",
         .run = fail_twice,
         .arg = policy(b, "stubborn"),
         .divide = 2},
    };
    race(success, sizeof(success) / sizeof(*success), rounds, n);
    race(failing, sizeof(failing) / sizeof(*failing), rounds,
         (n / 10 + MANY - 1) / MANY * MANY);
    bide_close(none);
    return bide_close(b) != 0;
}
