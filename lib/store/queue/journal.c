/* A commit of LMDB waits for the disk twice, the first time for half a dozen
 * pages here and there (measured: 230 us; one wait for all of them, 150 us; for
 * one page that was written before, 80 us).  So a change of postponed work is
 * written into a journal instead, with one short write and one wait.
 *
 * State is deferred.mdb plus what the journal says since.  Who holds the lock
 * reads what others have added to the journal (deferred_follow) into memory
 * (`recent`), looks things up there first and in deferred.mdb then
 * (deferred_view), and adds a batch of its own.  When the journal is full, all
 * of it goes into deferred.mdb in one commit, with the number of the last batch
 * in it (deferred_fold), and the journal begins anew.  What is too large for
 * the journal, or where there is none, goes into deferred.mdb at once, after
 * all that is in the journal.
 *
 *   deferred.journal, 0660, 256 KiB of blocks that were written before, so that
 *   a write changes no metadata; little-endian:
 *      0 magic u32 "djrn" | 4 crc u32 of the id | 8 id u64 | zeros
 *     64 batch, and after it, at the next multiple of 64, another
 *   batch:
 *      0 magic u32 "batc" | 4 crc u32 | 8 length u32 | 12 zero | 16 number u64
 *     24 entries: key_length u16 | gone u16 | value_length u32 | key | value
 *
 * Example: deferred.mdb says that it holds batches up to 41.  At 64 stands a
 * batch 42 that puts the records of work 7, behind it 43 that takes it, behind
 * that an old 12: the journal ends there, and 44 will be written over it.
 *
 * What is promised:
 * - Each kind of change is there for all processes as soon as it is written,
 *   whoever is killed: the kernel has it.
 * - Put, ack, nack, drop and requeue answer when they are on the disk.  Take
 *   and extend do not wait: a loss of power makes them undone, and ends all
 *   leases anyway.
 * - A batch that was half written (power, a kill) ends the journal: neither it
 *   nor what comes after was promised.  A flush covers all before it.
 * - Power may also keep a later batch and lose the one before it, where neither
 *   was promised; or a batch is spoiled later.  Then what can be read counts,
 *   and index and counts are made anew.
 * - deferred.mdb is on the disk, its last commit included, before the beginning
 *   of the journal is written over.
 * - Where a wait for the disk fails, nobody is told that it is there, and all
 *   goes into deferred.mdb next, with waits of its own. */
#include "inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "store/file/place.h"
#include "store/file/seal.h"
#include "recent.h"

enum { MAGIC = 0x6e726a64 /* "djrn" */, BATCH_MAGIC = 0x63746162 /* "batc" */ };

struct head {
    uint32_t magic, crc;
    uint64_t id;
};

#define AT(type, field, offset) \
    _Static_assert(offsetof(struct type, field) == (offset), #field)
AT(head, crc, 4);
AT(head, id, 8);
AT(journal_batch, crc, 4);
AT(journal_batch, length, 8);
AT(journal_batch, number, 16);
_Static_assert(sizeof(struct journal_batch) == 24, "entries follow");
AT(journal_entry, gone, 2);
AT(journal_entry, value_length, 4);
_Static_assert(sizeof(struct journal_entry) == 8, "the key follows");
_Static_assert(sizeof(struct journal_mark) == 16, "no holes");

/* ---- making it ---- */

static uint64_t
fresh_id(void)
{
    uint64_t id = 0;

    while (!id) {
        if (getrandom(&id, sizeof(id), 0) != sizeof(id)) {
            id = (uint64_t)getpid() + 1;
        }
    }
    return id;
}

static struct head
head_of(uint64_t id)
{
    return (struct head){MAGIC, crc32c(0, &id, sizeof(id)), id};
}

static int
write_at(int fd, const void *bytes, size_t length, size_t at)
{
    const uint8_t *from = bytes;

    while (length) {
        ssize_t n = pwrite(fd, from, length, (off_t)at);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n ? errno : ENOSPC;
        }
        from += n;
        at += (size_t)n;
        length -= (size_t)n;
    }
    return 0;
}

/* Where a file may not be so large, writing would send SIGXFSZ. */
static bool
may_write(size_t to)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_FSIZE, &limit) || limit.rlim_cur >= to;
}

