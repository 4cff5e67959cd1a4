/* A process forks at any moment, closes descriptors that it does not know, or
 * makes a queue while others open it. */
#include "queue.h"
#include "unit/store/policies/seen.h"

#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ---- a fork while memory is freed ---- */

enum { NOT_SEEN = -1, TRIES = 500 };

static void *watched;
static size_t watched_size;
static int child_wrote =
    NOT_SEEN; /* into memory that is not the queue's any more */

#if OWN_MALLOC
extern void __libc_free(void *p);

/* As another thread can: allocates the freed memory, and forks. */
static void
take_and_fork(const void *freed)
{
    uint8_t *taken[TRIES];
    int count = 0, i, status;
    size_t at;
    pid_t child;

    do {
        taken[count] = malloc(watched_size);
    } while (taken[count++] != freed && count < TRIES);
    memset(taken[count - 1], 0xab, watched_size);
    child = fork();
    if (child == 0) {
        for (at = 0; at < watched_size; at++) {
            if (taken[count - 1][at] != 0xab) {
                _exit(1);
            }
        }
        _exit(0);
    }
    if (taken[count - 1] == freed && waitpid(child, &status, 0) == child) {
        child_wrote = status != 0;
    }
    for (i = 0; i < count; i++) {
        __libc_free(taken[i]);
    }
}

SEEN void
free(void *p)
{
    bool now = p && p == watched;

    __libc_free(p);
    if (now) {
        watched = NULL;
        take_and_fork(p);
    }
}
#endif

static void
watch_free(void *p)
{
    watched = p;
    watched_size = malloc_usable_size(p);
    child_wrote = NOT_SEEN;
}

static void
a_child_does_not_touch_memory_that_was_just_freed(void **state)
{
    struct queue *q = *state;

    if (!OWN_MALLOC) {
        skip();
    }
    queue_put(q, "a");
    queue_put(q, "b");
    watch_free(q->d->recent);
    queue_fold(q);
    assert_int_equal(child_wrote, false);
    queue_put(q, "c");
    watch_free(q->d->recent);
    queue_put(q, "d");
    q->d->journal.state = JOURNAL_UNREAD; /* the whole journal is read again */
    queue_put(q, "e");
    assert_int_equal(child_wrote, false);
    assert_int_equal(deferred_lock(q->d), 0);
    watch_free(q->d->file.env);
    assert_int_equal(deferred_reopen(q->d), 0);
    deferred_unlock(q->d);
    assert_int_equal(child_wrote, false);
    assert_int_equal(queue_counts(q).waiting, 5);
}

/* ---- a fork while a queue is opened ---- */

static bool forks;
static pid_t grandchild;

SEEN int
faccessat(int dir, const char *path, int mode, int flags)
{
    (void)flags;
    if (forks && strstr(path, "deferred.mdb")) {
        forks = false;
        grandchild = fork();
        if (grandchild == 0) {
            pause();
            _exit(0);
        }
    }
    return (int)syscall(SYS_faccessat, dir, path, mode);
}

static void
a_child_of_a_killed_process_does_not_keep_the_lock(void **state)
{
    struct queue *q = *state;
    struct deferred *d;
    int told[2], rc;
    uint64_t id;
    pid_t child;

    assert_int_equal(pipe(told), 0);
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when the test fails */
        forks = true;
        rc = deferred_open(q->scratch->dir, &d) || deferred_lock(d) ||
             write(told[1], &grandchild, sizeof(grandchild)) < 0;
        pause();
        _exit(rc);
    }
    assert_int_equal(read(told[0], &grandchild, sizeof(grandchild)),
                     sizeof(grandchild));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    q->d->wait_ms = 300;
    rc = queue_try_put(q, "a", NULL, 0, &id);
    kill(grandchild, SIGKILL);
    close(told[0]);
    close(told[1]);
    assert_int_equal(rc, 0);
}

/* ---- descriptors ---- */

enum { FDS = 200 };

