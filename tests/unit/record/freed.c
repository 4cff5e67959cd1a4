/* Cells that are freed and reused: nothing is lost, doubled, or counted for
 * another name, whoever is killed. */

#include <sys/mman.h>

#include "record/past.h"
#include "rule/histogram.h"
#include "store/history/history.h"
#include "unit/registry/scene.h"

enum { SCOPES = 12, CALLERS = 2, CHILDREN = 4 };

/* Two steps of this length free a cell.  It is longer than a caller that runs
 * is off its CPU between two instructions, and a scope rests longer. */
#define FREE_AFTER (200 * MS)

static void
record(struct scene *s, uint64_t free_after_ns)
{
    const struct recorder_options how = {
        .every_ns = 1,
        .keep = {UINT64_MAX, UINT64_MAX, UINT64_MAX},
        .free_after_ns = free_after_ns};

    scene_record(s, &how, NULL);
}

struct sums {
    uint64_t all, scope[SCOPES];
};

static int
add_interval(void *arg, const struct history_interval *i)
{
    struct sums *sums = arg;
    uint64_t n = histogram_count(i->figures->succeeded);
    unsigned scope = SCOPES;

    sums->all += n;
    if (sscanf(i->scope, "s%u", &scope) == 1 && scope < SCOPES) {
        sums->scope[scope] += n;
    }
    return 0;
}

static struct sums
recorded_sums(struct scene *s, const char *name)
{
    struct history_range range = {name, 0, UINT64_MAX, true};
    struct sums sums = {0};
    struct history_known past;
    struct admin *a = scene_admin(s);

    assert_int_equal(past_each_interval(admin_past(a), &range, NULL,
                                        add_interval, &sums, &past),
                     0);
    assert_int_equal(past.damaged + past.lost, 0);
    admin_close(a);
    return sums;
}

static uint32_t
calls_of(struct bide_policy *p)
{
    struct bide_stats stats;

    assert_int_equal(bide_read_stats(p, sizeof(stats), &stats), 0);
    return (uint32_t)stats.succeeded;
}

static void
a_handle_that_was_not_used_counts_into_its_own_name(void **state)
{
    struct scene *s = *state;
    struct bide_policy *old, *new, *again;
    struct bide *other;

    scene_init(s);
    scene_apply(s, "[pay]\nattempts = 3\n");
    assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
    assert_int_equal(bide_open(s->dir, 0, &other), 0);
    assert_int_equal(bide_lookup(s->b, "pay", "s1", &old), 0);
    bide_run(old, scene_succeed, NULL);
    for (int i = 0; i < 4; i++) {
        record(s, 1);
    }
    /* Takes the cell of s1. */
    assert_int_equal(bide_lookup(other, "pay", "s2", &new), 0);
    bide_run(new, scene_succeed, NULL);
    bide_run(new, scene_succeed, NULL);
    bide_run(old, scene_succeed, NULL);
    bide_run(old, scene_succeed, NULL);
    bide_run(old, scene_succeed, NULL);
    assert_int_equal(calls_of(old), 3);
    assert_int_equal(calls_of(new), 2);
    assert_int_equal(bide_lookup(other, "pay", "s1", &again), 0);
    assert_int_equal(calls_of(again), 3);
    assert_int_equal(recorded_sums(s, "pay").scope[1], 4);
    assert_int_equal(recorded_sums(s, "pay").scope[2], 2);
    record(s, 0);
    assert_int_equal(recorded_sums(s, "pay").scope[1], 4);
    assert_int_equal(recorded_sums(s, "pay").scope[2], 2);
    scene_set(s, "pay", "paused", "yes");
    assert_int_equal(bide_run(old, scene_succeed, NULL), BIDE_REFUSED);
    assert_int_equal(bide_close(other), 0);
}

static void
a_name_that_is_defined_after_its_cell_was_freed_is_followed(void **state)
{
    struct scene *s = *state;
    struct bide_policy *p;

    scene_init(s);
    assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
    assert_int_equal(bide_lookup(s->b, "late", NULL, &p), 0);
    bide_run(p, scene_succeed, NULL);
    for (int i = 0; i < 4; i++) {
        record(s, 1);
    }
    scene_apply(s, "[late]\nattempts = 3\npaused = yes\n");
    assert_int_equal(bide_run(p, scene_succeed, NULL), BIDE_REFUSED);
    scene_set(s, "late", "paused", "no");
    assert_int_equal(bide_run(p, scene_succeed, NULL), BIDE_SUCCEEDED);
    assert_int_equal(recorded_sums(s, "late").all, 2);
}

/* ---- kills ---- */

struct ledger {
    _Atomic uint64_t begun[SCOPES], ended[SCOPES];
    _Atomic uint64_t turn_ns; /* of a scope */
    _Atomic bool stop;
};

