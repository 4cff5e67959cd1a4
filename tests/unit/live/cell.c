#include "scene.h"

#include <pthread.h>
#include <sched.h>

static void
a_cell_is_found_by_its_names(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s), *other = scene_open(s);
    uint32_t a, b, c, again = 77;
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];

    assert_int_equal(cell_find(l, "pay", "", false, &again), BIDE_ENOPOLICY);
    assert_int_equal(again, 77);
    assert_int_equal(cell_find(l, "pay", "", true, &a), 0);
    assert_int_equal(cell_find(l, "pay", "eu", true, &b), 0);
    assert_int_equal(cell_find(l, "payeu", "", true, &c), 0);
    assert_true(a != b && b != c && a != c);
    assert_int_equal(cell_count(other), 3);
    assert_int_equal(cell_find(other, "pay", "eu", false, &again), 0);
    assert_int_equal(again, b);
    assert_int_equal(cell_find(other, "pay", NULL, true, &again), 0);
    assert_int_equal(again, a);
    assert_true(cell_names(cell_at(other, b), name, scope));
    assert_string_equal(name, "pay");
    assert_string_equal(scope, "eu");
    assert_ptr_equal(cell_at(other, b), cell_at(other, b));
    assert_null(cell_at(l, 3));
    assert_null(cell_at(l, UINT32_MAX));
    live_close(l);
    live_close(other);
}

static void
names_of_full_length_fit_and_longer_ones_are_refused(void **state)
{
    static const char longest[] =
        "abcdefghijklmnopqrstuvwxyz0123456789.-_abcdefghi";
    static const struct {
        const char *name, *scope;
        int rc;
    } rows[] = {
        {longest, longest, 0},
        {longest, "", 0},
        {"", "", BIDE_ENAME},
        {"A", "", BIDE_ENAME},
        {"a b", "", BIDE_ENAME},
        {"a", "B", BIDE_ENAME},
        {"abcdefghijklmnopqrstuvwxyz0123456789.-_abcdefghij", "", BIDE_ENAME},
        {"a", "abcdefghijklmnopqrstuvwxyz0123456789.-_abcdefghij", BIDE_ENAME},
    };
    struct scene *s = *state;
    struct live *l = scene_open(s);
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];

    assert_int_equal(strlen(longest), BIDE_NAME_MAX);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t index = 99;

        assert_int_equal(
            cell_find(l, rows[i].name, rows[i].scope, true, &index),
            rows[i].rc);
        if (rows[i].rc) {
            assert_int_equal(index, 99);
            continue;
        }
        assert_true(cell_names(cell_at(l, index), name, scope));
        assert_string_equal(name, rows[i].name);
        assert_string_equal(scope, rows[i].scope);
    }
    live_close(l);
}

static void
the_gate_of_a_new_cell_is_unknown(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    struct cell *c = cell_at(l, scene_cell(l, "a"));
    struct who who = {.elsewhere = true};

    assert_int_equal(atomic_load(&c->gate), GATE_UNKNOWN);
    assert_int_equal(atomic_load(&c->limit_ms), 0);
    assert_int_equal(atomic_load(&c->generation), 0);
    assert_false(cell_asked(c, &who));
    cell_ask(c);
    cell_ask(NULL);
    assert_true(cell_asked(c, &who));
    assert_int_equal(who.pid, getpid());
    assert_false(who.elsewhere);
    assert_true(*who.program);
    /* A process with the same number in another PID namespace. */
    atomic_fetch_add(&c->asked_space, 1);
    assert_true(cell_asked(c, &who));
    assert_true(who.elsewhere);
    cell_ask(c);
    assert_true(cell_asked(c, &who));
    assert_false(who.elsewhere);
    live_close(l);
}