static int
count_open(void)
{
    int fd, count = 0;

    for (fd = 0; fd < FDS; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static void
files_can_be_replaced_any_number_of_times(void **state)
{
    struct queue *q = *state;
    char path[400];
    int before, i;

    snprintf(path, sizeof(path), "%s/deferred/deferred.checked",
             q->scratch->dir);
    queue_put(q, "a");
    queue_fold(q);
    before = count_open();
    for (i = 0; i < 10; i++) {
        assert_int_equal(unlink(path), 0);
        queue_put(q, "a");
        queue_fold(q);
    }
    assert_int_equal(count_open(), before);
}

static void
a_child_keeps_none_of_its_parents_descriptors(void **state)
{
    struct queue *q = *state;
    int status, count;
    pid_t child;

    queue_put(q, "a");
    queue_fold(q);
    count = count_open();
    child = fork();
    if (child == 0) {
        /* LMDB's own descriptors cannot be closed. */
        _exit(count - count_open() != 3);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* Programs that become daemons do this. */
static void
files_that_reuse_our_descriptors_stay_open(void **state)
{
    struct queue *q = *state;
    struct stat st;
    int fd, last = 0;

    queue_put(q, "a");
    queue_fold(q);
    for (fd = 3; fd < FDS; fd++) {
        last = close(fd) ? last : fd;
    }
    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd < last);
    queue_put(q, "b");
    for (fd = 3; fd <= last; fd++) {
        assert_int_equal(fstat(fd, &st), 0);
        assert_true(S_ISCHR(st.st_mode));
        close(fd);
    }
    assert_int_equal(queue_counts(q).waiting, 2);
}

/* ---- making a queue ---- */

static int to_maker[2], to_other[2];
static bool makes, others; /* which of the two processes this is */
static int stops;

static void
pass_turn(const int to[2], const int from[2])
{
    char c = 0;

    stops++;
    assert_int_equal(write(to[1], &c, 1), 1);
    assert_int_equal(read(from[0], &c, 1), 1);
}

/* Reports whether others can use the queue already. */
static bool
is_visible(const char *journal)
{
    const char *end = strrchr(journal, '/');
    char path[400];
    struct stat st;

    snprintf(path, sizeof(path), "%.*s/deferred.mdb", (int)(end - journal),
             journal);
    return !stat(path, &st);
}

SEEN int
unlink(const char *path)
{
    if (makes && !stops && strstr(path, "deferred.journal.new") &&
        is_visible(path)) {
        pass_turn(to_other, to_maker);
    }
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

SEEN ssize_t
pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    char link[50], path[400] = "";

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    if ((makes || others) && readlink(link, path, sizeof(path) - 1) > 0 &&
        strstr(path, "deferred.journal.new")) {
        if (others && !stops) {
            pass_turn(to_maker, to_other);
        }
        if (makes && stops == 1) {
            pass_turn(to_other, to_maker);
        }
    }
    return syscall(SYS_pwrite64, fd, bytes, size, offset);
}

static void
give_all_turns(const int to[2])
{
    assert_int_equal(write(to[1], "xxx", 3), 3);
}

/* The journal exists before anybody can store work. */
static void
two_processes_can_make_a_queue_at_once(void **state)
{
    struct queue *q = *state;
    char path[400], c;
    int status;
    pid_t maker;

    snprintf(path, sizeof(path), "%s/deferred/deferred.journal",
             q->scratch->dir);
    deferred_close(q->d);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(q->scratch->file), 0);
    assert_int_equal(pipe(to_maker), 0);
    assert_int_equal(pipe(to_other), 0);
    maker = fork();
    if (maker == 0) {
        makes = true;
        status = deferred_open(q->scratch->dir, &q->d);
        give_all_turns(to_other);
        _exit(status != 0);
    }
    assert_int_equal(read(to_other[0], &c, 1), 1);
    others = true;
    queue_open(q);
    queue_put(q, "a");
    queue_put(q, "b");
    queue_put(q, "c");
    others = false;
    give_all_turns(to_maker);
    assert_int_equal(waitpid(maker, &status, 0), maker);
    assert_int_equal(status, 0);
    queue_reopen(q);
    assert_int_equal(queue_counts(q).waiting, 3);
    assert_int_equal(q->d->journal.state, JOURNAL_READY);
}

/* ---- a survey of a queue that others change ---- */

/* Stores, takes, completes and gives back work until it is killed. */
static void
keep_changing(struct queue *q)
{
    static char large[48 << 10];

    memset(large, 'x', sizeof(large) - 1);
    queue_reopen(q);
    for (;;) {
        uint64_t id;
        int count;

        for (int i = 0; i < 100; i++) {
            if (queue_try_put(q, i ? "small" : large, NULL, 0, &id)) {
                _exit(1);
            }
        }
        while ((count = queue_take(q, TAKEN)) > 0) {
            for (int i = 0; i < count; i++) {
                if (deferred_ack(q->d, q->taken[i].id, q->taken[i].lease)) {
                    _exit(2);
                }
            }
            queue_free(q, count);
        }
    }
}

static void
a_survey_of_a_busy_queue_finds_no_fault(void **state)
{
    struct queue *q = *state;
    struct deferred_survey s;
    pid_t child = fork();
    int status;

    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        q->rules.max = 0;
        keep_changing(q);
    }
    for (int i = 0; i < 1000; i++) {
        int rc = deferred_survey(q->scratch->dir, &s);

        free(s.held);
        assert_true(rc == 0 || rc == BIDE_ELOCKED);
        assert_int_equal(s.lost.pieces, 0);
        assert_int_equal(s.unlisted + s.damaged + s.damaged_pieces, 0);
        assert_false(s.journal_gone);
    }
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE(a_child_does_not_touch_memory_that_was_just_freed),
        QUEUE(a_child_of_a_killed_process_does_not_keep_the_lock),
        QUEUE(files_can_be_replaced_any_number_of_times),
        QUEUE(a_child_keeps_none_of_its_parents_descriptors),
        QUEUE(files_that_reuse_our_descriptors_stay_open),
        QUEUE(two_processes_can_make_a_queue_at_once),
        QUEUE(a_survey_of_a_busy_queue_finds_no_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
