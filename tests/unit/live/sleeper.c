#include "scene.h"

#include <pthread.h>

#include "unit/base/space.h"

#define SECOND 1000000000ull

static const struct bide_outcome http_503 = {.domain = BIDE_DOMAIN_HTTP,
                                             .code = 503};

struct seen {
    int count;
    struct sleeper last;
};

static int
keep_sleeper(void *arg, const struct sleeper *s)
{
    struct seen *seen = arg;

    seen->count++;
    seen->last = *s;
    return 0;
}

static struct seen
list_sleepers(struct live *l, uint64_t now_ns)
{
    struct seen seen = {0};

    assert_int_equal(sleeper_each(l, now_ns, keep_sleeper, &seen), 0);
    return seen;
}

static void
a_sleeper_is_listed_until_it_leaves(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s), *other = scene_open(s);
    uint64_t now = clock_monotonic_ns(), wake = now + 100 * SECOND + 1;
    int slot = sleeper_enter(l, 7, 2, 4, http_503, BIDE_BY_NONE, wake);
    struct seen seen = list_sleepers(other, now);
    FILE *comm = fopen("/proc/self/comm", "r");
    char program[17] = "";

    assert_true(slot >= 0);
    assert_non_null(comm);
    assert_int_equal(fscanf(comm, "%16s", program), 1);
    fclose(comm);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.last.cell, 7);
    assert_int_equal(seen.last.by.pid, getpid());
    assert_int_equal(seen.last.attempts, 2);
    assert_int_equal(seen.last.allowed, 4);
    assert_int_equal(seen.last.wake_ns, wake);
    assert_string_equal(seen.last.outcome, "http.503");
    assert_string_equal(seen.last.by.program, program);

    sleeper_move(l, slot, UINT32_MAX, BIDE_BY_NONE, wake + 9 * SECOND);
    seen = list_sleepers(other, now);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.last.allowed, UINT32_MAX);
    assert_int_equal(seen.last.wake_ns, wake + 9 * SECOND);
    assert_int_equal(seen.last.attempts, 2);

    sleeper_leave(l, slot);
    assert_int_equal(list_sleepers(other, now).count, 0);
    sleeper_leave(l, slot);
    sleeper_move(l, slot, 1, BIDE_BY_NONE, wake);
    sleeper_move(l, -1, 1, BIDE_BY_NONE, wake);
    sleeper_leave(l, -1);
    assert_int_equal(list_sleepers(other, now).count, 0);
    live_close(l);
    live_close(other);
}

static void
sleepers_past_their_time_are_not_listed(void **state)
{
    static const struct {
        uint64_t wake_ns, now_ns;
        int count;
    } rows[] = {
        {1000 * SECOND, 1000 * SECOND, 1},
        {1000 * SECOND, 1000 * SECOND + 1, 0},
        {0, 0, 1},
        {UINT64_MAX, UINT64_MAX, 1},
        {UINT64_MAX, 0, 1},
    };
    struct scene *s = *state;
    struct live *l = scene_open(s);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int slot =
            sleeper_enter(l, 0, 1, 2, http_503, BIDE_BY_NONE, rows[i].wake_ns);

        assert_true(slot >= 0);
        assert_int_equal(list_sleepers(l, rows[i].now_ns).count, rows[i].count);
        sleeper_leave(l, slot);
    }
    live_close(l);
}

static int
stop_at_third(void *arg, const struct sleeper *s)
{
    int *count = arg;

    (void)s;
    return ++*count == 3 ? 42 : 0;
}

static void
a_full_table_gives_no_slot_and_a_visit_can_end_early(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    uint64_t far = clock_monotonic_ns() + 1000 * SECOND;
    int entered = 0, count = 0, slots[SLEEPER_SLOTS], failed = 0;

    while (failed < 2000) {
        int slot = sleeper_enter(l, 0, 1, 2, http_503, BIDE_BY_NONE, far);

        if (slot < 0) {
            failed++;
        } else {
            slots[entered++] = slot;
        }
    }
    assert_int_equal(list_sleepers(l, 0).count, entered);
    assert_true(entered > SLEEPER_SLOTS * 9 / 10);
    assert_int_equal(sleeper_each(l, 0, stop_at_third, &count), 42);
    assert_int_equal(count, 3);
    while (entered) {
        sleeper_leave(l, slots[--entered]);
    }
    assert_int_equal(list_sleepers(l, 0).count, 0);
    live_close(l);
}

