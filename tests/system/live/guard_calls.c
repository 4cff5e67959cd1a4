/* All processes of a host share one budget and one breaker. */
#include <bide.h>
#include "rule/breaker.h"
#include "guarding.h"

#define RULES(attempts)                                        \
    "retry_on = any\nattempts = " #attempts "\nwait = fixed\n" \
    "wait_jitter = none\nwait_max = 2h\n"

/* ---- calls in other processes, one process after the other ---- */

struct call_order {
    const struct scene *s;
    const char *name, *scope;
    bide_attempt_fn *attempt;
    unsigned calls;
    struct bide_result *last; /* in shared memory */
};

static void
make_ordered_calls(void *arg)
{
    const struct call_order *a = arg;
    struct bide_policy *p = guarding_policy(a->s, a->name, a->scope);

    for (unsigned i = 0; i < a->calls; i++) {
        scene_call(p, a->attempt, NULL, a->last);
    }
}

/* Makes the calls in a process of its own, which has ended on return.  Returns
 * the result of the last one. */
static struct bide_result
call_elsewhere(struct scene *s, const char *name, const char *scope,
               bide_attempt_fn *attempt, unsigned calls)
{
    struct bide_result *last = guarding_share(sizeof(*last)), copy;
    struct call_order a = {s, name, scope, attempt, calls, last};

    guarding_end(guarding_start(make_ordered_calls, &a));
    copy = *last;
    munmap(last, sizeof(*last));
    return copy;
}

static void
assert_refused(struct bide_result r)
{
    assert_int_equal(r.verdict, BIDE_REFUSED);
    assert_int_equal(r.reason, BIDE_BY_BREAKER);
    assert_int_equal(r.attempts, 0);
}

static void
state_outlives_the_processes_that_made_it(void **state)
{
    struct scene *s = *state;

    process_registry(
        s, "[shop]\n" RULES(2) "wait_initial = 1ms\n"
                               "breaker = on\nbreaker_consecutive = 6\n"
                               "breaker_open_for = 1h\n"
                               "budget = own\nbudget_capacity = 100\n"
                               "budget_cost = 10\nbudget_deposit = 0\n");
    call_elsewhere(s, "shop", "", guarding_fails, 2);
    assert_true(guarding_look(s, "shop", "").budget_level == 0.8);
    assert_int_equal(guarding_look(s, "shop", "").state, STATE_CLOSED);
    call_elsewhere(s, "shop", "", guarding_fails,
                   1); /* six failures in a row */
    assert_int_equal(guarding_look(s, "shop", "").state, STATE_OPEN);
    assert_true(guarding_look(s, "shop", "").budget_level == 0.7);
    assert_refused(call_elsewhere(s, "shop", "", guarding_succeeds, 1));
    assert_int_equal(guarding_look(s, "shop", "").opened, 1);
}

static void
two_policies_with_one_budget_share_its_tokens(void **state)
{
    struct scene *s = *state;
    struct bide_result r;

    process_registry(
        s, "[base]\n" RULES(2) "wait_initial = 1ms\n"
                               "budget = both\nbudget_capacity = 3\n"
                               "budget_cost = 1\nbudget_refund = 0\n"
                               "[one]\nextends = base\n[two]\nextends = base\n"
                               "[three]\nextends = base\nbudget = own\n");
    call_elsewhere(s, "one", "", guarding_fails, 2);
    r = call_elsewhere(s, "two", "a-scope", guarding_fails, 1);
    assert_int_equal(r.attempts, 2);
    r = call_elsewhere(s, "two", "", guarding_fails, 1);
    assert_int_equal(r.attempts, 1);
    assert_int_equal(r.reason, BIDE_BY_BUDGET);
    r = call_elsewhere(s, "one", "", guarding_fails, 1);
    assert_int_equal(r.reason, BIDE_BY_BUDGET);
    assert_true(guarding_look(s, "one", "").budget_level == 0);
    assert_true(guarding_look(s, "three", "").budget_level == 1);
    /* A policy can spend what the other one deposits. */
    call_elsewhere(s, "one", "", guarding_succeeds, 1);
    r = call_elsewhere(s, "two", "", guarding_fails, 1);
    assert_int_equal(r.attempts, 2);
}

