/* Waits for the disk: one thread syncs for all threads that arrived before it
 * began, and a failed sync is repaired.
 *
 * After a failed fdatasync Linux may mark the pages clean, and it reports the
 * failure once.  So every thread that waited gets the failure, and the pages
 * are written again before anything relies on them. */
#include "file.h"

#include <errno.h>
#include <unistd.h>

#include "store/pages/pages_file.h"
#include "check.h"

int
deferred_sync_fd(int fd)
{
    int rc;

    do {
        rc = fd >= 0 && fdatasync(fd) ? errno : 0;
    } while (rc == EINTR);
    return rc;
}

/* ---- together with other threads ---- */

/* A thread that waits until its earlier writes are on the disk. */
struct flush {
    int journal_fd, file_fd; /* -1: not this one */
    struct flush *next;
    bool done;
    int rc;
};

static int
sync_files_of(const struct flush *list)
{
    int journal_fd = -1, file_fd = -1, rc;

    for (; list; list = list->next) {
        journal_fd = list->journal_fd >= 0 ? list->journal_fd : journal_fd;
        file_fd = list->file_fd >= 0 ? list->file_fd : file_fd;
    }
    rc = deferred_sync_fd(journal_fd);
    return rc ? rc : deferred_sync_fd(file_fd);
}

static void
finish_flushes(struct flush *list, int rc)
{
    for (; list; list = list->next) {
        list->rc = rc;
        list->done = true;
    }
}

/* Syncs for all threads in the list.  Threads that arrive meanwhile wait for
 * the next sync. */
static void
lead_flush(struct deferred *d)
{
    struct flush *list = d->flush.first;
    int rc;

    d->flush.first = NULL;
    d->flush.running = true;
    pthread_mutex_unlock(&d->mutex);
    rc = sync_files_of(list);
    pthread_mutex_lock(&d->mutex);
    d->flush.running = false;
    finish_flushes(list, rc);
    if (rc) {
        /* The failure may concern their data too, and the kernel reports it
         * only once. */
        finish_flushes(d->flush.first, rc);
        d->flush.first = NULL;
    }
    pthread_cond_broadcast(&d->flush.done);
}

int
deferred_flush(struct deferred *d, int journal_fd, int file_fd)
{
    struct flush mine = {.journal_fd = journal_fd, .file_fd = file_fd};

    d->flush.threads++;
    mine.next = d->flush.first;
    d->flush.first = &mine;
    while (!mine.done) {
        if (d->flush.running) {
            pthread_cond_wait(&d->flush.done, &d->mutex);
        } else {
            lead_flush(d);
        }
    }
    if (mine.rc) {
        atomic_store(&d->journal.failed, true);
        atomic_store(&d->file.failed, true);
    }
    d->flush.threads--;
    pthread_cond_broadcast(&d->flush.done);
    return mine.rc;
}

int
deferred_flush_journal(struct deferred *d)
{
    int rc;

    pthread_mutex_lock(&d->mutex);
    rc = deferred_flush(d, d->journal.file.fd, -1);
    pthread_mutex_unlock(&d->mutex);
    return rc;
}

void
deferred_wait_flushed(struct deferred *d)
{
    pthread_mutex_lock(&d->mutex);
    while (d->flush.threads) {
        pthread_cond_wait(&d->flush.done, &d->mutex);
    }
    pthread_mutex_unlock(&d->mutex);
}

/* ---- deferred.mdb ---- */

/* Writes the two meta pages again.  LMDB waited for all other pages of a
 * commit. */
static int
rewrite_metas(struct deferred *d)
{
    uint8_t meta[PAGE_META_SIZE];
    int fd, rc = d->file.env ? mdb_env_get_fd(d->file.env, &fd) : MDB_PANIC;

    for (int i = 0; i < 2 && !rc; i++) {
        const off_t at = (off_t)d->file.pages->page_size * i;

        if (pread(fd, meta, sizeof(meta), at) != sizeof(meta) ||
            pwrite(fd, meta, sizeof(meta), at) != sizeof(meta)) {
            rc = EIO;
        }
    }
    deferred_check_touched(d);
    return rc ? rc : deferred_sync_fd(fd);
}

int
deferred_retry_sync(struct deferred *d)
{
    int rc = 0;

    if (atomic_exchange(&d->file.failed, false)) {
        rc = rewrite_metas(d);
    }
    if (rc) {
        atomic_store(&d->file.failed, true);
    }
    return rc;
}

int
deferred_sync_commits(struct deferred *d)
{
    int fd, rc = mdb_env_get_fd(d->file.env, &fd);

    rc = rc ? rc : deferred_sync_fd(fd);
    if (rc) {
        atomic_store(&d->file.failed, true);
    }
    return deferred_retry_sync(d);
}