static void
an_older_commit_does_not_replace_gate_and_limit(void **state)
{
    static const struct {
        uint64_t txn;
        uint32_t bits, limit_ms;
        uint64_t gate;
        uint32_t limit_after;
    } rows[] = {
        {0, GATE_MISSING, 7, GATE_MISSING, 7},
        {5, GATE_PAUSED, 100, 5 << 24 | GATE_PAUSED, 100},
        {4, 0, 200, 5 << 24 | GATE_PAUSED, 100},
        {5, 0, 300, 5 << 24, 300}, /* the same commit again */
        {6, GATE_BREAKER_ON, UINT32_MAX, 6 << 24 | GATE_BREAKER_ON, UINT32_MAX},
        {7, 0x1000001, 0, 7 << 24 | 1,
         0}, /* higher bits do not reach the txn */
        {1ull << 30, 0, 1, 1ull << 54, 1},
        {5ull << 29, 0, 2, 5ull << 53, 2},
        {1ull << 32, 2, 3, 1ull << 56 | 2,
         3}, /* the limit holds 32 bits of the txn */
        {9, 0, 9, 1ull << 56 | 2, 3},
    };
    struct scene *s = *state;
    struct live *l = scene_open(s);
    struct cell *c = cell_at(l, scene_cell(l, "a"));

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cell_set_gate(c, rows[i].txn, rows[i].bits, rows[i].limit_ms);
        assert_true(atomic_load(&c->gate) == rows[i].gate);
        assert_int_equal(atomic_load(&c->limit_ms), rows[i].limit_after);
    }
    live_close(l);
}

static void
the_slower_of_two_writers_does_not_restore_an_old_limit(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    struct cell *c = cell_at(l, scene_cell(l, "a"));

    /* Commit 6 has written its limit before commit 5 writes its own. */
    atomic_store(&c->limit, 6ull << 32 | 600);
    cell_set_gate(c, 5, 0, 500);
    assert_int_equal(atomic_load(&c->limit_ms), 600);
    live_close(l);
}

enum { GATES = 20000 };

static void *
set_gates(void *arg)
{
    for (uint32_t i = 1; i <= GATES; i++) {
        cell_set_gate(arg, i, i & 1, i);
    }
    return NULL;
}

static void
gate_and_limit_end_with_the_same_commit(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    struct cell *c = cell_at(l, scene_cell(l, "a"));
    pthread_t threads[4];

    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, set_gates, c);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(GATE_TXN(atomic_load(&c->gate)), GATES);
    assert_int_equal(atomic_load(&c->limit_ms), GATES);
    live_close(l);
}

/* ---- concurrent use ---- */

enum { PROCESSES = 3, THREADS = 2, NAMES = 10000 };

struct crowd {
    struct live *l;
    struct scene *s;
    uint32_t *found;           /* shared: [runner][name] */
    _Atomic uint32_t *arrived; /* shared */
    int runner;
};

/* All runners ask for each name at the same moment. */
static void *
find_all(void *arg)
{
    struct crowd *c = arg;

    for (uint32_t i = 0; i < NAMES; i++) {
        uint32_t *found = &c->found[c->runner * NAMES + (int)i];
        char name[32];

        atomic_fetch_add(c->arrived, 1);
        while (atomic_load(c->arrived) < (i + 1) * PROCESSES * THREADS) {
            sched_yield();
        }
        snprintf(name, sizeof(name), "policy-%u", i);
        if (cell_find(c->l, name, "", true, found)) {
            *found = UINT32_MAX;
        }
    }
    return NULL;
}