static int
fill(int fd)
{
    struct head head = head_of(fresh_id());
    uint8_t *zeros = calloc(1, JOURNAL_SIZE);
    int rc = zeros ? 0 : ENOMEM;

    if (!rc && !may_write(JOURNAL_SIZE)) {
        rc = EFBIG;
    }
    if (!rc) {
        rc = write_at(fd, zeros, JOURNAL_SIZE, 0);
    }
    free(zeros);
    if (!rc) {
        rc = write_at(fd, &head, sizeof(head), 0);
    }
    return rc ? rc : deferred_sync_file(fd);
}

static int
make(const char *dir, const char *path, const char *fresh)
{
    struct stat st;
    int fd, rc;

    if (!lstat(path, &st)) {
        return 0;
    }
    if (unlink(fresh) && errno != ENOENT) {
        return place_failed(fresh, errno);
    }
    fd = open(fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return place_failed(fresh, errno);
    }
    rc = fill(fd);
    close(fd);
    rc = rc ? place_failed(fresh, rc) : place_own(fresh, DEFERRED_MODE);
    return place_install(dir, fresh, path, rc);
}

int
deferred_journal_make(const char *dir)
{
    char *path = place_path(dir, "deferred.journal");
    char *fresh = place_path(dir, "deferred.journal.new");
    int rc = path && fresh ? make(dir, path, fresh) : place_failed(dir, ENOMEM);

    free(path);
    free(fresh);
    return rc;
}

/* ---- opening ---- */

/* Who asks for a file's times makes Linux (6.13) note the next write's to the
 * nanosecond, and then each wait for the disk takes half as long again. */
static bool
is_it(const struct deferred *d, const struct statx *st)
{
    return st->stx_ino == d->journal.inode &&
           makedev(st->stx_dev_major, st->stx_dev_minor) == d->journal.device;
}

static bool
is_same_file(const struct deferred *d)
{
    struct statx st;

    return d->journal.fd >= 0 &&
           !statx(d->journal.fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_INO,
                  &st) &&
           is_it(d, &st);
}

/* Not where the program closed it, or somebody removed it or moved it away:
 * those who come now find another one there.  A service that gave up its rights
 * may no longer get there by name; what it holds open is still good. */
bool
deferred_journal_is_ours(const struct deferred *d)
{
    struct statx st;

    if (!is_same_file(d)) {
        return false;
    }
    return statx(AT_FDCWD, d->journal_path, AT_SYMLINK_NOFOLLOW,
                 STATX_TYPE | STATX_INO, &st)
               ? errno == EACCES
               : is_it(d, &st);
}

void
deferred_journal_close(struct deferred *d)
{
    deferred_wait_synced(d);
    if (is_same_file(d)) {
        close(d->journal.fd);
    }
    d->journal.fd = -1;
    d->journal.usable = d->journal.followed = false;
}

void
deferred_journal_lose(struct deferred *d)
{
    if (is_same_file(d)) {
        close(d->journal.fd);
    }
    d->journal.fd = -1;
    d->journal.usable = d->journal.followed = false;
    recent_lose(d->recent);
    d->recent = NULL;
}

int
deferred_journal_open(struct deferred *d)
{
    const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    struct stat st;

    if (deferred_journal_is_ours(d)) {
        return 0;
    }
    deferred_journal_close(d);
    d->journal.fd = open(d->journal_path, flags);
    if (d->journal.fd < 0 && errno == ENOENT) {
        if (deferred_journal_make(d->dir)) {
            return 0;
        }
        d->journal.fd = open(d->journal_path, flags);
    }
    if (d->journal.fd < 0) {
        return errno;
    }
    if (fstat(d->journal.fd, &st) || !S_ISREG(st.st_mode)) {
        close(d->journal.fd);
        d->journal.fd = -1;
        return MDB_INVALID;
    }
    d->journal.device = st.st_dev;
    d->journal.inode = st.st_ino;
    return 0;
}

/* ---- reading it ---- */

uint64_t
deferred_journal_id(const uint8_t *bytes, size_t size)
{
    struct head head;

    if (size < sizeof(head)) {
        return 0;
    }
    memcpy(&head, bytes, sizeof(head));
    return head.magic == MAGIC &&
                   head.crc == crc32c(0, &head.id, sizeof(head.id))
               ? head.id
               : 0;
}

void
deferred_journal_take_over(struct deferred *d)
{
    struct head head = head_of(fresh_id());

    if (!d->journal.foreign) {
        return;
    }
    d->journal.foreign = false;
    if (may_write(JOURNAL_SIZE) &&
        !write_at(d->journal.fd, &head, sizeof(head), 0)) {
        d->journal.id = head.id;
    }
}

