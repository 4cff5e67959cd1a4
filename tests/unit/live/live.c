#include "scene.h"

#include <dirent.h>
#include <grp.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/vfs.h>

static ino_t
inode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_ino;
}

static int
entries(const char *directory)
{
    DIR *d = opendir(directory);
    int n = 0;

    assert_non_null(d);
    while (readdir(d)) {
        n++;
    }
    closedir(d);
    return n - 2;
}

static void
directory_of(const struct scene *s, char out[128])
{
    snprintf(out, 128, "%s/run", s->directory);
}

static void
a_missing_file_and_its_directory_are_made(void **state)
{
    struct scene *s = *state;
    mode_t mask = umask(0777);
    struct live *l = scene_open(s);
    struct stat st;
    char directory[128];

    umask(mask);
    directory_of(s, directory);
    assert_int_equal(stat(s->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    assert_int_equal(st.st_size, LIVE_SIZE);
    assert_true(st.st_blocks * 512 >= (blkcnt_t)LIVE_CELLS);
    assert_true(st.st_blocks * 512 <= (blkcnt_t)LIVE_CELLS + 65536);
    assert_int_equal(entries(directory), 2); /* and the bell */
    live_close(l);
}

/* Makes a copy with holes, as cp --sparse does. */
static void
a_sparse_copy_is_reserved_when_it_is_used(void **state)
{
    struct scene *s = *state;
    struct live_header h;
    char copy[200];
    struct stat st;
    int from, to;

    live_close(scene_open(s));
    snprintf(copy, sizeof(copy), "%s.copy", s->path);
    from = open(s->path, O_RDONLY);
    to = open(copy, O_RDWR | O_CREAT | O_EXCL, 0660);
    assert_true(from >= 0 && to >= 0);
    assert_int_equal(pread(from, &h, sizeof(h), 0), sizeof(h));
    assert_int_equal(h.inode, inode_of(s->path));
    assert_int_equal(pwrite(to, &h, sizeof(h), 0), sizeof(h));
    assert_int_equal(ftruncate(to, (off_t)LIVE_SIZE), 0);
    assert_int_equal(rename(copy, s->path), 0);
    live_close(scene_open(s));
    assert_int_equal(fstat(to, &st), 0);
    assert_int_equal(inode_of(s->path), st.st_ino);
    assert_true(st.st_blocks * 512 >= (blkcnt_t)LIVE_CELLS);
    assert_int_equal(pread(to, &h, sizeof(h), 0), sizeof(h));
    assert_int_equal(h.inode, st.st_ino);
    close(from);
    close(to);
}

static void
a_later_process_sees_the_same_state(void **state)
{
    struct scene *s = *state;
    struct live *a = scene_open(s), *b;

    atomic_store(&live_header(a)->cells_refused, 4711);
    b = scene_open(s);
    assert_int_equal(atomic_load(&live_header(b)->cells_refused), 4711);
    assert_int_equal(live_stripes(a), live_stripes(b));
    assert_int_equal(live_scale(a).mult, live_scale(b).mult);
    assert_false(live_is_private(a));
    live_close(a);
    live_close(b);
}

static void
closing_releases_all_descriptors(void **state)
{
    struct scene *s = *state;
    int before;

    live_close(scene_open(s));
    before = entries("/proc/self/fd");
    live_close(scene_open(s));
    assert_int_equal(entries("/proc/self/fd"), before);
    live_close(NULL);
}

enum fate { KEPT, REPLACED, REFUSED_DAMAGED, REFUSED_FORMAT };

static void
a_wrong_header_is_replaced_or_refused(void **state)
{
    static const struct {
        size_t offset, size;
        uint64_t value;
        enum fate fate;
    } rows[] = {
#define ROW(field, value, fate)           \
    {offsetof(struct live_header, field), \
     sizeof(((struct live_header *)0)->field), value, fate}
        ROW(magic, 0, REPLACED),
        ROW(magic, LIVE_MAGIC + 1, REPLACED),
        ROW(magic, LIVE_MAGIC, KEPT),
        ROW(format, LIVE_FORMAT - 1, REPLACED),
        ROW(format, LIVE_FORMAT + 1, REFUSED_FORMAT),
        ROW(header_size, 0, REPLACED),
        ROW(cell_size, 511, REPLACED),
        ROW(body_size, BODY_SIZE + 1, REPLACED),
        ROW(cell_max, UINT32_MAX, REPLACED),
        ROW(directory_words, 0, REPLACED),
        ROW(sleeper_slots, SLEEPER_SLOTS - 1, REPLACED),
        ROW(stripes, 0, REPLACED),
        ROW(stripes, 3, REPLACED),
        ROW(stripes, 16, REPLACED),
        ROW(stripes, 8, KEPT),
        {offsetof(struct live_header, registry_id), 1, 'X', REFUSED_DAMAGED},
        ROW(tick_mult, UINT64_MAX, KEPT),
        ROW(cells_used, UINT32_MAX, KEPT),
#undef ROW
    };
    struct scene *s = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct live *old = scene_open(s), *l = NULL;
        ino_t inode = inode_of(s->path);
        int rc, fd = open(s->path, O_RDWR);

        assert_int_equal(
            pwrite(fd, &rows[i].value, rows[i].size, (off_t)rows[i].offset),
            rows[i].size);
        close(fd);
        rc = live_open(s->path, s->id, LIVE_FOR_ALL, &l);
        switch (rows[i].fate) {
        case KEPT:
        case REPLACED:
            assert_int_equal(rc, 0);
            assert_true((inode == inode_of(s->path)) == (rows[i].fate == KEPT));
            assert_true(live_is_current(l));
            assert_true(live_is_current(old) == (rows[i].fate == KEPT));
            break;
        case REFUSED_DAMAGED:
        case REFUSED_FORMAT:
            assert_int_equal(rc, rows[i].fate == REFUSED_FORMAT
                                     ? BIDE_EFORMAT
                                     : BIDE_EDAMAGED);
            assert_null(l);
            assert_int_equal(inode, inode_of(s->path));
            break;
        }
        live_close(l);
        live_close(old);
        unlink(s->path);
    }
}

/* Reports whether a file of another boot id is replaced. */
static bool
replaces_after_boot(const char *path, const struct scene *s)
{
    struct live *old, *l;
    bool same;

    assert_int_equal(live_open(path, s->id, LIVE_FOR_ALL, &old), 0);
    live_header(old)->boot_id[3] ^= 1;
    assert_int_equal(live_open(path, s->id, LIVE_FOR_ALL, &l), 0);
    same = live_is_current(old);
    live_close(l);
    live_close(old);
    unlink(path);
    return !same;
}

static void
a_file_of_an_earlier_boot_is_replaced_unless_it_is_on_tmpfs(void **state)
{
    struct scene *s = *state;
    char directory[] = "boot-XXXXXX", path[32], bell[40];
    struct statfs here, fast;

    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/x.live", directory);
    snprintf(bell, sizeof(bell), "%s.bell", path);
    assert_int_equal(statfs(directory, &here), 0);
    assert_int_equal(statfs(s->directory, &fast), 0);
    assert_true(replaces_after_boot(path, s) ==
                (here.f_type != TMPFS_MAGIC && here.f_type != RAMFS_MAGIC));
    assert_true(replaces_after_boot(s->path, s) ==
                (fast.f_type != TMPFS_MAGIC && fast.f_type != RAMFS_MAGIC));
    unlink(bell);
    assert_int_equal(rmdir(directory), 0);
}

static void
a_file_of_another_size_is_replaced(void **state)
{
    static const off_t sizes[] = {0, 10, 4096, (off_t)LIVE_SIZE - 1,
                                  (off_t)LIVE_SIZE + 1};
    struct scene *s = *state;
    char directory[128];

    live_close(scene_open(s));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_int_equal(truncate(s->path, sizes[i]), 0);
        live_close(scene_open(s));
        assert_true(scene_space(s) >= LIVE_CELLS);
    }
    directory_of(s, directory);
    assert_int_equal(entries(directory), 2);
}

