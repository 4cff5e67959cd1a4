/* A sync fails once, and power fails later: everything promised in between is
 * on the disk.  After a failed fsync Linux marks the pages clean and reports
 * the failure once to each open file; in this model the writes since the last
 * successful sync are lost. */
#include "queue.h"
#include "unit/store/policies/seen.h"

#include <errno.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/uio.h>

enum { FILES = 2, MDB = 0, JOURNAL = 1, DISK = 8 << 20, LARGE = 200000 };
static const char *const names[FILES] = {"deferred/deferred.mdb",
                                         "deferred/deferred.journal"};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
    uint64_t inode;
    uint8_t cache[DISK], disk[DISK]; /* in the page cache; on the disk */
    bool dirty[DISK];
    size_t length;
} files[FILES];

/* The calls that fail. */
static bool (*_Atomic sync_fails)(int file);
static _Atomic bool write_fails_once; /* to the journal's beginning */
static _Atomic bool pages_fail; /* to deferred.mdb, except its meta pages */
static _Atomic unsigned opens,
    opens_fail; /* opens of deferred.mdb by LMDB, a bit each */
static _Thread_local int my_syncs, me; /* me: 0, or the number of a thread */

static int
file_of(int fd)
{
    struct stat st;
    int i;

    for (i = 0; !fstat(fd, &st) && i < FILES; i++) {
        if (files[i].inode == st.st_ino) {
            return i;
        }
    }
    return -1;
}

/* Reports whether each write waits for the disk, as that of LMDB's meta page.
 */
static bool
is_synchronous(int fd)
{
    return fcntl(fd, F_GETFL) & O_DSYNC;
}

static bool
sync_range(int file, size_t at, size_t size)
{
    bool fails = sync_fails && sync_fails(file);

    pthread_mutex_lock(&mutex);
    if (!fails) {
        memcpy(files[file].disk + at, files[file].cache + at, size);
    }
    memset(files[file].dirty + at, false, size);
    pthread_mutex_unlock(&mutex);
    errno = EIO;
    return !fails;
}

SEEN ssize_t
pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    int file = file_of(fd);

    if ((file == JOURNAL && write_fails_once && offset == JOURNAL_START) ||
        (file == MDB && pages_fail && size >= 4096)) {
        write_fails_once = false;
        errno = EIO;
        return -1;
    }
    if (file >= 0) {
        size_t at = (size_t)offset;

        assert_true(at + size <= DISK);
        pthread_mutex_lock(&mutex);
        memcpy(files[file].cache + at, bytes, size);
        memset(files[file].dirty + at, true, size);
        if (at + size > files[file].length) {
            files[file].length = at + size;
        }
        pthread_mutex_unlock(&mutex);
    }
    if (syscall(SYS_pwrite64, fd, bytes, size, offset) != (ssize_t)size) {
        return -1;
    }
    return file >= 0 && is_synchronous(fd) &&
                   !sync_range(file, (size_t)offset, size)
               ? -1
               : (ssize_t)size;
}

/* LMDB writes adjacent pages this way, after a seek. */
SEEN ssize_t
writev(int fd, const struct iovec *parts, int count)
{
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t sum = 0;
    int i;

    for (i = 0; i < count; i++) {
        ssize_t n = pwrite(fd, parts[i].iov_base, parts[i].iov_len, at + sum);

        if (n < 0) {
            return n;
        }
        sum += n;
    }
    return sum;
}

static void
write_back(int file, bool well)
{
    size_t i;

    pthread_mutex_lock(&mutex);
    for (i = 0; i < files[file].length; i++) {
        if (files[file].dirty[i] && well) {
            files[file].disk[i] = files[file].cache[i];
        }
        files[file].dirty[i] = false;
    }
    pthread_mutex_unlock(&mutex);
}

SEEN int
fdatasync(int fd)
{
    int file = file_of(fd);
    bool fails = file >= 0 && sync_fails && sync_fails(file);

    if (file >= 0) {
        write_back(file, !fails);
    }
    errno = fails ? EIO : errno;
    return fails ? -1 : 0;
}

