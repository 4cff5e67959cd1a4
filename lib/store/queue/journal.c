/* The journal exists because a commit of LMDB waits for the disk twice, first
 * for about six pages in different places (measured: 230 us; one wait for all
 * of them 150 us; for one page that was written before 80 us).  So a change is
 * written into a journal instead, with one short write and one wait.
 *
 * The state of the queue is deferred.mdb plus the journal.  The process that
 * holds the file lock
 *   - reads what others have added to the journal into d->recent (follow.c);
 *   - looks for a record in d->recent first, then in deferred.mdb (view.c);
 *   - adds a batch of its own.
 * When the journal is full, all of it goes into deferred.mdb in one commit,
 * together with the number of its last batch (fold.c), and the journal begins
 * again.  A change that is too large for the journal, or has none, goes into
 * deferred.mdb directly, after all that is in the journal.
 *
 *   deferred.journal, 256 KiB of blocks that were written before, so that
 *   a write changes no metadata; little-endian:
 *      0 magic u32 "djrn" | 4 crc u32 of the id | 8 id u64 | zeros
 *     64 batch, and after it, at the next multiple of 64, another
 *   batch:
 *      0 magic u32 "batc" | 4 crc u32 | 8 length u32 | 12 zero | 16 number u64
 *     24 entries: key_length u16 | gone u16 | value_length u32 | key | value
 *
 * Example: deferred.mdb includes the batches up to 41.  At 64 is batch 42,
 * which stores the records of work 7; behind it 43, which takes it; behind that
 * an old batch 12.  The journal ends there, and 44 will be written over 12.
 *
 * Promises:
 * - A change is visible to all processes as soon as it is written, even if the
 *   writer is killed: the kernel has it.
 * - Put, ack, nack, drop and requeue return when the change is on the disk.
 *   Take and extend do not wait: a loss of power undoes them, and ends all
 *   leases anyway.
 * - A batch that was written in part (loss of power, a kill) ends the journal.
 *   Neither it nor a later one was promised: a sync covers all before it.
 * - A loss of power can keep a batch and lose the one before it, if neither was
 *   promised; or a batch is damaged later.  Then all readable batches count,
 * and index and counts are made again.
 * - deferred.mdb is on the disk, its last commit included, before the beginning
 *   of the journal is overwritten.
 * - If a sync fails, each put that waited for it is undone and fails; the other
 *   changes stay (queue.h).  The next leader moves everything into
 *   deferred.mdb, with syncs of its own.
 *
 * States of the journal in a process.  Every state goes back to UNREAD: after a
 * commit of other records than the journal's, a failure, or a fork.
 *
 *           deferred_follow
 *   UNREAD -+-> UNUSABLE   no journal and none can be made
 *           +-> FOREIGN    its id is not the one in deferred.mdb
 *           |     `------> UNUSABLE   deferred_journal_take_over
 *           +-> READY      changes are added; deferred_fold empties it
 *           |     `------> UNUSABLE   the first write after a fold failed
 *           `-> UNSOUND    repair: fold, make the index anew, commit */
#include "journal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/paths.h"
#include "store/file/place.h"
#include "store/file/seal.h"
#include "check.h"
#include "file.h"
#include "inside.h"
#include "recent.h"
#include "scan.h"

/* ---- making it ---- */

uint64_t
deferred_draw(void)
{
    uint64_t number = 0;

    while (!number) {
        if (getrandom(&number, sizeof(number), 0) != sizeof(number)) {
            number = clock_monotonic_ns();
        }
    }
    return number;
}