static void
anything_but_a_regular_file_is_left_alone(void **state)
{
    struct scene *s = *state;
    struct live *l = NULL;
    char directory[128];

    directory_of(s, directory);
    assert_int_equal(mkdir(s->path, 0700), 0);
    assert_int_equal(live_open(s->path, s->id, LIVE_FOR_ALL, &l),
                     BIDE_EDAMAGED);
    assert_int_equal(rmdir(s->path), 0);
    assert_int_equal(mkfifo(s->path, 0600), 0);
    assert_int_equal(live_open(s->path, s->id, LIVE_FOR_ALL, &l),
                     BIDE_EDAMAGED);
    assert_int_equal(unlink(s->path), 0);
    assert_int_equal(symlink("elsewhere", s->path), 0);
    assert_int_equal(live_open(s->path, s->id, LIVE_FOR_ALL, &l),
                     BIDE_EDAMAGED);
    assert_null(l);
}

static void
open_and_report(void *arg)
{
    struct scene *s = arg;
    struct live *l = NULL;

    CHECK(live_open(s->path, s->id, LIVE_FOR_ALL, &l) == 0);
    CHECK(live_is_current(l));
    atomic_fetch_add(&live_header(l)->cells_refused, 1);
}

/* Starts all runners at once, by closing a pipe. */
static void
open_at_once(struct scene *s, int runners)
{
    int gate[2];

    assert_int_equal(pipe(gate), 0);
    for (int i = 0; i < runners; i++) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
            char c;

            close(gate[1]);
            CHECK(read(gate[0], &c, 1) == 0);
            open_and_report(s);
            _exit(0);
        }
    }
    close(gate[0]);
    close(gate[1]);
    for (int i = 0; i < runners; i++) {
        int status;

        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
}

