/* All processes of a host share the places of a limit: with real processes that
 * are killed, stopped, forked and woken.  PLACE_KILLS sets the number of
 * kills, 100 if it is not set. */
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>

#include "guarding.h"
#include "rule/place.h"

#define MEMBER(name, importance) \
    "[" name "]\nextends = base\nimportance = " importance "\n"
#define BASE                                                          \
    "[base]\nlimit = shared\nlimit_wait = 60s\nlimit_reserve = 0%\n"  \
    "attempts = 2\nwait = fixed\nwait_initial = 60s\nwait_max = 2m\n" \
    "wait_jitter = none\n"
#define ALL(places)                                                            \
    BASE "limit_places = " places "\n" MEMBER("must", "mandatory")             \
        MEMBER("may", "postponable")                                           \
            MEMBER("could", "optional") "[now]\nextends = base\nimportance = " \
                                        "mandatory\nlimit_wait = 0\n"

enum { MANY = 40 };

/* What the processes tell each other; one row for each. */
struct told {
    const struct scene *s;
    const char *name;
    _Atomic int inside[MANY], dying[MANY], most, step, order[MANY], orders;
    _Atomic uint64_t calls[MANY], longest_ns;
    int places, rounds, me;
};

static void
tell_inside(struct told *t, int me, int yields)
{
    int now = 0, most = atomic_load(&t->most);

    atomic_store(&t->inside[me], 1);
    for (int i = 0; i < MANY; i++) {
        now += atomic_load(&t->inside[i]) && !atomic_load(&t->dying[i]);
    }
    while (now > most && !atomic_compare_exchange_weak(&t->most, &most, now)) {
    }
    for (int i = 0; i < yields; i++) {
        sched_yield();
    }
    atomic_store(&t->inside[me], 0);
}

static struct told *
share(struct scene *s, const char *name)
{
    struct told *t = guarding_share(sizeof(*t));

    t->s = s;
    t->name = name;
    return t;
}

/* ---- a server that counts ---- */

static _Thread_local int self;

static struct bide_outcome
be_inside(const struct bide_attempt *attempt, void *arg)
{
    (void)attempt;
    tell_inside(arg, self, 3);
    return bide_ok();
}

static void
call_often(void *arg)
{
    struct told *t = arg;
    struct bide_policy *p;

    self = t->me;
    atomic_store(&t->step, 1);
    p = guarding_policy(t->s, t->name, "");
    for (int i = 0; i < t->rounds; i++) {
        MUST(bide_run(p, be_inside, t) == BIDE_SUCCEEDED);
        atomic_fetch_add(&t->calls[self], 1);
    }
}

static void
start_and_await(void (*work)(void *arg), struct told *t, int me, pid_t *out)
{
    atomic_store(&t->step, 0);
    t->me = me; /* read before the first step */
    *out = guarding_start(work, t);
    while (!atomic_load(&t->step)) {
        sched_yield();
    }
}

static int
places_in_use(const struct scene *s)
{
    static struct limits limits;
    char group[] = "@shared";
    struct admin *a;
    struct live *l;
    uint32_t index;

    assert_int_equal(admin_open(s->dir, &a), 0);
    l = past_live(admin_past(a), false);
    assert_non_null(l);
    assert_int_equal(cell_find(l, group, "", false, &index), 0);
    cell_limits_read(l, index, &limits);
    admin_close(a);
    return (int)place_used(limits.slot);
}

static void
forty_processes_are_never_more_than_eight_at_once(void **state)
{
    struct scene *s = *state;
    struct told *t = share(s, "must");
    pid_t child[MANY];

    process_registry(s, ALL("8"));
    t->rounds = 50;
    for (int i = 0; i < MANY; i++) {
        start_and_await(call_often, t, i, &child[i]);
    }
    for (int i = 0; i < MANY; i++) {
        guarding_end(child[i]);
        assert_int_equal(atomic_load(&t->calls[i]), 50);
    }
    assert_true(atomic_load(&t->most) <= 8);
    assert_true(atomic_load(&t->most) >= 2);
    assert_int_equal(places_in_use(s), 0);
}

/* ---- kills ---- */

