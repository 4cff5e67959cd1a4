#include "scene.h"

#include <time.h>

#include "rule/histogram.h"

/* Takes one step with all cells: to "quiet", retired, or freed. */
static void
step(struct live *l)
{
    const struct timespec moment = {0, 1000};

    nanosleep(&moment, NULL);
    cell_free_unused(l, 1);
}

struct taken {
    uint32_t index, incarnation;
    struct cell *cell;
};

static struct taken
take(struct live *l, const char *name, const char *scope)
{
    struct taken t;

    assert_int_equal(cell_take(l, name, scope, &t.index, &t.incarnation), 0);
    t.cell = cell_at(l, t.index);
    assert_non_null(t.cell);
    return t;
}

static bool
is_found(struct live *l, const char *name, const char *scope)
{
    uint32_t index;

    return cell_find(l, name, scope, false, &index) == 0;
}

static void
count_once(struct live *l, uint32_t index)
{
    atomic_fetch_add(&cell_stripe(l, index, 0)->succeeded[7], 1);
    cell_count_outcome(l, index, bide_http(503, NULL));
    atomic_store(&cell_guard(l, index)->transitions, 3);
}

static void
an_unused_cell_is_retired_then_freed_then_reused(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    struct taken policy = take(l, "pay", ""), old = take(l, "pay", "eu"), new;
    uint64_t begun = atomic_load(&old.cell->begun);
    struct cell_reading reading;
    struct guard_rings rings;

    count_once(l, old.index);
    cell_set_gate(old.cell, 9, GATE_PAUSED, 100);
    atomic_store(&old.cell->version, 4);
    atomic_store(&old.cell->breaker.state, 1ull << 62);
    step(l);
    assert_false(atomic_load(&old.cell->gate) & GATE_RETIRED);
    step(l);
    assert_int_equal(GATE_BITS(atomic_load(&old.cell->gate)),
                     GATE_PAUSED | GATE_RETIRED);
    assert_true(is_found(l, "pay", "eu")); /* its name stays */
    step(l);
    assert_false(is_found(l, "pay", "eu"));
    assert_true(is_found(l, "pay", ""));
    assert_int_equal(atomic_load(&policy.cell->scopes), 0);
    assert_false(cell_use(old.cell, old.incarnation));
    new = take(l, "pay", "us");
    assert_int_equal(new.index, old.index);
    assert_int_not_equal(new.incarnation, old.incarnation);
    assert_int_equal(atomic_load(&new.cell->gate),
                     GATE_UNKNOWN | new.incarnation);
    assert_int_equal(atomic_load(&new.cell->limit), 0);
    assert_int_equal(atomic_load(&new.cell->version), 0);
    assert_true(atomic_load(&new.cell->breaker.state) == 0);
    assert_true(atomic_load(&new.cell->begun) != begun);
    cell_read(l, new.index, &reading);
    cell_guard_read(l, new.index, &rings);
    assert_int_equal(histogram_count(reading.succeeded), 0);
    assert_int_equal(reading.outcome_count, 0);
    assert_int_equal(rings.transitions, 0);
    /* A writer that knows the cell by its old name changes nothing. */
    cell_set_gate(old.cell, 10, GATE_PAUSED | old.incarnation, 5);
    assert_int_equal(GATE_TXN(atomic_load(&new.cell->gate)), 0);
    live_close(l);
}

static void
a_use_or_a_look_up_takes_off_the_retirement(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    struct taken t = take(l, "pay", "eu");

    for (int look_up = 0; look_up < 2; look_up++) {
        step(l);
        step(l);
        assert_true(atomic_load(&t.cell->gate) & GATE_RETIRED);
        if (look_up) {
            assert_int_equal(take(l, "pay", "eu").index, t.index);
        } else {
            assert_true(cell_use(t.cell, t.incarnation));
        }
        assert_false(atomic_load(&t.cell->gate) & GATE_RETIRED);
        step(l);
        assert_true(is_found(l, "pay", "eu"));
        assert_false(atomic_load(&t.cell->gate) & GATE_RETIRED);
        take(l, "pay", "eu");
        assert_int_equal(cell_find(l, "pay", "eu", true, &t.index), 0);
        atomic_store(&t.cell->quiet_ns, 0); /* the recorder saw it count */
    }
    live_close(l);
}

