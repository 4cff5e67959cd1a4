/* A full filesystem is an error, never a SIGBUS.  The tests mount a small tmpfs
 * in their own namespace; they are skipped if that is not allowed. */
#include "scene.h"

#include <dirent.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>

enum { NOT_ALLOWED = 77 };

static void
mount_small(struct scene *s, const char *size)
{
    char directory[80], options[32];

    snprintf(directory, sizeof(directory), "%s/run", s->directory);
    snprintf(options, sizeof(options), "size=%s", size);
    if (unshare(CLONE_NEWNS) ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        (mkdir(directory, 0700) && errno != EEXIST) ||
        mount("none", directory, "tmpfs", 0, options)) {
        _exit(NOT_ALLOWED);
    }
}

static void
enlarge_filesystem(struct scene *s, const char *size)
{
    char directory[80], options[32];

    snprintf(directory, sizeof(directory), "%s/run", s->directory);
    snprintf(options, sizeof(options), "size=%s", size);
    CHECK(mount("none", directory, "tmpfs", MS_REMOUNT, options) == 0);
}

static int
files_in(const struct scene *s)
{
    char directory[80];
    DIR *d;
    int n = 0;

    snprintf(directory, sizeof(directory), "%s/run", s->directory);
    d = opendir(directory);
    CHECK(d);
    while (readdir(d)) {
        n++;
    }
    closedir(d);
    return n - 2;
}

static void
run_or_skip(void (*body)(void *), void *arg)
{
    int status = scene_child(body, arg);

    if (status == NOT_ALLOWED) {
        skip();
    }
    assert_int_equal(status, 0);
}

static void
open_where_nothing_fits(void *arg)
{
    struct scene *s = arg;
    struct live *l = NULL;

    mount_small(s, "2m");
    CHECK(live_open(s->path, s->id, LIVE_FOR_ALL, &l) == BIDE_EFULL);
    CHECK(l == NULL);
    CHECK(files_in(s) == 0);
    enlarge_filesystem(s, "3m");
    CHECK(live_open(s->path, s->id, LIVE_FOR_ALL, &l) == 0);
    CHECK(files_in(s) == 2);
    live_close(l);
}

static void
without_space_for_the_file_no_file_remains(void **state)
{
    run_or_skip(open_where_nothing_fits, *state);
}

/* Makes cells and stripes until both fail; returns the number of cells. */
static uint32_t
fill_up(struct live *l)
{
    const struct bide_outcome o = {.domain = BIDE_DOMAIN_HTTP, .code = 503};

    for (uint32_t i = 0;; i++) {
        char name[16];
        uint32_t index;
        int rc;

        snprintf(name, sizeof(name), "p%u", i);
        rc = cell_find(l, name, "", true, &index);
        if (rc) {
            CHECK(rc == BIDE_EFULL);
            return i;
        }
        CHECK(index == i);
        for (uint32_t n = 0; n < STRIPE_MAX; n++) {
            struct stripe *stripe = cell_stripe(l, index, n);

            if (stripe) {
                atomic_fetch_add(&stripe->succeeded[n], 1);
                atomic_fetch_add(&stripe->counter[n], 1);
            }
        }
        cell_count_outcome(l, index, o);
        cell_announce(cell_at(l, index));
    }
}

static void
fill_and_go_on(void *arg)
{
    struct scene *s = arg;
    struct live *l = NULL, *late = NULL;
    struct cell_reading r;
    struct live_header *h;
    struct pollfd bell;
    uint32_t cells, index, used;

    mount_small(s, "4m");
    CHECK(live_open(s->path, s->id, LIVE_FOR_ALL, &l) == 0);
    h = live_header(l);
    cells = fill_up(l);
    CHECK(cells > 8 && cells < 1000);
    CHECK(atomic_load(&h->pages_refused) > 0);
    CHECK(atomic_load(&h->cells_refused) == 1);
    used = atomic_load(&h->cells_used);
    for (int i = 0; i < 100; i++) { /* trying again takes no space */
        CHECK(cell_find(l, "late", "", true, &index) == BIDE_EFULL);
    }
    CHECK(atomic_load(&h->cells_used) == used && used == cells);

    CHECK(live_open(s->path, s->id, LIVE_FOR_ALL, &late) == 0);
    for (uint32_t i = 0; i < cells; i++) { /* reading still works */
        cell_read(late, i, &r);
        CHECK(cell_at(late, i));
        sleeper_leave(
            l, sleeper_enter(l, i, 1, 2, bide_ok(), BIDE_BY_NONE, UINT64_MAX));
    }
    bell.fd = live_bell(late);
    bell.events = POLLIN;
    live_ring(l); /* works on a full filesystem too */
    CHECK(poll(&bell, 1, 10000) == 1);

    enlarge_filesystem(s, "5m");
    CHECK(cell_find(l, "late", "", true, &index) == 0);
    CHECK(cell_stripe(l, index, 0));
    atomic_fetch_add(&cell_stripe(l, index, 0)->counter[3], 5);
    cell_read(late, index, &r);
    CHECK(r.counter[3] == 5);
    live_close(l);
    live_close(late);
}

static void
a_full_filesystem_is_an_error_until_there_is_space(void **state)
{
    run_or_skip(fill_and_go_on, *state);
}

static void
fold_without_space(void *arg)
{
    struct scene *s = arg;
    struct live *from = NULL, *l = NULL;
    struct cell_reading r;
    uint32_t index, i;

    mount_small(s, "3m");
    CHECK(live_open(s->path, s->id, LIVE_FOR_ALL, &l) == 0);
    CHECK(live_open_private(&from) == 0);
    CHECK(cell_find(from, "a", "", true, &index) == 0);
    atomic_fetch_add(&cell_stripe(from, index, 0)->counter[0], 9);
    i = fill_up(l) - 1;
    while (cell_stripe(l, i, 0)) {
        i--;
    }
    cell_fold(from, index, l, i);
    cell_read(from, index, &r);
    CHECK(r.counter[0] == 9);
    enlarge_filesystem(s, "4m");
    cell_fold(from, index, l, i);
    cell_read(from, index, &r);
    CHECK(r.counter[0] == 0);
    cell_read(l, i, &r);
    CHECK(r.counter[0] == 9);
}

static void
counts_stay_if_the_target_has_no_space(void **state)
{
    run_or_skip(fold_without_space, *state);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(without_space_for_the_file_no_file_remains),
        SCENE_TEST(a_full_filesystem_is_an_error_until_there_is_space),
        SCENE_TEST(counts_stay_if_the_target_has_no_space),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