static void
call_until_killed(void *arg)
{
    struct told *t = arg;
    struct bide_policy *p;

    self = t->me;
    atomic_store(&t->step, 1);
    p = guarding_policy(t->s, t->name, "");
    for (;;) {
        uint64_t begun = clock_monotonic_ns(), took, longest;

        MUST(bide_run(p, be_inside, t) == BIDE_SUCCEEDED);
        took = clock_monotonic_ns() - begun;
        longest = atomic_load(&t->longest_ns);
        while (took > longest &&
               !atomic_compare_exchange_weak(&t->longest_ns, &longest, took)) {
        }
        atomic_fetch_add(&t->calls[self], 1);
    }
}

static uint64_t
calls_of_all(const struct told *t)
{
    uint64_t sum = 0;

    for (int i = 0; i < MANY; i++) {
        sum += atomic_load(&t->calls[i]);
    }
    return sum;
}

/* Takes all places, once it is known that their owners and those that waited
 * are dead, and none more. */
static void
take_all_places(void *arg)
{
    struct told *t = arg;
    struct bide_policy *p = guarding_policy(t->s, "now", "");
    struct bide_call c[MANY];

    for (int i = 0; i < t->places; i++) {
        bide_call_init(&c[i]);
        while (bide_step_begin(&c[i], p, NULL) != BIDE_GO) {
            sched_yield();
        }
    }
    bide_call_init(&c[t->places]);
    MUST(bide_step_begin(&c[t->places], p, NULL) == BIDE_DONE);
}

static void
no_place_is_lost_or_double_when_processes_are_killed(void **state)
{
    enum { WORKERS = 6 };
    const char *number = getenv("PLACE_KILLS");
    int kills = number ? atoi(number) : 100;
    struct scene *s = *state;
    struct told *t = share(s, "must");
    pid_t child[WORKERS];
    unsigned seed = 1;

    process_registry(s, ALL("2"));
    for (int i = 0; i < WORKERS; i++) {
        start_and_await(call_until_killed, t, i, &child[i]);
    }
    for (int i = 0; i < kills; i++) {
        int victim = rand_r(&seed) % WORKERS;
        uint64_t enough = calls_of_all(t) + (uint64_t)rand_r(&seed) % 30;

        while (calls_of_all(t) < enough) {
            sched_yield(); /* no progress: the test ends by its time limit */
        }
        atomic_store(&t->dying[victim], 1);
        guarding_kill(child[victim]);
        atomic_store(&t->inside[victim], 0);
        atomic_store(&t->dying[victim], 0);
        start_and_await(call_until_killed, t, victim, &child[victim]);
    }
    for (int i = 0; i < WORKERS; i++) {
        atomic_store(&t->dying[i], 1);
        guarding_kill(child[i]);
    }
    t->places = 2;
    guarding_end(guarding_start(take_all_places, t));
    assert_int_equal(atomic_load(&t->most), 2);
    print_message("%d kills, %llu calls, the longest took %.1f ms\n", kills,
                  (unsigned long long)calls_of_all(t),
                  (double)atomic_load(&t->longest_ns) / 1e6);
}

/* ---- order ---- */

static struct bide_outcome
note_order(const struct bide_attempt *attempt, void *arg)
{
    struct told *t = arg;

    (void)attempt;
    atomic_store(&t->order[atomic_fetch_add(&t->orders, 1)], self);
    return bide_ok();
}

static void
wait_once(void *arg)
{
    struct told *t = arg;
    const char *names[] = {"could", "could", "may", "may", "must", "must"};
    struct bide_policy *p;

    self = t->me;
    p = guarding_policy(t->s, names[self], "");
    atomic_store(&t->step, 1);
    MUST(bide_run(p, note_order, t) == BIDE_SUCCEEDED);
}

/* Waits until a process sleeps in its call. */
static void
await_sleep(pid_t pid)
{
    char path[64], line[256], *end;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    do {
        FILE *f = fopen(path, "r");

        assert_non_null(f);
        assert_non_null(fgets(line, sizeof(line), f));
        fclose(f);
        end = strrchr(line, ')');
        sched_yield();
    } while (end[2] != 'S');
}

static int
count_sleeper(void *arg, const struct sleeper *s)
{
    *(int *)arg += s->cell != SLEEPER_CLOSED;
    return 0;
}

/* Waits until so many calls wait, and the last one sleeps. */
static void
await_waiting(struct live *l, int calls, pid_t last)
{
    int seen;

    do {
        seen = 0;
        sleeper_each(l, clock_monotonic_ns(), count_sleeper, &seen);
        sched_yield();
    } while (seen < calls);
    await_sleep(last);
}