static void
a_shared_ratio_budget_counts_the_calls_of_all_its_policies(void **state)
{
    struct scene *s = *state;
    struct bide_result r;

    process_registry(
        s,
        "[base]\n" RULES(2) "wait_initial = 1ms\n"
                            "budget = both\nbudget_kind = ratio\n"
                            "budget_ratio = 10%\nbudget_min_rate = 0/s\n"
                            "budget_window = 1h\n"
                            "[one]\nextends = base\n[two]\nextends = base\n");
    call_elsewhere(s, "one", "", guarding_succeeds, 19);
    r = call_elsewhere(s, "two", "", guarding_fails, 1); /* 20 calls allow 2 */
    assert_int_equal(r.attempts, 2);
    r = call_elsewhere(s, "two", "", guarding_fails, 1);
    assert_int_equal(r.attempts, 2);
    r = call_elsewhere(s, "one", "", guarding_fails, 1);
    assert_int_equal(r.reason, BIDE_BY_BUDGET);
}

static void
each_scope_has_its_own_breaker(void **state)
{
    struct scene *s = *state;
    struct bide_result r;

    process_registry(
        s,
        "[http]\n" RULES(1) "breaker = on\n"
                            "breaker_consecutive = 2\nbreaker_open_for = 1h\n");
    call_elsewhere(s, "http", "dead.example", guarding_fails, 2);
    assert_refused(
        call_elsewhere(s, "http", "dead.example", guarding_succeeds, 1));
    r = call_elsewhere(s, "http", "good.example", guarding_succeeds, 1);
    assert_int_equal(r.verdict, BIDE_SUCCEEDED);
    r = call_elsewhere(s, "http", NULL, guarding_succeeds, 1);
    assert_int_equal(r.verdict, BIDE_SUCCEEDED);
    assert_int_equal(guarding_look(s, "http", "dead.example").state,
                     STATE_OPEN);
    assert_int_equal(guarding_look(s, "http", "good.example").state,
                     STATE_CLOSED);
}

enum { CALLING = 8, CALLS = 500 };

static struct bide_outcome
every_second_fails(const struct bide_attempt *attempt, void *arg)
{
    unsigned *n = arg;

    (void)attempt;
    return ++*n % 2 ? bide_ok() : bide_http(503, NULL);
}

static void *
call_in_thread(void *arg)
{
    unsigned n = 0;

    while (n < CALLS) {
        bide_run(arg, every_second_fails, &n);
    }
    return NULL;
}

static void
call_in_threads(void *arg)
{
    struct bide_policy *p = guarding_policy(arg, "shop", NULL);
    pthread_t threads[CALLING];

    for (int i = 0; i < CALLING; i++) {
        MUST(pthread_create(&threads[i], NULL, call_in_thread, p) == 0);
    }
    for (int i = 0; i < CALLING; i++) {
        MUST(pthread_join(threads[i], NULL) == 0);
    }
}

static void
threads_share_a_breaker_and_each_attempt_is_counted_once(void **state)
{
    struct scene *s = *state;
    pid_t one, two;

    process_registry(
        s, "[shop]\n" RULES(1) "breaker = on\n"
                               "breaker_failure_rate = 100%\n"
                               "breaker_min_calls = 1000000\nbudget = own\n");
    one = guarding_start(call_in_threads, s);
    two = guarding_start(call_in_threads, s);
    guarding_end(one);
    guarding_end(two);
    assert_int_equal(guarding_count(s, "shop", COUNTER_GUARDED),
                     2 * CALLING * CALLS);
    assert_int_equal(guarding_count(s, "shop", COUNTER_GUARDED_FAILED),
                     CALLING * CALLS);
    assert_int_equal(guarding_look(s, "shop", "").state, STATE_CLOSED);
}

/* ---- changes while processes run ---- */

