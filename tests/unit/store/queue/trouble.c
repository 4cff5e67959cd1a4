/* A full disk, a stopped process, no memory, a failing disk: the right error,
 * nothing is lost, and afterwards everything works. */
#include "queue.h"
#include "unit/store/policies/seen.h"

#include <errno.h>
#include <signal.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum failing { NOTHING, MEMORY, WRITES, SYNCS, DISK };

static enum failing failing;
static long countdown; /* calls until one fails; 0: none fails */

static bool
fails_now(enum failing kind)
{
    if (failing == DISK && (kind == WRITES || kind == SYNCS)) {
        countdown -= countdown > 0;
        return !countdown; /* that call and all later ones */
    }
    return failing == kind && countdown && !--countdown;
}

#if OWN_MALLOC
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

SEEN void *
malloc(size_t size)
{
    if (fails_now(MEMORY)) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_malloc(size);
}

SEEN void *
calloc(size_t count, size_t size)
{
    if (fails_now(MEMORY)) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_calloc(count, size);
}

SEEN void *
realloc(void *old, size_t size)
{
    if (fails_now(MEMORY)) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_realloc(old, size);
}
#endif

SEEN ssize_t
pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    if (fails_now(WRITES)) {
        errno = ENOSPC;
        return -1;
    }
    if (fcntl(fd, F_GETFL) & O_DSYNC && fails_now(SYNCS)) { /* a meta page */
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, bytes, size, offset);
}

SEEN ssize_t
pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    if (fails_now(WRITES)) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_pwritev, fd, parts, count, offset, 0);
}

