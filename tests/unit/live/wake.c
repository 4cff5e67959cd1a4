#include "scene.h"

#include <poll.h>
#include <pthread.h>

/* ---- the futex ---- */

struct nap {
    struct cell *cell;
    _Atomic int *awake;
    int ready; /* a pipe's end */
};

static void
nap(const struct nap *n)
{
    uint32_t seen = atomic_load(&n->cell->generation);

    if (write(n->ready, "", 1) != 1) {
        return;
    }
    while (atomic_load(&n->cell->generation) == seen) {
        cell_sleep(&n->cell->generation, seen, UINT64_MAX);
    }
    atomic_fetch_add(n->awake, 1);
}

static void *
nap_thread(void *arg)
{
    nap(arg);
    return NULL;
}

static void
an_announcement_wakes_sleepers_of_other_processes(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    _Atomic int *awake = scene_shared(sizeof(*awake));
    int ready[2];
    pid_t pid[3];

    scene_cell(l, "a");
    assert_int_equal(pipe(ready), 0);
    for (int i = 0; i < 3; i++) {
        pid[i] = fork();
        assert_true(pid[i] >= 0);
        if (pid[i] == 0) {
            struct live *own = NULL;
            struct nap n = {NULL, awake, ready[1]};

            CHECK(live_open(s->path, s->id, LIVE_FOR_ALL, &own) == 0);
            n.cell = cell_at(own, 0);
            nap(&n);
            _exit(0);
        }
    }
    for (int i = 0; i < 3; i++) {
        char c;

        assert_int_equal(read(ready[0], &c, 1), 1);
    }
    cell_announce(cell_at(l, 0));
    for (int i = 0; i < 3; i++) {
        int status;

        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(atomic_load(awake), 3);
    assert_int_equal(atomic_load(&cell_at(l, 0)->generation), 1);
    assert_int_equal(cell_announce(cell_at(l, 0)), 0);
    close(ready[0]);
    close(ready[1]);
    munmap((void *)awake, sizeof(*awake));
    live_close(l);
}

static void
waking_works_in_a_private_live_state_too(void **state)
{
    struct live *l;
    int ready[2];
    pthread_t thread;
    _Atomic int awake = 0;
    struct nap n = {.awake = &awake};
    char c;

    (void)state;
    assert_int_equal(live_open_private(&l), 0);
    n.cell = cell_at(l, scene_cell(l, "a"));
    assert_int_equal(pipe(ready), 0);
    n.ready = ready[1];
    assert_int_equal(pthread_create(&thread, NULL, nap_thread, &n), 0);
    assert_int_equal(read(ready[0], &c, 1), 1);
    cell_announce(n.cell);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&awake), 1);
    close(ready[0]);
    close(ready[1]);
    live_close(l);
}

static void
a_sleep_ends_at_its_time_or_does_not_begin(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    struct cell *c = cell_at(l, scene_cell(l, "a"));
    uint64_t until = clock_monotonic_ns() + 2000000;

    cell_sleep(&c->generation, 1, UINT64_MAX); /* another generation */
    cell_sleep(&c->generation, 0, 0);          /* a time in the past */
    cell_sleep(&c->generation, 0, until);
    assert_true(clock_monotonic_ns() >= until);
    cell_announce(c);
    cell_sleep(&c->generation, 0, UINT64_MAX - 1);
    live_close(l);
}

/* ---- the bell ---- */

static bool
readable(int fd, int timeout_ms)
{
    struct pollfd p = {fd, POLLIN, 0};

    return poll(&p, 1, timeout_ms) == 1;
}

static void
every_ring_makes_every_bell_readable(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s), *other = scene_open(s);
    int a = live_bell(l), b = live_bell(other);

    assert_true(a >= 0 && b >= 0);
    assert_false(readable(a, 0));
    for (int i = 1; i <= 3; i++) {
        live_ring(l);
        live_ring(other);
        assert_int_equal(atomic_load(&live_header(l)->rings), 2 * i);
        assert_true(readable(a, 10000));
        assert_true(readable(b, 10000));
        live_bell_clear(a);
        assert_false(readable(a, 0));
        assert_true(readable(b, 0));
        live_bell_clear(b);
        live_bell_clear(b);
        assert_false(readable(b, 0));
    }
    close(a);
    close(b);
    live_close(l);
    live_close(other);
}

static void
a_timer_rings_if_there_is_no_file_to_watch(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s), *private;
    char bell[160];
    int fd;

    snprintf(bell, sizeof(bell), "%s.bell", s->path);
    assert_int_equal(unlink(bell), 0);
    fd = live_bell(l);
    assert_true(fd >= 0);
    assert_true(readable(fd, 10000));
    live_bell_clear(fd);
    assert_true(readable(fd, 10000));
    close(fd);

    assert_int_equal(live_open_private(&private), 0);
    fd = live_bell(private);
    assert_true(readable(fd, 10000));
    close(fd);
    live_ring(private);
    assert_int_equal(atomic_load(&live_header(private)->rings), 1);
    live_close(private);
    live_close(l);
}

static bool
is_timer(int fd)
{
    char link[64], target[64] = "";

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    return readlink(link, target, sizeof(target) - 1) > 0 &&
           strstr(target, "timerfd");
}

static void
use_up_inotify(void *arg)
{
    struct live *l = arg;
    int fd;

    do {
        fd = live_bell(l);
        CHECK(fd >= 0 && fd < 1000);
    } while (!is_timer(fd));
    CHECK(readable(fd, 10000));
}

static void
a_timer_rings_if_inotify_is_exhausted(void **state)
{
    struct scene *s = *state;
    FILE *f = fopen("/proc/sys/fs/inotify/max_user_instances", "r");
    int limit = 0;
    struct live *l;

    if (f) {
        assert_int_equal(fscanf(f, "%d", &limit), 1);
        fclose(f);
    }
    if (limit < 1 || limit > 256) {
        skip();
    }
    l = scene_open(s);
    assert_int_equal(scene_child(use_up_inotify, l), 0);
    live_close(l);
}

static void
the_next_ring_makes_a_removed_bell_again(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    struct stat st;
    char bell[160];

    snprintf(bell, sizeof(bell), "%s.bell", s->path);
    assert_int_equal(stat(bell, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    unlink(bell);
    assert_int_equal(symlink("/etc/motd", bell), 0);
    live_ring(l); /* must not follow the link */
    unlink(bell);
    live_ring(l);
    assert_int_equal(stat(bell, &st), 0);
    live_close(l);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(an_announcement_wakes_sleepers_of_other_processes),
        SCENE_TEST(waking_works_in_a_private_live_state_too),
        SCENE_TEST(a_sleep_ends_at_its_time_or_does_not_begin),
        SCENE_TEST(every_ring_makes_every_bell_readable),
        SCENE_TEST(a_timer_rings_if_there_is_no_file_to_watch),
        SCENE_TEST(a_timer_rings_if_inotify_is_exhausted),
        SCENE_TEST(the_next_ring_makes_a_removed_bell_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