static void
be_caller(struct scene *s, struct ledger *l)
{
    struct bide_policy *p[SCOPES];
    struct bide *b;

    MUST(bide_open(s->dir, 0, &b) == 0);
    for (unsigned i = 0; i < SCOPES; i++) {
        char scope[8];

        snprintf(scope, sizeof(scope), "s%u", i);
        MUST(bide_lookup(b, "pay", scope, &p[i]) == 0);
    }
    while (!atomic_load(&l->stop)) { /* one scope at a time, then it rests */
        unsigned i = (unsigned)(scene_monotonic() / l->turn_ns % SCOPES);

        atomic_fetch_add(&l->begun[i], 1);
        bide_run(p[i], scene_succeed, NULL);
        atomic_fetch_add(&l->ended[i], 1);
    }
    _exit(0);
}

static void
be_recorder(struct scene *s, struct ledger *l)
{
    while (!atomic_load(&l->stop)) {
        record(s, FREE_AFTER);
    }
    _exit(0);
}

static pid_t
start(struct scene *s, struct ledger *l, int i)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (i < CALLERS) {
            be_caller(s, l);
        } else {
            be_recorder(s, l);
        }
    }
    return pid;
}

/* Returns the number of cells that were reused. */
static unsigned
reused_cells(struct scene *s)
{
    struct admin *a = scene_admin(s);
    struct live *l = past_live(admin_past(a), false);
    unsigned n = 0;

    for (uint32_t i = 0; i < cell_count(l); i++) {
        n += (atomic_load(&cell_at(l, i)->gate) & GATE_INCARNATION) != 0;
    }
    admin_close(a);
    return n;
}

static void
history_equals_a_ledger_whoever_is_killed(void **state)
{
    struct timespec moment = {0, 7000000};
    struct scene *s = *state;
    struct ledger *l = mmap(NULL, sizeof(*l), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid[CHILDREN];
    struct sums sums;

    assert_true(l != MAP_FAILED);
    l->turn_ns = 60 * MS;
    scene_init(s);
    scene_apply(s, "[pay]\nattempts = 3\n");
    for (int i = 0; i < CHILDREN; i++) {
        pid[i] = start(s, l, i);
    }
    /* On a slow machine a recorder needs longer between two kills, and several
     * recordings while a scope rests. */
    for (int n = 0; n < 300 || n % 50 != 0 || !reused_cells(s); n++) {
        int i = n % 8 == 0 ? n / 8 % CALLERS : CALLERS + n % 2;

        if (n >= 300) {
            moment.tv_nsec += 1000000;
            l->turn_ns += 6 * MS;
        }
        nanosleep(&moment, NULL);
        kill(pid[i], SIGKILL);
        scene_reap(pid[i]);
        pid[i] = start(s, l, i);
    }
    atomic_store(&l->stop, true);
    for (int i = 0; i < CHILDREN; i++) {
        scene_reap(pid[i]);
    }
    record(s, 0);
    sums = recorded_sums(s, "pay");
    for (unsigned i = 0; i < SCOPES; i++) {
        if (sums.scope[i] < l->ended[i] || sums.scope[i] > l->begun[i]) {
            fail_msg("s%u: %llu recorded, %llu to %llu made", i,
                     (unsigned long long)sums.scope[i],
                     (unsigned long long)l->ended[i],
                     (unsigned long long)l->begun[i]);
        }
    }
    munmap(l, sizeof(*l));
}

/* ---- bounds ---- */

struct seen {
    unsigned cells;
    uint64_t calls, added_up;
};

static int
see_cell(void *arg, const struct admin_cell *c)
{
    struct seen *seen = arg;

    seen->cells++;
    seen->calls += c->stats.succeeded;
    seen->added_up += c->added_up;
    return 0;
}

static void
many_names_are_added_up_and_none_is_lost(void **state)
{
    enum { NAMES = 6000 };
    struct scene *s = *state;
    struct bide_policy *p;
    struct seen seen = {0};
    struct admin *a;
    char name[32];

    scene_init(s);
    scene_apply(s, "[pay]\nattempts = 3\n");
    assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
    for (unsigned i = 0; i < NAMES; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        assert_int_equal(
            bide_lookup(s->b, i % 20 ? name : "pay", i % 20 ? NULL : name, &p),
            0);
        bide_run(p, scene_succeed, NULL);
    }
    a = scene_admin(s);
    assert_int_equal(admin_each_cell(a, NULL, ADMIN_TOTALS, see_cell, &seen),
                     0);
    assert_int_equal(seen.cells, ADMIN_CELLS_SHOWN + 1 + 2);
    assert_int_equal(seen.calls, NAMES);
    assert_int_equal(seen.added_up, NAMES - ADMIN_CELLS_SHOWN);
    admin_close(a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_handle_that_was_not_used_counts_into_its_own_name),
        SCENE(a_name_that_is_defined_after_its_cell_was_freed_is_followed),
        SCENE(history_equals_a_ledger_whoever_is_killed),
        SCENE(many_names_are_added_up_and_none_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