static void
crowd_process(struct crowd c, int process)
{
    struct crowd all[THREADS];
    pthread_t threads[THREADS];

    CHECK(live_open(c.s->path, c.s->id, LIVE_FOR_ALL, &c.l) == 0);
    for (int i = 0; i < THREADS; i++) {
        all[i] = c;
        all[i].runner = process * THREADS + i;
        CHECK(pthread_create(&threads[i], NULL, find_all, &all[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    live_close(c.l);
    _exit(0);
}

static void
processes_and_threads_agree_on_the_same_new_cells(void **state)
{
    struct scene *s = *state;
    struct crowd c = {.s = s};
    size_t size = sizeof(uint32_t) * PROCESSES * THREADS * NAMES;
    bool *taken;
    struct live *l;
    uint32_t named = 0;

    c.found = scene_shared(size);
    c.arrived = scene_shared(sizeof(*c.arrived));
    for (int p = 0; p < PROCESSES; p++) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
            crowd_process(c, p);
        }
    }
    for (int p = 0; p < PROCESSES; p++) {
        int status;

        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    l = scene_open(s);
    taken = calloc(CELL_MAX, 1);
    for (uint32_t i = 0; i < NAMES; i++) {
        assert_true(c.found[i] < cell_count(l));
        assert_false(taken[c.found[i]]);
        taken[c.found[i]] = true;
        for (uint32_t r = 1; r < PROCESSES * THREADS; r++) {
            assert_int_equal(c.found[r * NAMES + i], c.found[i]);
        }
    }
    for (uint32_t i = 0; i < cell_count(l); i++) {
        char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];

        named += cell_names(cell_at(l, i), name, scope);
    }
    assert_int_equal(named, NAMES);
    free(taken);
    munmap(c.found, size);
    munmap((void *)c.arrived, sizeof(*c.arrived));
    live_close(l);
}

static void
make_cells_forever(struct scene *s)
{
    struct live *l = NULL;

    CHECK(live_open(s->path, s->id, LIVE_FOR_ALL, &l) == 0);
    for (uint32_t i = 0; i < 50000; i++) {
        char name[32];
        uint32_t index;

        snprintf(name, sizeof(name), "p%u", i);
        CHECK(cell_find(l, name, "", true, &index) == 0);
    }
    for (;;) {
        pause();
    }
}

static void
processes_killed_while_making_cells_leave_nothing_to_repair(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);

    for (uint32_t round = 0; round < 20; round++) {
        pid_t pid[3];

        for (int i = 0; i < 3; i++) {
            pid[i] = fork();
            assert_true(pid[i] >= 0);
            if (pid[i] == 0) {
                make_cells_forever(s);
            }
        }
        while (cell_count(l) < 1 + round * 37) {
            sched_yield();
        }
        for (int i = 0; i < 3; i++) {
            kill(pid[i], SIGKILL);
            waitpid(pid[i], NULL, 0);
        }
    }
    for (uint32_t i = 0; i < 1000; i++) {
        char want[32], name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];
        uint32_t index, again;

        snprintf(want, sizeof(want), "p%u", i);
        assert_int_equal(cell_find(l, want, "", true, &index), 0);
        assert_true(cell_names(cell_at(l, index), name, scope));
        assert_string_equal(name, want);
        assert_int_equal(cell_find(l, want, "", false, &again), 0);
        assert_int_equal(again, index);
    }
    live_close(l);
}

static void
a_cell_beyond_the_maximum_is_refused_and_counted(void **state)
{
    struct live *l;
    char name[32];
    uint32_t index, i = 0;
    int rc;

    (void)state;
    assert_int_equal(live_open_private(&l), 0);
    do {
        snprintf(name, sizeof(name), "p%u", i++);
        rc = cell_find(l, name, "", true, &index);
    } while (rc == 0);
    assert_int_equal(rc, BIDE_EFULL);
    assert_int_equal(i - 1, live_header(l)->cell_max);
    assert_int_equal(cell_count(l), i - 1);
    assert_int_equal(atomic_load(&live_header(l)->cells_refused), 1);
    assert_int_equal(cell_find(l, name, "", false, &index), BIDE_ENOPOLICY);
    assert_int_equal(cell_find(l, "p0", "", true, &index), 0);
    live_close(l);
}

static void
a_process_makes_an_eighth_of_the_cells(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    uint32_t index;
    char name[32];

    for (uint32_t i = 0; i < CELL_MAX / 8; i++) {
        snprintf(name, sizeof(name), "p%u", i);
        assert_int_equal(cell_find(l, name, "", true, &index), 0);
        assert_int_equal(index, i);
    }
    assert_int_equal(cell_find(l, "one-more", "", true, &index), BIDE_EFULL);
    for (uint32_t i = 0; i < CELL_MAX / 8; i += 997) {
        snprintf(name, sizeof(name), "p%u", i);
        assert_int_equal(cell_find(l, name, "", false, &index), 0);
        assert_int_equal(index, i);
    }
    live_close(l);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(a_cell_is_found_by_its_names),
        SCENE_TEST(names_of_full_length_fit_and_longer_ones_are_refused),
        SCENE_TEST(the_gate_of_a_new_cell_is_unknown),
        SCENE_TEST(an_older_commit_does_not_replace_gate_and_limit),
        SCENE_TEST(the_slower_of_two_writers_does_not_restore_an_old_limit),
        SCENE_TEST(gate_and_limit_end_with_the_same_commit),
        SCENE_TEST(processes_and_threads_agree_on_the_same_new_cells),
        SCENE_TEST(processes_killed_while_making_cells_leave_nothing_to_repair),
        SCENE_TEST(a_cell_beyond_the_maximum_is_refused_and_counted),
        SCENE_TEST(a_process_makes_an_eighth_of_the_cells),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