struct caller {
    const struct scene *s;
    _Atomic uint32_t calls; /* how many to make */
    _Atomic uint32_t made;
    _Atomic uint32_t ready;
    struct bide_result last;
};

static void
call_on_request(void *arg)
{
    struct caller *v = arg;
    struct bide_policy *p = guarding_policy(v->s, "shop", NULL);
    const struct timespec pause = {0, 200000};

    atomic_store(&v->ready, 1);
    for (;;) {
        if (atomic_load(&v->made) < atomic_load(&v->calls)) {
            scene_call(p, guarding_fails, NULL, &v->last);
            atomic_fetch_add(&v->made, 1);
        }
        nanosleep(&pause, NULL);
    }
}

static bool
is_ready(void *arg)
{
    return atomic_load(&((struct caller *)arg)->ready);
}

static bool
has_made_all(void *arg)
{
    struct caller *v = arg;

    return atomic_load(&v->made) == atomic_load(&v->calls);
}

static void
request_call(struct caller *v)
{
    atomic_fetch_add(&v->calls, 1);
    assert_true(scene_until(has_made_all, v));
}

static void
a_changed_capacity_keeps_the_filled_share(void **state)
{
    struct scene *s = *state;
    struct caller *a = guarding_share(sizeof(*a));
    struct caller *b = guarding_share(sizeof(*b));
    pid_t one, two;

    process_registry(
        s, "[shop]\n" RULES(2) "wait_initial = 1ms\n"
                               "budget = own\nbudget_capacity = 100\n"
                               "budget_cost = 10\nbudget_deposit = 0\n");
    a->s = b->s = s;
    one = guarding_start(call_on_request, a);
    two = guarding_start(call_on_request, b);
    for (int i = 0; i < 5; i++) {
        request_call(i % 2 ? a : b);
    }
    assert_true(guarding_look(s, "shop", "").budget_level == 0.5);
    BIDE(s, "set", "shop", "budget_capacity=1000");
    request_call(a);
    assert_true(guarding_look(s, "shop", "").budget_level == 0.49);
    request_call(b);
    assert_true(guarding_look(s, "shop", "").budget_level == 0.48);
    BIDE(s, "set", "shop", "budget_capacity=100");
    request_call(b);
    assert_true(guarding_look(s, "shop", "").budget_level == 0.38);
    guarding_kill(one);
    guarding_kill(two);
}

/* ---- waiting calls ---- */

enum { SLEEPING = 6 };

struct sleeping {
    const struct scene *s;
    struct bide_result result[SLEEPING];
    _Atomic uint32_t next;
};

static struct bide_outcome
first_fails(const struct bide_attempt *attempt, void *arg)
{
    (void)arg;
    return attempt->number == 1 ? bide_http(503, NULL) : bide_ok();
}

static void
sleep_once(void *arg)
{
    struct sleeping *z = arg;
    struct bide_policy *p = guarding_policy(z->s, "shop", NULL);

    scene_call(p, first_fails, NULL, &z->result[atomic_fetch_add(&z->next, 1)]);
}

static bool
all_sleep(void *arg)
{
    return scene_sleepers(arg) == SLEEPING;
}

static struct sleeping *
start_sleeping(struct scene *s, pid_t *pids)
{
    struct sleeping *z = guarding_share(sizeof(*z));

    z->s = s;
    for (int i = 0; i < SLEEPING; i++) {
        pids[i] = guarding_start(sleep_once, z);
    }
    assert_true(scene_until(all_sleep, s));
    return z;
}

#define TRIPS                                                       \
    "[shop]\n" RULES(                                               \
        2) "wait_initial = 1h\nbreaker = on\n"                      \
           "breaker_consecutive = 7\nbreaker_failure_rate = 100%\n" \
           "breaker_min_calls = 1000\n"

/* Causes the seventh failure in a row, in a process that then ends. */
static void
trip(struct scene *s)
{
    struct bide_result r = call_elsewhere(s, "shop", NULL, guarding_fails, 1);

    assert_int_equal(r.reason, BIDE_BY_BREAKER);
    assert_int_equal(guarding_look(s, "shop", "").opened, 1);
}