static int
open_any(const char *path, int flags, mode_t mode)
{
    if (opens_fail && (flags & O_ACCMODE) == O_RDWR &&
        strstr(path, "deferred.mdb") && opens_fail >> opens++ & 1) {
        errno = EMFILE;
        return -1;
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#define OPEN(name)                                         \
    SEEN int name(const char *path, int flags, ...)        \
    {                                                      \
        va_list more;                                      \
        mode_t mode;                                       \
                                                           \
        va_start(more, flags);                             \
        mode = flags & O_CREAT ? va_arg(more, mode_t) : 0; \
        va_end(more);                                      \
        return open_any(path, flags, mode);                \
    }
OPEN(open)
OPEN(open64)

/* ---- loss of power ---- */

static void
disk_path(const char *dir, int file, char path[400])
{
    snprintf(path, 400, "%s/%s", dir, names[file]);
}

/* The journal is in use, and empty. */
static void
empty_journal(struct queue *q)
{
    char path[400];
    struct stat st;
    uint8_t *bytes;
    int i;

    queue_put(q, "the first");
    assert_string_equal(queue_take_text(q), "the first");
    assert_int_equal(queue_ack(q), 0);
    queue_fold(q);
    assert_int_equal(q->d->journal.state, JOURNAL_READY);
    for (i = 0; i < FILES; i++) {
        disk_path(q->scratch->dir, i, path);
        bytes = slurp(path, &files[i].length);
        memcpy(files[i].cache, bytes, files[i].length);
        memcpy(files[i].disk, bytes, files[i].length);
        memset(files[i].dirty, false, sizeof(files[i].dirty));
        free(bytes);
        assert_int_equal(stat(path, &st), 0);
        files[i].inode = st.st_ino;
    }
}

/* Lists the work that is left, by its first letter; nothing may be there twice.
 */
static const char *
lose_power(struct queue *q)
{
    static char seen[100];
    struct queue after = *q;
    size_t count = 0;
    void *scratch;
    char path[400];
    int i;

    sync_fails = NULL;
    assert_int_equal(scratch_setup(&scratch), 0);
    after.scratch = scratch;
    for (i = 0; i < FILES; i++) {
        disk_path(after.scratch->dir, i, path);
        files[i].inode = 0;
        spill(path, files[i].disk, files[i].length);
    }
    after.now.boot++;
    queue_open(&after);
    memset(seen, 0, sizeof(seen));
    while (queue_take(&after, 1) == 1) {
        char letter = *(char *)after.taken[0].bytes;

        assert_true(count < sizeof(seen) - 1);
        assert_null(strchr(seen, letter));
        seen[count++] = letter;
        queue_free(&after, 1);
        assert_int_equal(queue_ack(&after), 0);
    }
    deferred_close(after.d);
    scratch_teardown(&scratch);
    return seen;
}

static bool
is_listed(const char *seen, char letter)
{
    return strchr(seen, letter) != NULL;
}

/* ---- a disk that fails once ---- */

/* Another process must notice the part of a batch, and not continue there. */
static void
a_failed_write_to_the_beginning_is_not_used_by_others(void **state)
{
    struct queue *q = *state, other = *q;

    empty_journal(q);
    queue_open(&other);
    assert_int_equal(queue_counts(&other).waiting, 0);
    write_fails_once = true;
    queue_put(q, "a");
    assert_false(write_fails_once);
    assert_int_equal(queue_counts(&other).waiting, 1);
    queue_put(&other, "b");
    assert_int_equal(queue_counts(q).waiting, 2);
    deferred_close(other.d);
    assert_string_equal(lose_power(q), "ab");
}

static bool
first_of_the_file(int file)
{
    return file == MDB && !my_syncs++;
}

static bool
all_of_the_file(int file)
{
    return file == MDB;
}

/* Until then the journal has the only copy on the disk. */
static void
the_journal_is_not_overwritten_before_deferred_mdb_is_synced(void **state)
{
    struct queue *q = *state;
    const char *seen;
    uint64_t id;
    int rc;

    empty_journal(q);
    queue_put(q, "a");
    queue_put(q, "b");
    queue_fold(q);
    my_syncs = 0;
    sync_fails = first_of_the_file;
    rc = queue_try_put(q, "c", NULL, 0, &id);
    assert_true(my_syncs > 0);
    queue_put(q, "d");
    seen = lose_power(q);
    assert_true(is_listed(seen, 'a') && is_listed(seen, 'b'));
    assert_true(rc || is_listed(seen, 'c'));
    assert_true(is_listed(seen, 'd'));
}

/* Linux does not report the failure to processes that open the file later. */
static void
a_failure_that_an_ended_process_was_told_of_is_repaired(void **state)
{
    struct queue *q = *state;
    const char *seen;
    uint64_t id;

    empty_journal(q);
    queue_put(q, "a");
    queue_put(q, "b");
    queue_fold(q);
    my_syncs = 0;
    sync_fails = all_of_the_file;
    assert_int_equal(queue_try_put(q, "c", NULL, 0, &id), BIDE_ESYS);
    sync_fails = NULL;
    queue_reopen(q);
    queue_put(q, "d");
    seen = lose_power(q);
    assert_true(is_listed(seen, 'a') && is_listed(seen, 'b'));
    assert_true(is_listed(seen, 'd'));
}

static int
put_large(struct queue *q, char letter)
{
    char *bytes = malloc(LARGE);
    struct bide_work work = {.bytes = bytes, .length = LARGE};
    uint64_t id;
    int rc;

    assert_non_null(bytes);
    memset(bytes, letter, LARGE);
    rc = deferred_put(q->d, "mail", &q->rules, &work, &id, NULL);
    free(bytes);
    return rc;
}

/* The first sync is for the pages, the second for the meta page. */
static bool
second_of_the_file(int file)
{
    return file == MDB && ++my_syncs == 2;
}

static void
a_commit_that_is_not_on_the_disk_is_taken_back(void **state)
{
    struct queue *q = *state;

    empty_journal(q);
    my_syncs = 0;
    sync_fails = second_of_the_file;
    assert_int_equal(put_large(q, 'a'), BIDE_ESYS);
    assert_int_equal(queue_counts(q).waiting, 0);
    assert_int_equal(put_large(q, 'b'), 0);
    assert_string_equal(lose_power(q), "b");
}

/* ---- several threads ---- */

struct putter {
    pthread_t thread;
    struct queue *q;
    int number, rc;
    bool large;
};

static void *
put_one(void *arg)
{
    struct putter *p = arg;
    char text[2] = {(char)('0' + p->number), 0};
    uint64_t id;

    me = p->number;
    my_syncs = 0;
    p->rc = p->large ? put_large(p->q, *text)
                     : queue_try_put(p->q, text, NULL, 0, &id);
    return NULL;
}

static void
start_putter(struct putter *p, struct queue *q, int number, bool large)
{
    *p = (struct putter){.q = q, .number = number, .large = large};
    assert_int_equal(pthread_create(&p->thread, NULL, put_one, p), 0);
}

static struct deferred *watched;
static _Atomic int waits; /* 1: the first thread waits; 2: it has its result */

static void
sleep_20_ms(void)
{
    const struct timespec moment = {0, 20000000};

    nanosleep(&moment, NULL);
}

static unsigned
count_syncing(void)
{
    unsigned count;

    pthread_mutex_lock(&watched->mutex);
    count = watched->flush.threads;
    pthread_mutex_unlock(&watched->mutex);
    return count;
}

/* The sync of the first thread fails for what the second has written; a later
 * sync reports nothing. */
static bool
fail_when_both_wait(int file)
{
    if (file != JOURNAL || !me || ++my_syncs != 1) {
        return false;
    }
    if (me == 1) {
        atomic_store(&waits, 1);
        while (count_syncing() < 2) {
            sleep_20_ms();
        }
        sleep_20_ms();
        write_back(JOURNAL, false);
        atomic_store(&waits, 2);
        return true;
    }
    while (atomic_load(&waits) < 2) {
        sleep_20_ms();
    }
    return false;
}

static void
every_thread_that_waits_gets_the_failure(void **state)
{
    struct queue *q = *state;
    struct putter one, two;
    const char *seen;

    empty_journal(q);
    watched = q->d;
    atomic_store(&waits, 0);
    sync_fails = fail_when_both_wait;
    start_putter(&one, q, 1, false);
    while (!atomic_load(&waits)) {
        sleep_20_ms();
    }
    start_putter(&two, q, 2, false);
    pthread_join(one.thread, NULL);
    pthread_join(two.thread, NULL);
    seen = lose_power(q);
    assert_int_equal(one.rc, BIDE_ESYS);
    assert_true(two.rc || is_listed(seen, '2'));
}

/* In one batch, one change goes into the journal; then LMDB fails and cannot be
 * opened. */
static void
without_lmdb_the_journal_is_still_synced(void **state)
{
    struct queue *q = *state;
    struct putter one, two;
    int fd = open(q->scratch->file, O_RDONLY | O_CLOEXEC);
    const char *seen;

    empty_journal(q);
    queue_put(q, "a");
    assert_int_equal(flock(fd, LOCK_EX), 0);
    start_putter(&one, q, 1, false);
    sleep_20_ms();
    start_putter(&two, q, 2, true);
    sleep_20_ms();
    pages_fail = true;
    opens = 0;
    opens_fail = ~2u; /* the first open succeeds */
    assert_int_equal(flock(fd, LOCK_UN), 0);
    close(fd);
    pthread_join(one.thread, NULL);
    pthread_join(two.thread, NULL);
    pages_fail = false;
    opens_fail = 0;
    assert_true(two.rc < 0);
    seen = lose_power(q);
    assert_true(is_listed(seen, 'a'));
    assert_true(one.rc || is_listed(seen, '1'));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE(a_failed_write_to_the_beginning_is_not_used_by_others),
        QUEUE(the_journal_is_not_overwritten_before_deferred_mdb_is_synced),
        QUEUE(a_failure_that_an_ended_process_was_told_of_is_repaired),
        QUEUE(a_commit_that_is_not_on_the_disk_is_taken_back),
        QUEUE(every_thread_that_waits_gets_the_failure),
        QUEUE(without_lmdb_the_journal_is_still_synced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