static void
slots_past_their_time_are_taken_over(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    uint64_t far = clock_monotonic_ns() + 1000 * SECOND;
    int old[8 * SLEEPER_SLOTS], entered = 0;

    for (int i = 0; i < 8 * SLEEPER_SLOTS; i++) {
        old[i] = sleeper_enter(l, 1, 1, 2, http_503, BIDE_BY_NONE, 0);
        assert_true(old[i] >= 0);
    }
    while (entered < SLEEPER_SLOTS / 2) {
        entered += sleeper_enter(l, 2, 1, 2, http_503, BIDE_BY_NONE, far) >= 0;
    }
    /* A sleeper that lost its slot must not free the slot of another: the
     * serials of the last 1,024 entries differ. */
    for (int i = 0; i < 1024 - SLEEPER_SLOTS / 2 % 1024; i++) {
        sleeper_leave(l, old[8 * SLEEPER_SLOTS - 1 - i]);
    }
    assert_true(list_sleepers(l, far).count > SLEEPER_SLOTS / 2 - 300);
    live_close(l);
}

static void
sleep_and_die(void *arg)
{
    struct live *l = arg;

    for (int i = 0; i < 20000; i++) {
        sleeper_enter(l, 1, 1, 2, http_503, BIDE_BY_NONE, UINT64_MAX);
    }
    kill(getpid(), SIGKILL);
}

static void
a_killed_process_leaves_no_sleeper_behind(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);

    assert_int_equal(scene_child(sleep_and_die, l), 1000 + SIGKILL);
    assert_int_equal(list_sleepers(l, 0).count, 0);
    for (int i = 0; i < SLEEPER_SLOTS / 2; i++) {
        assert_true(
            sleeper_enter(l, 2, 1, 2, http_503, BIDE_BY_NONE, UINT64_MAX) >= 0);
    }
    assert_int_equal(list_sleepers(l, 0).count, SLEEPER_SLOTS / 2);
    live_close(l);
}

static void
leave_parents(void *arg)
{
    struct live *l = arg;

    for (int slot = 0; slot < SLEEPER_SLOTS * 4; slot++) {
        sleeper_leave(l, slot);
    }
}

static void
a_child_does_not_end_its_parents_sleeps(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);

    assert_true(sleeper_enter(l, 1, 1, 2, http_503, BIDE_BY_NONE, UINT64_MAX) >=
                0);
    assert_int_equal(scene_child(leave_parents, l), 0);
    assert_int_equal(list_sleepers(l, 0).count, 1);
    leave_parents(l);
    assert_int_equal(list_sleepers(l, 0).count, 0);
    live_close(l);
}

static void
control_characters_are_replaced(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    int slot = sleeper_enter(l, 1, 1, 2, http_503, BIDE_BY_NONE, UINT64_MAX) %
               SLEEPER_SLOTS;
    struct sleeper_slot *slots =
        (void *)((char *)live_header(l) + LIVE_SLEEPERS);
    struct seen seen;

    memset((void *)slots[slot].program, 0x1b, 16);
    memset((void *)slots[slot].outcome, 'x', 64);
    seen = list_sleepers(l, 0);
    assert_string_equal(seen.last.by.program, "???????????????");
    assert_int_equal(strlen(seen.last.outcome), 63);
    live_close(l);
}

static void
a_slot_that_is_not_filled_yet_is_not_listed(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    int slot = sleeper_enter(l, 1, 1, 2, http_503, BIDE_BY_NONE, UINT64_MAX) %
               SLEEPER_SLOTS;
    struct sleeper_slot *slots =
        (void *)((char *)live_header(l) + LIVE_SLEEPERS);

    atomic_fetch_add(&slots[slot].filled, 1);
    assert_int_equal(list_sleepers(l, 0).count, 0);
    live_close(l);
}

/* ---- containers ---- */

struct container {
    struct scene *scene;
    struct live *live; /* of the test */
    int ends[2], slot;
};

/* A container has its own mapping of the file, and counts from 0. */
static struct live *
open_again(const struct container *c)
{
    struct live *l;

    if (live_open(c->scene->path, c->scene->id, LIVE_FOR_ALL, &l)) {
        _exit(98);
    }
    return l;
}

static void
enter_and_stay(void *arg)
{
    struct container *c = arg;
    int slot = sleeper_enter(open_again(c), 1, 1, 2, http_503, BIDE_BY_NONE,
                             UINT64_MAX - SECOND);

    if (write(c->ends[1], &slot, sizeof(slot)) == sizeof(slot)) {
        pause();
    }
}

static void
leave_slot_of_another(void *arg)
{
    struct container *c = arg;
    struct live *l = open_again(c);

    sleeper_move(l, c->slot, 77, BIDE_BY_NONE, 1);
    sleeper_leave(l, c->slot);
}