static void
waiting_calls_of_other_processes_end_when_the_breaker_opens(void **state)
{
    struct scene *s = *state;
    pid_t pids[SLEEPING];
    struct sleeping *z;

    process_registry(s, TRIPS "breaker_open_for = 2h\nbreaker_open_max = 2h\n");
    z = start_sleeping(s, pids);
    trip(s);
    assert_refused(call_elsewhere(s, "shop", NULL, guarding_succeeds, 1));
    for (int i = 0; i < SLEEPING; i++) {
        guarding_end(pids[i]);
    }
    for (int i = 0; i < SLEEPING; i++) {
        assert_int_equal(z->result[i].verdict, BIDE_EXHAUSTED);
        assert_int_equal(z->result[i].reason, BIDE_BY_BREAKER);
        assert_int_equal(z->result[i].attempts, 1);
    }
}

/* Processes keep the last rules that they read, but follow the breaker. */
static void
waiting_calls_end_also_if_the_registry_is_damaged(void **state)
{
    struct scene *s = *state;
    struct caller *v = guarding_share(sizeof(*v));
    pid_t pids[SLEEPING], other;
    struct sleeping *z;
    char path[400];

    process_registry(s, TRIPS "breaker_open_for = 2h\nbreaker_open_max = 2h\n");
    v->s = s;
    other = guarding_start(call_on_request, v);
    assert_true(scene_until(is_ready, v));
    z = start_sleeping(s, pids);
    snprintf(path, sizeof(path), "%s/policies/registry.mdb", s->dir);
    assert_int_equal(truncate(path, 100), 0);
    request_call(v);
    assert_int_equal(v->last.reason, BIDE_BY_BREAKER);
    for (int i = 0; i < SLEEPING; i++) {
        guarding_end(pids[i]);
    }
    for (int i = 0; i < SLEEPING; i++) {
        assert_int_equal(z->result[i].reason, BIDE_BY_BREAKER);
    }
    guarding_kill(other);
}

static bool
has_opened(void *arg)
{
    return guarding_look(arg, "shop", "").opened > 0;
}

static bool
all_decided_again(void *arg)
{
    return guarding_count(arg, "shop", COUNTER_REDECIDED) >= SLEEPING;
}

static void
waiting_calls_whose_retry_is_after_the_open_time_go_on_waiting(void **state)
{
    struct scene *s = *state;
    struct call_order last_failure = {
        s,    "shop",
        NULL, guarding_fails,
        1,    guarding_share(sizeof(*last_failure.last))};
    pid_t pids[SLEEPING], other;
    struct sleeping *z;

    process_registry(s, TRIPS "breaker_open_for = 1ms\nbreaker_probes = 32\n");
    z = start_sleeping(s, pids);
    other = guarding_start(make_ordered_calls, &last_failure);
    assert_true(scene_until(has_opened, s));
    guarding_kill(other);
    assert_true(scene_until(all_decided_again, s));
    assert_int_equal(waitpid(-1, NULL, WNOHANG), 0);
    BIDE(s, "set", "shop", "wait_initial=1ms");
    for (int i = 0; i < SLEEPING; i++) {
        guarding_end(pids[i]);
    }
    for (int i = 0; i < SLEEPING; i++) {
        assert_int_equal(z->result[i].verdict, BIDE_SUCCEEDED);
        assert_int_equal(z->result[i].attempts, 2);
    }
}

/* ---- half open ---- */

enum { CALLERS = 40, PROBES = 3 };

struct crowd {
    const struct scene *s;
    _Atomic uint32_t begun;  /* attempts */
    _Atomic uint32_t prober; /* the process of the last one */
    _Atomic uint32_t answer; /* set: attempts end */
    _Atomic uint32_t begin;
    _Atomic uint32_t refused[CALLERS]; /* how often */
    _Atomic uint32_t succeeded[CALLERS];
    _Atomic uint32_t next;
    uint32_t expected; /* callers that must be refused */
};