static void
mandatory_calls_come_first_and_then_in_order(void **state)
{
    enum { WAITING = 6 };
    struct scene *s = *state;
    struct told *t = share(s, "");
    struct bide_policy *p;
    struct bide_call c;
    pid_t child[WAITING];
    const int order[] = {4, 5, 2, 3, 0, 1};

    process_registry(s, ALL("1"));
    assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
    assert_int_equal(bide_lookup(s->b, "now", "", &p), 0);
    bide_call_init(&c);
    assert_int_equal(bide_step_begin(&c, p, NULL), BIDE_GO);
    for (int i = 0; i < WAITING; i++) {
        start_and_await(wait_once, t, i, &child[i]);
        await_waiting(s->b->live, i + 1, child[i]);
    }
    assert_int_equal(bide_step_ended(&c, bide_ok()), BIDE_DONE);
    for (int i = 0; i < WAITING; i++) {
        guarding_end(child[i]);
    }
    assert_memory_equal((int *)t->order, order, sizeof(order));
}

/* ---- one holder ---- */

static void
hold_place(void *arg)
{
    struct told *t = arg;
    struct bide_policy *p = guarding_policy(t->s, "now", "");
    struct bide_call c;

    bide_call_init(&c);
    MUST(bide_step_begin(&c, p, NULL) == BIDE_GO);
    atomic_store(&t->step, 1);
    for (;;) {
        pause();
    }
}

static enum bide_next
try_place(struct scene *s, struct bide_call *c)
{
    struct bide_policy *p;

    if (!s->b) {
        assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
    }
    assert_int_equal(bide_lookup(s->b, "now", "", &p), 0);
    bide_call_init(c);
    return bide_step_begin(c, p, NULL);
}

/* Tries until there is a place: dead owners are looked for now and then. */
static void
get_place(struct scene *s)
{
    struct bide_call c;

    while (try_place(s, &c) != BIDE_GO) {
        sched_yield();
    }
    bide_step_ended(&c, bide_ok());
}

static void
a_stopped_holder_keeps_its_place_until_it_is_killed(void **state)
{
    struct scene *s = *state;
    struct told *t = share(s, "now");
    struct bide_result r;
    struct bide_call c;
    pid_t child;

    process_registry(s, ALL("1"));
    start_and_await(hold_place, t, 0, &child);
    assert_int_equal(kill(child, SIGSTOP), 0);
    assert_int_equal(try_place(s, &c), BIDE_DONE);
    r = *bide_call_result(&c);
    assert_int_equal(r.verdict, BIDE_REFUSED);
    assert_int_equal(r.reason, BIDE_BY_LIMIT);
    guarding_kill(child);
    get_place(s);
}

static void
hold_and_exec(void *arg)
{
    static char sleep[] = "/bin/sleep", time[] = "100";
    struct told *t = arg;
    struct bide_policy *p = guarding_policy(t->s, "now", "");
    struct bide_call c;

    bide_call_init(&c);
    MUST(bide_step_begin(&c, p, NULL) == BIDE_GO);
    atomic_store(&t->step, 1);
    execv(sleep, (char *const[]){sleep, time, NULL});
}

static void
exec_gives_the_places_of_a_process_back(void **state)
{
    struct scene *s = *state;
    struct told *t = share(s, "now");
    pid_t child;

    process_registry(s, ALL("1"));
    start_and_await(hold_and_exec, t, 0, &child);
    get_place(s);
    assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
    guarding_kill(child);
}

static void
hold_elsewhere(void *arg)
{
    struct told *t = arg;

    if (unshare(CLONE_NEWPID)) {
        atomic_store(&t->step, 2);
        return;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        hold_place(t);
    }
    pause();
}

static void
a_holder_in_another_pid_namespace_is_known_to_live_and_to_die(void **state)
{
    struct scene *s = *state;
    struct told *t = share(s, "now");
    struct bide_call c;
    pid_t child;

    process_registry(s, ALL("1"));
    start_and_await(hold_elsewhere, t, 0, &child);
    if (atomic_load(&t->step) == 2) {
        guarding_end(child);
        skip();
    }
    for (int i = 0; i < 100; i++) {
        assert_int_equal(try_place(s, &c), BIDE_DONE);
    }
    guarding_kill(child);
    get_place(s);
}