static void
a_sleeper_of_another_container_is_ended_by_time_only(void **state)
{
    struct container c = {.scene = *state};
    struct live *l = scene_open(c.scene);
    struct seen seen;
    pid_t first;

    assert_int_equal(pipe(c.ends), 0);
    first = space_start(enter_and_stay, &c);
    assert_int_equal(read(c.ends[0], &c.slot, sizeof(c.slot)), sizeof(c.slot));
    /* Another number 1, with the same serial number. */
    assert_int_equal(space_end(space_start(leave_slot_of_another, &c)), 0);
    seen = list_sleepers(l, 0);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.last.by.pid, 1);
    assert_true(seen.last.by.elsewhere);
    assert_int_equal(seen.last.allowed, 2);
    kill(first, SIGKILL);
    assert_int_equal(space_end(first), SIGKILL);
    assert_int_equal(list_sleepers(l, 0).count, 1);
    assert_int_equal(sleeper_dead(l, 0), 0);
    assert_int_equal(list_sleepers(l, UINT64_MAX).count, 0);
    live_close(l);
}

static void
want_every_slot(void *arg)
{
    struct container *c = arg;
    struct live *l = open_again(c);

    for (int i = 0; i < 8 * SLEEPER_SLOTS; i++) {
        sleeper_enter(l, 2, 1, 2, http_503, BIDE_BY_NONE, UINT64_MAX);
    }
    if (sleeper_dead(l, 0)) {
        _exit(1);
    }
}

/* The numbers of these owners mean nobody in the container. */
static void
a_container_takes_no_slot_from_outside(void **state)
{
    struct container c = {.scene = *state};
    struct live *l = scene_open(c.scene);
    struct sleeper_slot *slots =
        (void *)((char *)live_header(l) + LIVE_SLEEPERS);
    int full = sleeper_enter(l, 7, 1, 2, http_503, BIDE_BY_NONE, UINT64_MAX) %
               SLEEPER_SLOTS;
    int half = sleeper_enter(l, 7, 1, 2, http_503, BIDE_BY_NONE, UINT64_MAX) %
               SLEEPER_SLOTS;
    uint64_t claims[] = {slots[full].claim, slots[half].claim};

    assert_int_equal(space_end(space_start(want_every_slot, &c)), 0);
    assert_int_equal(slots[full].claim, claims[0]);
    assert_int_equal(slots[half].claim, claims[1]);
    /* Its owner is still writing it: the number is of an owner before. */
    atomic_store(&slots[half].filled, 0);
    atomic_store(&slots[half].pid, INT32_MAX);
    for (int i = 0; i < 8 * SLEEPER_SLOTS; i++) {
        sleeper_enter(l, 2, 1, 2, http_503, BIDE_BY_NONE, UINT64_MAX);
    }
    assert_int_equal(slots[full].claim, claims[0]);
    assert_int_equal(slots[half].claim, claims[1]);
    live_close(l);
}

/* ---- concurrent use ---- */

static void *
come_and_go(void *arg)
{
    struct live *l = arg;

    for (uint32_t i = 0; i < 5000; i++) {
        int slot =
            sleeper_enter(l, i, i, i, http_503, BIDE_BY_NONE, UINT64_MAX);

        sleeper_move(l, slot, i, BIDE_BY_NONE, UINT64_MAX - 1);
        sleeper_leave(l, slot);
    }
    return NULL;
}

/* Each thread writes the same number into three fields. */
static int
has_equal_fields(void *arg, const struct sleeper *s)
{
    (void)arg;
    return s->cell != s->attempts || s->cell != s->allowed ||
           strcmp(s->outcome, "http.503") != 0;
}

static void
a_reader_never_sees_mixed_fields(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    struct sleeper_slot *slots =
        (void *)((char *)live_header(l) + LIVE_SLEEPERS);
    pthread_t threads[3];

    /* Most slots are taken, so that the threads compete for the others. */
    for (int i = 0; i < SLEEPER_SLOTS; i++) {
        if (i % 64) {
            atomic_store(&slots[i].claim,
                         (uint64_t)getpid() << 42 | UINT32_MAX);
        }
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, l), 0);
    }
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(sleeper_each(l, 0, has_equal_fields, NULL), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(list_sleepers(l, 0).count, 0);
    live_close(l);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(a_sleeper_is_listed_until_it_leaves),
        SCENE_TEST(sleepers_past_their_time_are_not_listed),
        SCENE_TEST(a_full_table_gives_no_slot_and_a_visit_can_end_early),
        SCENE_TEST(slots_past_their_time_are_taken_over),
        SCENE_TEST(a_killed_process_leaves_no_sleeper_behind),
        SCENE_TEST(a_child_does_not_end_its_parents_sleeps),
        SCENE_TEST(control_characters_are_replaced),
        SCENE_TEST(a_slot_that_is_not_filled_yet_is_not_listed),
        SCENE_TEST(a_sleeper_of_another_container_is_ended_by_time_only),
        SCENE_TEST(a_container_takes_no_slot_from_outside),
        SCENE_TEST(a_reader_never_sees_mixed_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