bool
deferred_journal_begins(const uint8_t *bytes)
{
    uint32_t magic;

    memcpy(&magic, bytes, sizeof(magic));
    return magic == BATCH_MAGIC;
}

bool
deferred_journal_may_be(const struct journal_batch *b, size_t at)
{
    return b->magic == BATCH_MAGIC && b->length > sizeof(*b) &&
           b->length <= JOURNAL_BATCH_MAX && at + b->length <= JOURNAL_SIZE;
}

bool
deferred_journal_mark_read(const void *value, size_t length,
                           struct journal_mark *out)
{
    const uint8_t key = DEFERRED_JOURNAL;
    size_t size;
    const uint8_t *mark = seal_read(&key, 1, value, length, &size);

    if (!mark || size != sizeof(*out)) {
        return false;
    }
    memcpy(out, mark, size);
    return true;
}

static uint32_t
batch_crc(uint64_t id, const uint8_t *bytes, size_t length)
{
    const size_t skip = offsetof(struct journal_batch, length);

    return crc32c(crc32c(0, &id, sizeof(id)), bytes + skip, length - skip);
}

bool
deferred_journal_whole(uint64_t id, const uint8_t *bytes, size_t length)
{
    struct journal_batch b;

    memcpy(&b, bytes, sizeof(b));
    return b.length == length && b.crc == batch_crc(id, bytes, length);
}

/* ---- adding to it ---- */

static size_t
batch_length(const struct recent *r)
{
    size_t length = sizeof(struct journal_batch), i;

    for (i = 0; i < recent_changes(r); i++) {
        const struct recent_node *n = recent_change(r, i);

        length +=
            sizeof(struct journal_entry) + n->key_length + n->value->length;
    }
    return length;
}

static uint8_t *
put(uint8_t *to, const void *bytes, size_t length)
{
    if (length) {
        memcpy(to, bytes, length);
    }
    return to + length;
}

static void
fill_batch(struct journal *journal, const struct recent *r, size_t length)
{
    struct journal_batch b = {.magic = BATCH_MAGIC,
                              .length = (uint32_t)length,
                              .number = journal->next};
    uint8_t *to = put(journal->buffer, &b, sizeof(b));
    size_t i;

    for (i = 0; i < recent_changes(r); i++) {
        const struct recent_node *n = recent_change(r, i);
        struct journal_entry e = {n->key_length, n->value->kind != RECENT_HERE,
                                  n->value->length};

        to = put(to, &e, sizeof(e));
        to = put(to, n->key, n->key_length);
        to = put(to, n->value->bytes, n->value->length);
    }
    b.crc = batch_crc(journal->id, journal->buffer, length);
    memcpy(journal->buffer, &b, sizeof(b));
}

int
deferred_journal_append(struct deferred *d)
{
    struct journal *journal = &d->journal;
    size_t length = batch_length(d->recent);
    int rc = 0;

    if (length > JOURNAL_BATCH_MAX || length > JOURNAL_SIZE - journal->at ||
        !may_write(journal->at + length)) {
        return DEFERRED_DIRECT;
    }
    if (journal->at == JOURNAL_START) {
        /* What it said before is in deferred.mdb: on the disk too. */
        rc = deferred_sync_commits(d);
    }
    if (rc) {
        return rc;
    }
    fill_batch(journal, d->recent, length);
    rc = write_at(journal->fd, journal->buffer, length, journal->at);
    if (rc) {
        journal->next++; /* whatever is there, it shall never count */
        /* Others go on from the number that deferred.mdb tells. */
        journal->usable = journal->at > JOURNAL_START;
        return DEFERRED_DIRECT;
    }
    recent_keep(d->recent);
    journal->next++;
    journal->at += (length + JOURNAL_STEP - 1) / JOURNAL_STEP * JOURNAL_STEP;
    return 0;
}

/* Linux may take what it could not write for written, and says so once only:
 * it is given all of it again. */
int
deferred_journal_rewrite(struct deferred *d)
{
    struct journal *journal = &d->journal;
    size_t at = 0;
    int rc = 0;

    while (!rc && at < journal->at && may_write(journal->at)) {
        size_t left = journal->at - at;
        ssize_t n = pread(journal->fd, journal->buffer,
                          left < JOURNAL_BATCH_MAX ? left : JOURNAL_BATCH_MAX,
                          (off_t)at);

        if (n <= 0) {
            return n ? errno : 0;
        }
        rc = write_at(journal->fd, journal->buffer, (size_t)n, at);
        at += (size_t)n;
    }
    return rc;
}