static void
many_processes_make_one_file_and_all_attach_to_it(void **state)
{
    struct scene *s = *state;

    for (int round = 0; round < 20; round++) {
        struct live *l;

        open_at_once(s, 8);
        l = scene_open(s);
        assert_int_equal(atomic_load(&live_header(l)->cells_refused), 8);
        live_close(l);
        unlink(s->path);
    }
}

static void
many_processes_replace_the_file_once(void **state)
{
    struct scene *s = *state;

    for (int round = 0; round < 10; round++) {
        struct live *l = scene_open(s);

        live_header(l)->format = 0;
        live_close(l);
        open_at_once(s, 8);
        l = scene_open(s);
        assert_int_equal(atomic_load(&live_header(l)->cells_refused), 8);
        live_close(l);
        unlink(s->path);
    }
}

static void
a_held_lock_does_not_block_other_processes_for_long(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s), *other = NULL;
    char directory[128];
    int fd;

    live_header(l)->format = 0;
    live_close(l);
    directory_of(s, directory);
    fd = open(directory, O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(live_open(s->path, s->id, LIVE_FOR_ALL, &other),
                     BIDE_ELOCKED);
    assert_null(other);
    close(fd);
    live_close(scene_open(s));
}

static void
open_with_small_files(void *arg)
{
    const struct rlimit small = {1000000, 1000000}, none = {0, 0};
    struct scene *s = arg;
    struct live *l = NULL;

    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    CHECK(live_open(s->path, s->id, LIVE_FOR_ALL, &l) == BIDE_EFULL);
    CHECK(l == NULL);
    CHECK(live_open_private(&l) == 0);
    CHECK(setrlimit(RLIMIT_FSIZE, &none) == 0);
    live_ring(l);
}

static void
ring_with_no_files(void *arg)
{
    const struct rlimit none = {0, 0};
    struct live *l = arg;

    CHECK(setrlimit(RLIMIT_FSIZE, &none) == 0);
    live_ring(l);
    CHECK(cell_stripe(l, 0, 0));
}

static void
a_limit_on_file_sizes_causes_an_error_and_no_signal(void **state)
{
    struct scene *s = *state;
    struct live *l;

    assert_int_equal(scene_child(open_with_small_files, s), 0);
    l = scene_open(s);
    assert_int_equal(scene_child(ring_with_no_files, l), 0);
    live_close(l);
}

static void
open_as_nobody(void *arg)
{
    struct scene *s = arg;
    struct live *l = NULL;

    if (geteuid() == 0) {
        CHECK(setgroups(0, NULL) == 0);
        CHECK(setgid(65534) == 0 && setuid(65534) == 0);
    }
    CHECK(live_open(s->path, s->id, LIVE_FOR_ALL, &l) == BIDE_EPERM);
    CHECK(l == NULL);
}

static void
missing_permission_is_an_error(void **state)
{
    struct scene *s = *state;
    char directory[128];

    live_close(scene_open(s));
    directory_of(s, directory);
    chmod(s->directory, 0755);
    chmod(directory, 0755);
    chmod(s->path, 0600);
    if (geteuid() != 0) {
        chmod(s->path, 0);
    }
    assert_int_equal(scene_child(open_as_nobody, s), 0);
    unlink(s->path);
    chmod(directory, 0555);
    assert_int_equal(scene_child(open_as_nobody, s), 0);
    chmod(directory, 0755);
}

static void
use_after_closing_all(void *arg)
{
    struct scene *s = arg;
    struct live *l = NULL;
    struct cell_reading r;
    struct stat st;
    uint32_t index;
    char other[128];

    CHECK(live_open(s->path, s->id, LIVE_FOR_ALL, &l) == 0);
    CHECK(cell_find(l, "a", "", true, &index) == 0);
    for (int fd = 3; fd < 100; fd++) {
        close(fd);
    }
    snprintf(other, sizeof(other), "%s/other", s->directory);
    for (int fd = 3; fd < 20; fd++) {
        CHECK(open(other, O_RDWR | O_CREAT, 0600) >= 0);
    }
    atomic_fetch_add(&cell_stripe(l, index, 0)->counter[0], 5);
    cell_read(l, index, &r);
    CHECK(r.counter[0] == 5);
    CHECK(cell_find(l, "b", "", true, &index) == 0);
    cell_read(l, index, &r);
    live_close(l);
    CHECK(stat(other, &st) == 0 && st.st_size == 0 && st.st_blocks == 0);
    for (int fd = 3; fd < 20; fd++) {
        CHECK(fcntl(fd, F_GETFD) >= 0);
    }
}