static void
end_copy(void *arg)
{
    MUST(bide_step_ended(arg, bide_ok()) == BIDE_DONE);
}

static void
a_forked_child_does_not_give_the_place_of_its_parent(void **state)
{
    struct scene *s = *state;
    struct bide_call c, other;

    process_registry(s, ALL("1"));
    assert_int_equal(try_place(s, &c), BIDE_GO);
    guarding_end(guarding_start(end_copy, &c));
    assert_int_equal(try_place(s, &other), BIDE_DONE);
    assert_int_equal(bide_step_ended(&c, bide_ok()), BIDE_DONE);
    get_place(s);
}

static void
no_place_is_held_between_two_attempts(void **state)
{
    struct scene *s = *state;
    struct bide_call c;

    process_registry(s, ALL("1"));
    assert_int_equal(try_place(s, &c), BIDE_GO);
    assert_int_equal(bide_step_ended(&c, bide_errno(ECONNREFUSED)), BIDE_WAIT);
    get_place(s);
    bide_call_abandon(&c);
}

static void
the_command_frees_the_places_that_are_held(void **state)
{
    struct scene *s = *state;
    struct bide_call lost, c, other;

    process_registry(s, ALL("1"));
    assert_int_equal(try_place(s, &lost), BIDE_GO);
    assert_int_equal(places_in_use(s), 1);
    BIDE(s, "limit", "must", "reset");
    assert_int_equal(try_place(s, &c), BIDE_GO);
    BIDE(s, "limit", "must", "--json");
    assert_int_equal(bide_step_ended(&c, bide_ok()), BIDE_DONE);
    get_place(s);
    assert_int_equal(bide_step_ended(&lost, bide_ok()), BIDE_DONE);
    assert_int_equal(try_place(s, &other), BIDE_GO);
    bide_step_ended(&other, bide_ok());
}

/* ---- changes and event loops ---- */

static void
more_places_let_a_waiting_call_go(void **state)
{
    struct scene *s = *state;
    struct told *t = share(s, "");
    struct bide_call c;
    pid_t child;

    process_registry(s, ALL("1"));
    assert_int_equal(try_place(s, &c), BIDE_GO);
    start_and_await(wait_once, t, 4, &child);
    await_waiting(s->b->live, 1, child);
    BIDE(s, "set", "base", "limit_places=2");
    guarding_end(child);
    bide_call_abandon(&c);
}

static void
an_event_loop_is_woken_for_a_place(void **state)
{
    struct scene *s = *state;
    struct told *t = share(s, "now");
    enum bide_next next;
    struct bide_watch *w;
    struct bide_policy *p;
    struct bide_call c;
    uint64_t begun;
    pid_t child;

    process_registry(s, ALL("1"));
    start_and_await(hold_place, t, 0, &child);
    assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
    assert_int_equal(bide_lookup(s->b, "may", "", &p), 0);
    assert_int_equal(bide_watch_new(s->b, &w), 0);
    bide_call_init(&c);
    next = bide_step_begin(&c, p, w);
    assert_int_equal(next, BIDE_WAIT);
    begun = clock_monotonic_ns();
    guarding_kill(child);
    while (next == BIDE_WAIT) {
        struct pollfd f = {bide_watch_fd(w), POLLIN, 0};

        assert_true(clock_monotonic_ns() - begun < 30 * SECOND);
        poll(&f, 1, bide_step_poll_ms(&c));
        bide_watch_clear(w);
        next = bide_step_resume(&c);
    }
    assert_int_equal(next, BIDE_GO);
    bide_call_abandon(&c);
    bide_watch_free(w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(forty_processes_are_never_more_than_eight_at_once),
        SCENE(no_place_is_lost_or_double_when_processes_are_killed),
        SCENE(mandatory_calls_come_first_and_then_in_order),
        SCENE(a_stopped_holder_keeps_its_place_until_it_is_killed),
        SCENE(exec_gives_the_places_of_a_process_back),
        SCENE(a_holder_in_another_pid_namespace_is_known_to_live_and_to_die),
        SCENE(a_forked_child_does_not_give_the_place_of_its_parent),
        SCENE(no_place_is_held_between_two_attempts),
        SCENE(the_command_frees_the_places_that_are_held),
        SCENE(more_places_let_a_waiting_call_go),
        SCENE(an_event_loop_is_woken_for_a_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
