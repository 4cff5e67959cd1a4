/* Counting processes are killed by SIGKILL: no counted attempt is lost. */
#include "scene.h"

#include <sched.h>

enum { RUNNERS = 4, ROUNDS = 75, BUCKET = 100 };

/* Each runner reports here what it has counted, after counting it. */
struct told {
    _Atomic uint64_t counted[RUNNERS];
};

static void
count_forever(struct scene *s, struct told *told, uint32_t me)
{
    struct bide_outcome o = {.domain = BIDE_DOMAIN_HTTP,
                             .code = 400 + (int32_t)me};
    struct live *l = NULL;
    struct stripe *stripe;
    uint32_t index;

    CHECK(live_open(s->path, s->id, LIVE_FOR_ALL, &l) == 0);
    CHECK(cell_find(l, "a", "", true, &index) == 0);
    stripe = cell_stripe(l, index, me % live_stripes(l));
    CHECK(stripe);
    for (;;) {
        atomic_fetch_add(&stripe->succeeded[BUCKET + me], 1);
        atomic_fetch_add(&stripe->failed[BUCKET + me], 1);
        atomic_fetch_add(&stripe->counter[me], 1);
        cell_count_outcome(l, index, o);
        atomic_fetch_add(&told->counted[me], 1);
    }
}

static uint64_t
count_of_outcome(const struct cell_reading *r, uint32_t me)
{
    char name[16];

    snprintf(name, sizeof(name), "http.%u", 400 + me);
    for (uint32_t i = 0; i < r->outcome_count; i++) {
        if (!strcmp(r->outcome[i].name, name)) {
            return r->outcome[i].count;
        }
    }
    return 0;
}

static void
assert_told(uint64_t counted, uint64_t told, uint64_t killed)
{
    assert_true(counted >= told);
    assert_true(counted <= told + killed);
}

static void
no_count_is_lost_if_processes_are_killed(void **state)
{
    struct scene *s = *state;
    struct told *told = scene_shared(sizeof(*told));
    struct cell_reading r;
    struct live *l;
    uint32_t seed = 1, index;

    for (int round = 0; round < ROUNDS; round++) {
        pid_t pid[RUNNERS];

        for (uint32_t i = 0; i < RUNNERS; i++) {
            pid[i] = fork();
            assert_true(pid[i] >= 0);
            if (pid[i] == 0) {
                count_forever(s, told, i);
            }
        }
        for (uint32_t i = 0; i < RUNNERS; i++) {
            uint64_t enough = atomic_load(&told->counted[i]) +
                              (seed = seed * 1664525 + 1013904223) % 3000;

            while (atomic_load(&told->counted[i]) < enough) {
                sched_yield();
            }
            kill(pid[i], SIGKILL);
            waitpid(pid[i], NULL, 0);
        }
    }
    l = scene_open(s);
    assert_int_equal(cell_find(l, "a", "", false, &index), 0);
    cell_read(l, index, &r);
    for (uint32_t i = 0; i < RUNNERS; i++) {
        uint64_t n = atomic_load(&told->counted[i]);

        assert_told(r.succeeded[BUCKET + i], n, ROUNDS);
        assert_told(r.failed[BUCKET + i], n, ROUNDS);
        assert_told(r.counter[i], n, ROUNDS);
        assert_told(count_of_outcome(&r, i), n, ROUNDS);
        assert_true(r.succeeded[BUCKET + i] >= r.failed[BUCKET + i]);
    }
    munmap(told, sizeof(*told));
    live_close(l);
}

static void
open_forever(struct scene *s, _Atomic uint64_t *opened)
{
    for (;;) {
        struct live *l = NULL;

        CHECK(live_open(s->path, s->id, LIVE_FOR_ALL, &l) == 0);
        unlink(s->path);
        live_close(l);
        atomic_fetch_add(opened, 1);
    }
}

/* Processes are killed at random moments while they make the file; the next one
 * can make it. */
static void
a_process_killed_while_making_the_file_blocks_nobody(void **state)
{
    struct scene *s = *state;
    _Atomic uint64_t *opened = scene_shared(sizeof(*opened));
    uint32_t seed = 7;

    for (int round = 0; round < 40; round++) {
        uint64_t enough = atomic_load(opened) + 1;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
            open_forever(s, opened);
        }
        while (atomic_load(opened) < enough) {
            sched_yield();
        }
        for (seed = seed * 1664525 + 1013904223; seed % 512; seed--) {
            sched_yield();
        }
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        live_close(scene_open(s));
    }
    assert_true(scene_space(s) >= LIVE_CELLS);
    munmap((void *)opened, sizeof(*opened));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(no_count_is_lost_if_processes_are_killed),
        SCENE_TEST(a_process_killed_while_making_the_file_blocks_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