static void
only_scopes_and_undefined_names_that_nobody_awaits_are_freed(void **state)
{
    static const struct {
        const char *name, *scope;
        uint32_t gate;
        bool awaited, freed;
    } rows[] = {
        {"pay", "eu", 0, false, true},
        {"pay", "@others", 0, false, true},
        {"pay", "us", 0, true, false},
        {"pay", "", 0, false, false},
        {"absent", "", GATE_MISSING, false, true},
        {"@group", "", GATE_MISSING, false, false},
        {"scoped", "", GATE_MISSING, false, false}, /* has the next one */
        {"scoped", "x", GATE_MISSING, true, false},
    };
    struct scene *s = *state;
    struct live *l = scene_open(s);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t index;

        assert_int_equal(
            rows[i].scope[0] && rows[i].scope[0] != '@'
                ? (int)!take(l, rows[i].name, rows[i].scope).cell
                : cell_find(l, rows[i].name, rows[i].scope, true, &index),
            0);
        assert_int_equal(
            cell_find(l, rows[i].name, rows[i].scope, false, &index), 0);
        cell_set_gate(cell_at(l, index), 1, rows[i].gate, 0);
        if (rows[i].awaited) {
            assert_true(sleeper_enter(
                            l, index, 1, 3, bide_http(503, NULL), BIDE_BY_NONE,
                            clock_monotonic_ns() + 60000000000ull) >= 0);
        }
    }
    for (int i = 0; i < 6; i++) {
        step(l);
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(is_found(l, rows[i].name, rows[i].scope),
                         !rows[i].freed);
    }
    live_close(l);
}

static void
garbage_in_the_words_of_reuse_frees_no_cell_in_use(void **state)
{
    static const uint64_t garbage[] = {1, 2, 77, 1ull << 31, UINT64_MAX};
    struct scene *s = *state;
    struct live *l = scene_open(s);
    uint32_t index;

    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        struct taken pay = take(l, "pay", "");
        char name[32];

        atomic_store(&live_header(l)->free, garbage[i]);
        atomic_store(&pay.cell->quiet_ns, garbage[i]);
        atomic_store(&pay.cell->next, (uint32_t)garbage[i]);
        snprintf(name, sizeof(name), "new%zu", i);
        assert_int_equal(cell_find(l, name, "", true, &index), 0);
        assert_int_not_equal(index, pay.index);
        assert_true(is_found(l, name, ""));
        step(l);
        step(l);
        step(l);
        assert_int_equal(take(l, "pay", "").index, pay.index);
    }
    /* A cell that seems to be freed gets its name again in another place. */
    index = take(l, "pay", "").index;
    atomic_fetch_or(&cell_at(l, index)->gate, GATE_FREED);
    assert_int_not_equal(take(l, "pay", "").index, index);
    /* A chain that leads to itself ends. */
    index = take(l, "pay", "").index;
    atomic_store(&cell_at(l, index)->next, index + 1);
    assert_int_equal(take(l, "pay", "").index, index);
    live_close(l);
}

/* ---- a flood ---- */

enum { SHARE = CELL_MAX / 8, FLOODERS = 8 };

static void
flood(void *arg)
{
    struct scene *s = arg;
    struct live *l = NULL;
    uint32_t made = 0, index, inc;
    char name[32];

    CHECK(live_open(s->path, s->id, LIVE_FOR_ALL, &l) == 0);
    for (uint32_t i = 0; i < SHARE + 1000; i++) {
        int rc;

        snprintf(name, sizeof(name), "p%d-%u", (int)getpid(), i);
        rc = cell_take(l, name, "", &index, &inc);
        CHECK(rc == 0 || rc == BIDE_EFULL);
        if (rc == 0) {
            cell_set_gate(cell_at(l, index), 1, GATE_MISSING | inc, 0);
            made++;
        }
    }
    CHECK(made == SHARE);
    live_close(l);
}