static struct journal_head
head_of(uint64_t id)
{
    return (struct journal_head){JOURNAL_MAGIC, crc32c(0, &id, sizeof(id)), id};
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

static int
fill_new_journal(void *arg, const char *fresh, int fd)
{
    struct journal_head head = head_of(deferred_draw());
    uint8_t *bytes = calloc(1, JOURNAL_SIZE);
    int rc = ENOMEM;

    (void)arg;
    if (bytes) {
        memcpy(bytes, &head, sizeof(head));
        rc = write_at(fd, bytes, JOURNAL_SIZE, 0);
    }
    free(bytes);
    rc = rc ? rc : deferred_sync_fd(fd);
    return rc ? place_failed(fresh, rc) : 0;
}

int
deferred_journal_make(const char *dir)
{
    const struct file_path path = path_of(dir, PATH_DEFERRED_JOURNAL);
    const struct place_new new_file = {
        .dir = dir, .path = path.text, .fill = fill_new_journal};
    struct stat st;

    return lstat(path.text, &st) ? place_make_file(&new_file) : 0;
}

/* ---- closing ---- */

static void
close_journal_file(struct deferred *d)
{
    deferred_close_beside(&d->journal.file);
    deferred_journal_set_state(d, JOURNAL_UNREAD);
}

void
deferred_journal_close(struct deferred *d)
{
    deferred_wait_flushed(d);
    close_journal_file(d);
}

void
deferred_journal_abandon(struct deferred *d)
{
    close_journal_file(d);
    recent_abandon(d->recent);
    d->recent = NULL;
}

/* ---- states ---- */

void
deferred_journal_set_state(struct deferred *d, enum journal_state to)
{
    assert(to == JOURNAL_UNREAD || d->journal.state == JOURNAL_UNREAD ||
           to == d->journal.state ||
           (to == JOURNAL_UNUSABLE && d->journal.state != JOURNAL_UNSOUND));
    d->journal.state = to;
}

void
deferred_journal_take_over(struct deferred *d)
{
    struct journal_head head = head_of(deferred_draw());

    if (d->journal.state != JOURNAL_FOREIGN) {
        return;
    }
    deferred_journal_set_state(d, JOURNAL_UNUSABLE);
    if (!write_at(d->journal.file.fd, &head, sizeof(head), 0)) {
        d->journal.id = head.id;
    }
}

/* ---- writing ---- */

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

static void
encode_batch(struct journal *journal, const struct recent *r, size_t length)
{
    struct journal_batch b = {.magic = BATCH_MAGIC,
                              .length = (uint32_t)length,
                              .number = journal->next};
    uint8_t *to = key_append(journal->buffer, &b, sizeof(b));
    size_t i;

    for (i = 0; i < recent_changes(r); i++) {
        const struct recent_node *n = recent_change(r, i);
        struct journal_entry e = {n->key_length, n->value->kind != RECENT_HERE,
                                  n->value->length};

        to = key_append(to, &e, sizeof(e));
        to = key_append(to, n->key, n->key_length);
        to = key_append(to, n->value->bytes, n->value->length);
    }
    b.crc = scan_batch_crc(journal->id, journal->buffer, length);
    memcpy(journal->buffer, &b, sizeof(b));
}

int
deferred_journal_append(struct deferred *d)
{
    struct journal *journal = &d->journal;
    size_t length = batch_length(d->recent);
    int rc = 0;

    assert(journal->state == JOURNAL_READY);
    if (length > JOURNAL_BATCH_MAX || length > JOURNAL_SIZE - journal->at) {
        return DEFERRED_DIRECT;
    }
    if (journal->at == JOURNAL_START) {
        /* This overwrites batches: deferred.mdb must have them on the disk. */
        rc = deferred_sync_commits(d);
    }
    if (rc) {
        return rc;
    }
    encode_batch(journal, d->recent, length);
    rc = write_at(journal->file.fd, journal->buffer, length, journal->at);
    if (rc) {
        journal->next++; /* a part of the batch must never count */
        if (journal->at == JOURNAL_START) {
            /* Others continue from the number in deferred.mdb. */
            deferred_journal_set_state(d, JOURNAL_UNUSABLE);
        }
        return DEFERRED_DIRECT;
    }
    recent_keep(d->recent);
    journal->next++;
    journal->at += (length + JOURNAL_STEP - 1) / JOURNAL_STEP * JOURNAL_STEP;
    return 0;
}

/* Writes everything again, because after a failed sync Linux may mark pages
 * clean. */
int
deferred_journal_rewrite(struct deferred *d)
{
    struct journal *journal = &d->journal;
    size_t at = 0;
    int rc = 0;

    while (!rc && at < journal->at) {
        size_t left = journal->at - at;
        ssize_t n = pread(journal->file.fd, journal->buffer,
                          left < JOURNAL_BATCH_MAX ? left : JOURNAL_BATCH_MAX,
                          (off_t)at);

        if (n <= 0) {
            return n ? errno : 0;
        }
        rc = write_at(journal->file.fd, journal->buffer, (size_t)n, at);
        at += (size_t)n;
    }
    return rc == EFBIG ? 0 : rc; /* RLIMIT_FSIZE forbids it */
}