static struct bide_outcome
probe_until_answer(const struct bide_attempt *attempt, void *arg)
{
    struct crowd *c = arg;
    const struct timespec pause = {0, 1000000};

    (void)attempt;
    atomic_store(&c->prober, (uint32_t)getpid());
    atomic_fetch_add(&c->begun, 1);
    while (!atomic_load(&c->answer)) {
        nanosleep(&pause, NULL);
    }
    return bide_ok();
}

static void
keep_calling(void *arg)
{
    struct crowd *c = arg;
    struct bide_policy *p = guarding_policy(c->s, "shop", NULL);
    uint32_t me = atomic_fetch_add(&c->next, 1);
    const struct timespec pause = {0, 1000000};

    while (!atomic_load(&c->begin)) {
        nanosleep(&pause, NULL);
    }
    while (!atomic_load(&c->succeeded[me])) {
        if (bide_run(p, probe_until_answer, c) == BIDE_SUCCEEDED) {
            atomic_fetch_add(&c->succeeded[me], 1);
        } else {
            atomic_fetch_add(&c->refused[me], 1);
        }
        nanosleep(&pause, NULL);
    }
}

/* Reports whether every caller without a probe was refused three times. */
static bool
are_others_refused(void *arg)
{
    struct crowd *c = arg;
    uint32_t n = 0;

    for (uint32_t i = 0; i < CALLERS; i++) {
        n += atomic_load(&c->refused[i]) >= 3;
    }
    return n >= c->expected;
}

static bool
has_one_more_begun(void *arg)
{
    return atomic_load(&((struct crowd *)arg)->begun) > PROBES;
}

static void
of_forty_processes_exactly_the_probes_make_attempts(void **state)
{
    struct scene *s = *state;
    struct crowd *c = guarding_share(sizeof(*c));
    pid_t pids[CALLERS], killed;

    process_registry(
        s,
        "[shop]\n" RULES(1) "breaker = on\n"
                            "breaker_consecutive = 1\nbreaker_open_for = 1ms\n"
                            "breaker_probes = 3\nbreaker_probe_timeout = 1h\n");
    c->s = s;
    call_elsewhere(s, "shop", NULL, guarding_fails, 1);
    for (int i = 0; i < CALLERS; i++) {
        pids[i] = guarding_start(keep_calling, c);
    }
    c->expected = CALLERS - PROBES;
    atomic_store(&c->begin, 1);
    assert_true(scene_until(are_others_refused, c));
    assert_int_equal(atomic_load(&c->begun), PROBES);

    killed = (pid_t)atomic_load(&c->prober);
    guarding_kill(killed);
    assert_true(scene_until(has_one_more_begun, c));
    for (int i = 0; i < CALLERS; i++) {
        atomic_store(&c->refused[i], 0);
    }
    c->expected = CALLERS - 1 - PROBES;
    assert_true(scene_until(are_others_refused, c));
    assert_int_equal(atomic_load(&c->begun), PROBES + 1);

    atomic_store(&c->answer, 1);
    for (int i = 0; i < CALLERS; i++) {
        if (pids[i] != killed) {
            guarding_end(pids[i]);
        }
    }
    assert_int_equal(guarding_look(s, "shop", "").state, STATE_CLOSED);
    assert_int_equal(guarding_look(s, "shop", "").opened, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(state_outlives_the_processes_that_made_it),
        SCENE(two_policies_with_one_budget_share_its_tokens),
        SCENE(a_shared_ratio_budget_counts_the_calls_of_all_its_policies),
        SCENE(each_scope_has_its_own_breaker),
        SCENE(threads_share_a_breaker_and_each_attempt_is_counted_once),
        SCENE(a_changed_capacity_keeps_the_filled_share),
        SCENE(waiting_calls_of_other_processes_end_when_the_breaker_opens),
        SCENE(waiting_calls_end_also_if_the_registry_is_damaged),
        SCENE(waiting_calls_whose_retry_is_after_the_open_time_go_on_waiting),
        SCENE(of_forty_processes_exactly_the_probes_make_attempts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