SEEN int
fdatasync(int fd)
{
    if (fails_now(SYNCS)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static long naps;

SEEN int
nanosleep(const struct timespec *time, struct timespec *left)
{
    naps++;
    return (int)syscall(SYS_nanosleep, time, left);
}

/* ---- each system call fails in turn ---- */

/* Makes all kinds of change.  Returns 0 or the first failure. */
static int
do_everything(struct queue *q)
{
    struct bide_work work = {.bytes = "x", .length = 1};
    struct deferred_counts c;
    struct deferred *d;
    uint64_t id, ends;
    int rc = deferred_open(q->scratch->dir, &d), n;

    if (rc) {
        return rc;
    }
    deferred_set_clock(d, queue_now, q);
    rc = deferred_put(d, "mail", &q->rules, &work, &id, NULL);
    n = rc ? 0 : deferred_take(d, "mail", &q->rules, NULL, q->taken, 1, NULL);
    rc = n < 0 ? n : rc;
    if (n == 1) {
        deferred_item_free(q->taken);
        id = q->taken[0].id;
        rc = deferred_extend(d, id, q->taken[0].lease, SECOND, &ends);
        rc = rc ? rc : deferred_ack(d, id, q->taken[0].lease);
    }
    rc = rc ? rc : deferred_counts(d, queue_keep_counts, &c);
    deferred_close(d);
    return rc;
}

/* Counts the work: each put that succeeded is there or completed. */
static long
each_call_fails_once(struct queue *q, enum failing kind)
{
    long nth, failed = 0;

    for (nth = 1; nth < 5000; nth++) {
        int rc;

        failing = kind;
        countdown = nth;
        rc = do_everything(q);
        failing = NOTHING;
        if (countdown) {
            break; /* fewer calls than that were made */
        }
        if (rc) {
            failed++;
            assert_true(rc == BIDE_ENOMEM || rc == BIDE_EFULL ||
                        rc == BIDE_ESYS || rc == BIDE_EDAMAGED);
        }
        assert_int_equal(do_everything(q), 0);
        queue_pass(q, 400 * SECOND);
        queue_counts(q);
    }
    assert_true(nth < 5000);
    return failed;
}

static void
any_allocation_can_fail(void **state)
{
    if (!OWN_MALLOC) {
        skip();
    }
    assert_true(each_call_fails_once(*state, MEMORY) > 0);
}

/* A change that cannot be written to the journal goes into deferred.mdb. */
static void
any_write_can_fail(void **state)
{
    each_call_fails_once(*state, WRITES);
}

static void
all_writes_can_fail_from_any_time_on(void **state)
{
    assert_true(each_call_fails_once(*state, DISK) > 0);
}

static void
any_sync_can_fail(void **state)
{
    assert_true(each_call_fails_once(*state, SYNCS) > 0);
}

static void
work_that_is_not_on_the_disk_is_reported_as_not_stored(void **state)
{
    struct queue *q = *state;
    uint64_t id = 7;

    failing = SYNCS;
    countdown = 3; /* the earlier state, the pages, the meta page */
    assert_int_equal(queue_try_put(q, "x", NULL, 0, &id), BIDE_ESYS);
    failing = NOTHING;
    assert_int_equal(countdown, 0);
    assert_int_equal(id, 7);
    assert_int_equal(queue_try_put(q, "x", NULL, 0, &id), 0);
}

/* A caller who repeats the put would store the work twice. */
static void
a_put_that_fails_leaves_nothing_and_an_ack_is_made(void **state)
{
    struct queue *q = *state;
    uint64_t id, stored;

    queue_put(q, "first");
    queue_put(q, "next"); /* begins the journal */
    stored = queue_counts(q).stored;
    failing = SYNCS;
    countdown = 1;
    assert_int_equal(queue_try_put(q, "second", NULL, 0, &id), BIDE_ESYS);
    assert_int_equal(queue_counts(q).waiting, 2);
    assert_int_equal(queue_counts(q).stored, stored);
    failing = NOTHING;
    queue_put(q, "third"); /* repairs the journal */
    assert_int_equal(queue_take(q, 1), 1);
    failing = SYNCS;
    countdown = 1;
    assert_int_equal(queue_ack(q), 0);
    failing = NOTHING;
    assert_int_equal(countdown, 0);
    assert_int_equal(queue_counts(q).done, 1);
    queue_free(q, 1);
}

/* ---- another process ---- */

static void
a_stopped_process_is_an_error_not_a_hang(void **state)
{
    struct queue *q = *state;
    struct deferred *other;
    char text[50];
    uint64_t id;
    int ready[2];
    pid_t child;
    char c;

    assert_int_equal(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        int fd = open(q->scratch->file, O_RDWR);

        prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when the test fails */
        if (fd < 0 || flock(fd, LOCK_EX) || write(ready[1], "", 1) != 1) {
            _exit(1);
        }
        pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    q->d->wait_ms = 30;
    assert_int_equal(queue_try_put(q, "x", NULL, 0, &id), BIDE_ELOCKED);
    snprintf(text, sizeof(text), "pid %d", child);
    assert_true(strstr(place_why(), text) != NULL);
    /* Opening does not wait for the lock; otherwise a call would wait twice. */
    assert_true(naps > 0);
    naps = 0;
    assert_int_equal(deferred_open(q->scratch->dir, &other), 0);
    assert_int_equal(naps, 0);
    deferred_close(other);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    queue_put(q, "x");
    close(ready[0]);
    close(ready[1]);
}

/* ---- a full disk ---- */

static int
store_until_full(struct queue *q, uint32_t *out_stored)
{
    static char bytes[3000];
    struct bide_work work = {.bytes = bytes, .length = sizeof(bytes)};
    uint64_t id;
    int rc;

    while (!(rc = deferred_put(q->d, "mail", &q->rules, &work, &id, NULL))) {
        ++*out_stored;
    }
    return rc;
}

static bool
leave_no_room(const char *dir)
{
    char path[400];
    ssize_t n = 1;
    int fd;

    snprintf(path, sizeof(path), "%s/filler", dir);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    while (fd >= 0 && n > 0) {
        n = write(fd, "0123456789abcdef", 16);
    }
    close(fd);
    return fd >= 0 && errno == ENOSPC;
}

static bool
complete_all(struct queue *q, uint32_t count)
{
    while (count) {
        if (queue_take(q, 1) != 1 || queue_nack(q, "once more")) {
            return false;
        }
        queue_free(q, 1);
        queue_pass(q, 60 * SECOND);
        if (queue_take(q, 1) != 1 || queue_ack(q)) {
            return false;
        }
        queue_free(q, 1);
        count--;
    }
    return true;
}

static bool
take_all(struct queue *q, uint32_t count)
{
    int n = 1;

    while (count && n > 0) {
        n = queue_take(q, TAKEN);
        queue_free(q, n);
        count -= (uint32_t)(n > 0 ? n : 0);
    }
    return !count;
}

static bool
drop_some(struct queue *q, uint32_t count)
{
    const struct deferred_by by = {"anna", "no room", 0};
    uint64_t id;

    for (id = 1; id <= count; id++) {
        if (deferred_change(q->d, DEFERRED_DROPPED, id, &by)) {
            return false;
        }
    }
    return true;
}

/* Runs in a child with mounts of its own.  0: passed; 77: mounting is not
 * allowed. */
static int
fill_a_file_system(struct queue *q)
{
    uint8_t id[REGISTRY_ID_SIZE];
    uint32_t stored = 0, again = 0;

    if (unshare(CLONE_NEWNS) ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("bide", q->scratch->dir, "tmpfs", 0, "size=4m")) {
        return 77;
    }
    q->rules.max = 0;
    q->rules.wait_max_ns = q->rules.wait_ns;
    q->rules.expire_ns = UINT64_MAX;
    if (writer_create(q->scratch->dir, "/run/bide", deferred_create, id) ||
        deferred_open(q->scratch->dir, &q->d)) {
        return 1;
    }
    deferred_set_clock(q->d, queue_now, q);
    if (store_until_full(q, &stored) != BIDE_EFULL || stored < 100 ||
        !strstr(place_why(), "make room")) {
        return 2;
    }
    /* No byte is free, and all work can be taken, given back and completed. */
    if (!leave_no_room(q->scratch->dir)) {
        return 3;
    }
    if (!drop_some(q, stored / 2)) {
        return 8;
    }
    stored -= stored / 2;
    if (!leave_no_room(q->scratch->dir)) {
        return 9;
    }
    if (!take_all(q, stored)) {
        return 7;
    }
    q->now.boot++; /* ends all leases at once */
    if (!complete_all(q, stored)) {
        return 4;
    }
    /* Their work can be taken again. */
    if (store_until_full(q, &again) != BIDE_EFULL || again < stored / 2) {
        return 5;
    }
    return complete_all(q, again) ? 0 : 6;
}

static void
on_a_full_disk_nothing_is_stored_but_all_can_be_completed(void **state)
{
    struct queue *q = *state;
    pid_t child = fork();
    int status;

    if (child == 0) {
        _exit(fill_a_file_system(q));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void
a_limit_on_file_size_is_an_error_not_a_signal(void **state)
{
    struct queue *q = *state;
    struct rlimit before, small = {300000, RLIM_INFINITY};
    uint32_t stored = 0;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(store_until_full(q, &stored), BIDE_EFULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    queue_put(q, "x");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE(any_allocation_can_fail),
        QUEUE(a_put_that_fails_leaves_nothing_and_an_ack_is_made),
        QUEUE(any_write_can_fail),
        QUEUE(any_sync_can_fail),
        QUEUE(all_writes_can_fail_from_any_time_on),
        QUEUE(work_that_is_not_on_the_disk_is_reported_as_not_stored),
        QUEUE(a_stopped_process_is_an_error_not_a_hang),
        QUEUE(on_a_full_disk_nothing_is_stored_but_all_can_be_completed),
        QUEUE(a_limit_on_file_size_is_an_error_not_a_signal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
