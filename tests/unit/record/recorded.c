/* Callers and recorders are killed at any instant, for ten minutes of virtual
 * time: the history must equal the counts that the test keeps outside. */

#include <sys/mman.h>

#include "record/past.h"
#include "rule/histogram.h"
#include "store/history/history.h"
#define SCENE_FLAGS 0
#include "unit/registry/scene.h"

enum { CALLERS = 3, RECORDERS = 2, CHILDREN = CALLERS + RECORDERS };

#define ALL_OF_IT (600 * SECOND)

/* Counted before and after each step: a process may be killed in between. */
struct outside {
    _Atomic uint64_t now_ns;
    _Atomic uint64_t attempts, attempts_ended;
    _Atomic uint64_t calls, ended, succeeded, recovered, aborted;
    _Atomic uint64_t recordings;
};

static uint64_t
virtual_now(void *arg)
{
    struct outside *o = arg;

    return atomic_load(&o->now_ns);
}

static void
virtual_sleep(void *arg, uint64_t until_ns)
{
    struct outside *o = arg;
    uint64_t now = atomic_load(&o->now_ns);

    while (now < until_ns &&
           !atomic_compare_exchange_weak(&o->now_ns, &now, until_ns)) {
    }
}

/* Every third attempt fails; time passes. */
static struct bide_outcome
attempt(const struct bide_attempt *a, void *arg)
{
    struct outside *o = arg;
    uint64_t number = atomic_fetch_add(&o->attempts, 1);

    (void)a;
    atomic_fetch_add(&o->now_ns, MS / 2);
    return number % 3 ? bide_ok() : bide_http(503, NULL);
}

static void
call(struct bide_policy *p, struct outside *o)
{
    struct bide_result result;

    atomic_fetch_add(&o->calls, 1);
    scene_call(p, attempt, o, &result);
    atomic_fetch_add(&o->attempts_ended, result.attempts);
    if (result.verdict == BIDE_SUCCEEDED) {
        atomic_fetch_add(&o->succeeded, 1);
        atomic_fetch_add(&o->recovered, result.attempts > 1);
    } else {
        atomic_fetch_add(&o->aborted, 1);
    }
    atomic_fetch_add(&o->ended, 1);
}

static void
be_caller(const struct scene *s, struct outside *o)
{
    const struct bide_clock clock = {o, virtual_now, virtual_sleep};
    struct bide_policy *p;
    struct bide *b;

    if (bide_open(s->dir, 0, &b)) {
        _exit(9);
    }
    scene_set_clock(b, &clock);
    if (bide_lookup(b, "pay", NULL, &p)) {
        _exit(9);
    }
    while (atomic_load(&o->now_ns) < 1000 * SECOND + ALL_OF_IT) {
        call(p, o);
    }
    _exit(bide_close(b) ? 9 : 0);
}

static void
be_recorder(const struct scene *s, struct outside *o)
{
    static const struct recorder_options how = {
        .every_ns = 1, .keep = {UINT64_MAX, UINT64_MAX, UINT64_MAX}};

    while (atomic_load(&o->now_ns) < 1000 * SECOND + ALL_OF_IT) {
        struct recorded done;
        struct admin *a;

        if (admin_open(s->dir, &a) || past_record(admin_past(a), &how, &done)) {
            _exit(9);
        }
        recorded_free(&done);
        admin_close(a);
        atomic_fetch_add(&o->recordings, 1);
    }
    _exit(0);
}

static pid_t
child(const struct scene *s, struct outside *o, int i)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (i < CALLERS) {
            be_caller(s, o);
        } else {
            be_recorder(s, o);
        }
    }
    return pid;
}

/* Returns the number of processes that were killed. */
static unsigned
live_through_it(const struct scene *s, struct outside *o)
{
    const struct timespec moment = {0, 2000000};
    pid_t children[CHILDREN];
    unsigned killed = 0;

    for (int i = 0; i < CHILDREN; i++) {
        children[i] = child(s, o, i);
    }
    while (atomic_load(&o->now_ns) < 1000 * SECOND + ALL_OF_IT) {
        int i = (int)(killed++ % CHILDREN);

        nanosleep(&moment, NULL);
        kill(children[i], SIGKILL);
        scene_reap(children[i]);
        children[i] = child(s, o, i);
    }
    for (int i = 0; i < CHILDREN; i++) {
        scene_reap(children[i]);
    }
    return killed;
}

static int
add(void *arg, const struct history_interval *i)
{
    figures_add(arg, i->figures);
    return 0;
}

static void
assert_between(uint64_t low, uint64_t value, uint64_t high)
{
    if (value < low || value > high) {
        fail_msg("%llu is not from %llu to %llu", (unsigned long long)value,
                 (unsigned long long)low, (unsigned long long)high);
    }
}

static void
assert_recorded(const struct figures *f, const struct outside *o)
{
    uint64_t open = o->calls - o->ended;

    assert_between(o->ended, figures_calls(f), o->calls);
    assert_between(o->attempts_ended, figures_attempts(f), o->attempts);
    assert_between(o->succeeded, histogram_count(f->succeeded),
                   o->succeeded + open);
    assert_between(o->recovered, f->counter[COUNTER_RECOVERED],
                   o->recovered + open);
    assert_between(o->aborted, f->counter[COUNTER_ABORTED], o->aborted + open);
    assert_int_equal(f->outcome_count, 1);
    assert_between(histogram_count(f->failed), f->outcome[0].count + open,
                   histogram_count(f->failed) + 2 * open);
}

static void
history_equals_the_outside_count_whoever_is_killed(void **state)
{
    static const struct recorder_options last = {
        .every_ns = 1, .keep = {UINT64_MAX, UINT64_MAX, UINT64_MAX}};
    struct history_range range = {"pay", 0, UINT64_MAX, true};
    struct scene *s = *state;
    struct outside *o = mmap(NULL, sizeof(*o), PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct figures *sum = calloc(1, sizeof(*sum));
    struct recorded done;
    struct history_known past;
    struct admin *a;
    unsigned killed;

    assert_true(o != MAP_FAILED);
    assert_non_null(sum);
    scene_init(s);
    scene_apply(s, "[pay]\nattempts = 3\nwait_initial = 1ms\n");
    o->now_ns = 1000 * SECOND;
    killed = live_through_it(s, o);
    a = scene_admin(s);
    assert_int_equal(past_record(admin_past(a), &last, &done), 0);
    recorded_free(&done);
    assert_int_equal(
        past_each_interval(admin_past(a), &range, NULL, add, sum, &past), 0);
    admin_close(a);
    assert_int_equal(past.damaged + past.lost, 0);
    assert_true(o->recordings > 2);
    assert_true(o->calls - o->ended <= killed);
    assert_recorded(sum, o);
    free(sum);
    munmap(o, sizeof(*o));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(history_equals_the_outside_count_whoever_is_killed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