static void
close_after_closing_all(void *arg)
{
    struct scene *s = arg;
    struct live *l = NULL;

    CHECK(live_open(s->path, s->id, LIVE_FOR_ALL, &l) == 0);
    for (int fd = 3; fd < 100; fd++) {
        close(fd);
    }
    for (int fd = 3; fd < 20; fd++) {
        CHECK(open("/dev/null", O_RDONLY) >= 0);
    }
    live_close(l);
    for (int fd = 3; fd < 20; fd++) {
        CHECK(fcntl(fd, F_GETFD) >= 0);
    }
}

static void
a_program_may_close_all_descriptors(void **state)
{
    assert_int_equal(scene_child(close_after_closing_all, *state), 0);
    assert_int_equal(scene_child(use_after_closing_all, *state), 0);
}

static void
a_removed_file_is_no_longer_current(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s), *again;

    assert_true(live_is_current(l));
    unlink(s->path);
    assert_false(live_is_current(l));
    again = scene_open(s);
    assert_true(live_is_current(again));
    assert_false(live_is_current(l));
    live_close(l);
    live_close(again);
}

static void
a_private_live_state_needs_no_file(void **state)
{
    struct live *l = NULL, *other = NULL;
    struct cell_reading r;
    uint32_t index;

    (void)state;
    assert_int_equal(live_open_private(&l), 0);
    assert_int_equal(live_open_private(&other), 0);
    assert_true(live_is_private(l));
    assert_true(live_is_current(l));
    index = scene_cell(l, "a");
    atomic_fetch_add(&cell_stripe(l, index, 1)->counter[2], 3);
    cell_read(l, index, &r);
    assert_int_equal(r.counter[2], 3);
    assert_int_equal(cell_count(other), 0);
    live_close(l);
    live_close(other);
}

static void
open_in_little_memory(void *arg)
{
    const struct rlimit little = {200000000, 200000000};
    struct live *l = NULL;
    uint32_t index;

    (void)arg;
    CHECK(setrlimit(RLIMIT_AS, &little) == 0);
    CHECK(live_open_private(&l) == 0);
    CHECK(cell_find(l, "a", "", true, &index) == 0);
    CHECK(cell_stripe(l, index, 0));
}

static void
a_private_live_state_is_smaller_if_memory_is_limited(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* the sanitizers need terabytes of address space */
#endif
    assert_int_equal(scene_child(open_in_little_memory, NULL), 0);
}

static void
trouble_is_recorded_until_it_is_over(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    struct live_header *h = live_header(l);

    live_note_trouble(l, 0);
    assert_int_equal(atomic_load(&h->trouble_ns), 0);
    live_note_trouble(l, BIDE_EDAMAGED);
    assert_int_equal(atomic_load(&h->trouble), -BIDE_EDAMAGED);
    assert_true(atomic_load(&h->trouble_ns) > 0);
    live_note_trouble(l, 0);
    assert_int_equal(atomic_load(&h->trouble), 0);
    live_close(l);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(a_missing_file_and_its_directory_are_made),
        SCENE_TEST(a_sparse_copy_is_reserved_when_it_is_used),
        SCENE_TEST(a_later_process_sees_the_same_state),
        SCENE_TEST(closing_releases_all_descriptors),
        SCENE_TEST(a_wrong_header_is_replaced_or_refused),
        SCENE_TEST(a_file_of_an_earlier_boot_is_replaced_unless_it_is_on_tmpfs),
        SCENE_TEST(a_file_of_another_size_is_replaced),
        SCENE_TEST(anything_but_a_regular_file_is_left_alone),
        SCENE_TEST(many_processes_make_one_file_and_all_attach_to_it),
        SCENE_TEST(many_processes_replace_the_file_once),
        SCENE_TEST(a_held_lock_does_not_block_other_processes_for_long),
        SCENE_TEST(a_limit_on_file_sizes_causes_an_error_and_no_signal),
        SCENE_TEST(missing_permission_is_an_error),
        SCENE_TEST(a_program_may_close_all_descriptors),
        SCENE_TEST(a_removed_file_is_no_longer_current),
        SCENE_TEST(a_private_live_state_needs_no_file),
        SCENE_TEST(a_private_live_state_is_smaller_if_memory_is_limited),
        SCENE_TEST(trouble_is_recorded_until_it_is_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