static void
a_flood_of_names_takes_an_eighth_and_is_freed(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    uint32_t index, inc;

    assert_int_equal(scene_child(flood, s), 0);
    assert_int_equal(cell_take(l, "pay", "", &index, &inc), 0);
    assert_int_equal(index, SHARE);
    cell_set_gate(cell_at(l, index), 1, inc, 0);
    for (int i = 1; i < FLOODERS; i++) { /* the last one finds one less */
        int status = scene_child(flood, s);

        assert_int_equal(status, i == FLOODERS - 1 ? 99 : 0);
    }
    assert_int_equal(cell_take(l, "late", "", &index, &inc), BIDE_EFULL);
    for (int i = 0; i < 3; i++) {
        step(l);
    }
    assert_true(is_found(l, "pay", ""));
    assert_int_equal(cell_take(l, "late", "", &index, &inc), 0);
    assert_true(inc > 0);
    assert_int_equal(cell_count(l), CELL_MAX);
    assert_int_equal(scene_child(flood, s), 0); /* reuses the free ones */
    live_close(l);
}

/* ---- kills ---- */

static void
churn(struct scene *s, bool frees)
{
    struct live *l = NULL;

    CHECK(live_open(s->path, s->id, LIVE_FOR_ALL, &l) == 0);
    for (uint32_t i = 0;; i++) {
        char scope[32];
        uint32_t index, inc;

        if (frees) {
            cell_free_unused(l, 1000000);
            continue;
        }
        snprintf(scope, sizeof(scope), "s%u", i / 50 % 300);
        CHECK(cell_take(l, "pay", scope, &index, &inc) == 0);
        cell_use(cell_at(l, index), inc); /* freed if this took long */
    }
}

static void
who_frees_or_takes_cells_may_be_killed(void **state)
{
    const struct timespec moment = {0, 3000000};
    struct scene *s = *state;
    struct live *l = scene_open(s);
    uint32_t lost = 0, named = 0;

    for (int round = 0; round < 100; round++) {
        pid_t pid[3];

        for (int i = 0; i < 3; i++) {
            pid[i] = fork();
            assert_true(pid[i] >= 0);
            if (pid[i] == 0) {
                churn(s, i == 2); /* one recorder */
            }
        }
        nanosleep(&moment, NULL);
        for (int i = 0; i < 3; i++) {
            int status;

            kill(pid[i], SIGKILL);
            waitpid(pid[i], &status, 0);
            assert_true(WIFSIGNALED(status));
        }
    }
    for (int i = 0; i < 4; i++) {
        step(l);
    }
    for (uint32_t i = 0; i < cell_count(l); i++) {
        const struct cell *c = cell_at(l, i);
        char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];

        named += cell_names(c, name, scope);
        lost += !cell_names(c, name, scope) &&
                !(atomic_load(&c->gate) & GATE_FREED);
    }
    assert_int_equal(named, 1); /* pay without a scope */
    assert_true(lost <= 200);   /* at most one for each kill */
    for (uint32_t i = 0; i < 300; i++) {
        char scope[32];

        snprintf(scope, sizeof(scope), "s%u", i);
        take(l, "pay", scope);
        assert_true(is_found(l, "pay", scope));
    }
    live_close(l);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(an_unused_cell_is_retired_then_freed_then_reused),
        SCENE_TEST(a_use_or_a_look_up_takes_off_the_retirement),
        SCENE_TEST(
            only_scopes_and_undefined_names_that_nobody_awaits_are_freed),
        SCENE_TEST(garbage_in_the_words_of_reuse_frees_no_cell_in_use),
        SCENE_TEST(a_flood_of_names_takes_an_eighth_and_is_freed),
        SCENE_TEST(who_frees_or_takes_cells_may_be_killed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
