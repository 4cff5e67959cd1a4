/* Makes the changes of many threads in one transaction.
 *
 * A thread adds its change to a list.  One of the threads, the leader, takes
 * the file lock, then all changes in the list, makes them in one transaction
 * and hands the lead over.  Then each thread of a durable change waits for the
 * disk, while the next leader works; one of them syncs for all.  So a commit
 * costs the same for one thread as for many.
 *
 * Calls go one way:
 *
 *   batch --> fold --> file --> follow --> journal --> sync --> check
 *     |         |                  |
 *     +-> repair +-> tree          +-> scan
 *            `-> tree --> view --> recent (records in memory) */
#include "change.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file_limit.h"
#include "store/file/place.h"
#include "store/pages/pages_file.h"
#include "check.h"
#include "file.h"
#include "recent.h"
#include "tree.h"

enum {
    BATCH_MAX = 256,
    BATCH_BYTES = 32 << 20,
    GONE_MAX = 256,
    CHANGE_BYTES = 256 << 10, /* pages that one change may write again */
};

/* ---- one transaction ---- */

/* Applies all changes of a list.  A lease expires by the time of the call.
 * Everything else uses the leader's time, which is later than the time of all
 * earlier changes: a search for work continues from the last due time, and work
 * stored now must not be due before that; a lease given now must not begin
 * before the last lease ended. */
static int
apply_list(struct work *w, struct change *list)
{
    int rc = 0;

    for (struct change *c = list; c && !rc; c = c->next) {
        c->rc = 0;
        rc = c->apply(w, c);
        if (!rc && c->rc < 0) {
            snprintf(c->why, sizeof(c->why), "%s", place_why());
        }
    }
    return rc;
}

/* Applies the changes and writes meta.  DEFERRED_DIRECT, DEFERRED_REPAIR or a
 * result of LMDB: the transaction must be aborted. */
static int
apply_changes(struct work *w, struct change *list)
{
    int rc = tree_begin(w);

    rc = rc ? rc : apply_list(w, list);
    return !rc && w->changed ? tree_end(w) : rc;
}

/* Commits the transaction, or aborts it if rc is not 0 or nothing changed. */
static int
end_direct(struct work *w, int rc)
{
    struct deferred *d = w->d;

    if (rc || !w->changed) {
        mdb_txn_abort(w->txn);
        return rc;
    }
    d->leader.wrote_file = true;
    deferred_journal_set_state(d, JOURNAL_UNREAD);
    /* LMDB syncs the meta page too: if that fails, it takes the commit back,
     * which is impossible later. */
    mdb_env_set_flags(d->file.env, MDB_NOMETASYNC, 0);
    rc = deferred_commit(d, w->txn);
    if (!rc) {
        deferred_write_next(d, w->meta.next);
    }
    if (d->file.env) {
        mdb_env_set_flags(d->file.env, MDB_NOMETASYNC, 1);
    }
    return rc;
}

/* Changes deferred.mdb.  The journal must be empty. */
static int
change_file(struct deferred *d, struct change *list)
{
    struct work w = {.d = d, .now = d->leader.since, .direct = true};
    int rc = deferred_begin(d, &w.txn);

    return rc ? rc : end_direct(&w, apply_changes(&w, list));
}

/* Changes d->recent and adds that to the journal. */
static int
change_journal(struct deferred *d, struct change *list)
{
    struct work w = {.d = d, .now = d->leader.since};
    int rc = deferred_view(d);

    if (rc) {
        return rc;
    }
    rc = apply_changes(&w, list);
    if (!rc && w.changed) {
        rc = deferred_journal_append(d);
        d->leader.wrote_journal |= !rc;
        if (!rc) {
            deferred_write_next(d, w.meta.next);
        }
    }
    recent_undo(d->recent); /* does nothing after deferred_journal_append */
    return rc;
}

static bool
fits_journal(const struct change *list)
{
    size_t bytes = 0;

    for (; list; list = list->next) {
        bytes += list->grows;
    }
    return bytes <= JOURNAL_BATCH_MAX / 2;
}

static int
empty_journal(struct deferred *d)
{
    bool failed = atomic_exchange(&d->journal.failed, false);
    int rc = deferred_fold(d);

    /* Another process may not know that a sync of the journal failed, and rely
     * on its own sync after that: so deferred.mdb is synced here. */
    if (!rc && failed) {
        rc = deferred_sync_commits(d);
    }
    if (rc && failed) {
        atomic_store(&d->journal.failed, true);
    }
    return rc;
}

/* Reports whether the journal must be folded although there is room in it.
 * Many deleted records make it slow to find the first that exists. */
static bool
needs_fold(const struct deferred *d)
{
    return d->journal.slow || atomic_load(&d->journal.failed) ||
           recent_totals(d->recent).gone > GONE_MAX;
}

static bool
needs_sync(const struct change *list)
{
    while (list && (!list->durable || list->rc < 0)) {
        list = list->next;
    }
    return list != NULL;
}

/* Adds changes that need no sync to a journal that cannot be folded.  Returns
 * 0, or `rc`: why it cannot be. */
static int
change_unfolded(struct deferred *d, struct change *list, int rc)
{
    return !needs_sync(list) && !deferred_follow(d) &&
                   d->journal.state == JOURNAL_READY && !change_journal(d, list)
               ? 0
               : rc;
}

/* Makes all changes, or none and returns why. */
static int
change_all(struct deferred *d, struct change *list)
{
    int rc = d->journal.state == JOURNAL_UNREAD ? deferred_follow(d) : 0;
    bool journal;

    if (rc || d->journal.state == JOURNAL_UNSOUND) {
        return rc ? rc : DEFERRED_REPAIR;
    }
    journal = d->journal.state == JOURNAL_READY && fits_journal(list);
    if (journal && !needs_fold(d)) {
        rc = change_journal(d, list);
        if (rc != DEFERRED_DIRECT) {
            return rc;
        }
    }
    rc = empty_journal(d);
    if (rc) {
        return journal ? change_unfolded(d, list, rc) : rc;
    }
    rc = journal && d->journal.state == JOURNAL_READY ? change_journal(d, list)
                                                      : DEFERRED_DIRECT;
    return rc == DEFERRED_DIRECT ? change_file(d, list) : rc;
}

static int
repair_file(struct deferred *d)
{
    struct work w = {.d = d, .now = d->leader.since, .direct = true};
    int rc = deferred_fold(d);

    rc = rc ? rc : deferred_begin(d, &w.txn);
    if (rc) {
        return rc;
    }
    d->journal.next += d->journal.cut > 0; /* a batch that was cut is void */
    rc = tree_repair(&w);
    d->check.unread = false;
    rc = end_direct(&w, rc ? rc : tree_end(&w));
    return !rc && d->journal.cut && ftruncate(d->journal.file.fd, JOURNAL_SIZE)
               ? errno
               : rc;
}

/* Verifies all records, once after the pages were verified: something else than
 * the queue may have changed the file. */
static int
verify_records(struct deferred *d)
{
    struct work w = {.d = d, .now = d->leader.since};
    struct verify v = {.heads = 0};
    int rc = d->check.unread ? deferred_view(d) : 0;

    if (rc || !d->check.unread) {
        return rc;
    }
    rc = tree_verify(&w, &v);
    if (!rc && (v.damaged || v.unlisted || v.heads != v.places ||
                v.heads != v.counted || v.keyed != v.keys)) {
        return DEFERRED_REPAIR;
    }
    if (!rc) {
        deferred_check_read(d);
    }
    return rc;
}

static int
change_or_repair(struct deferred *d, struct change *list)
{
    int rc = d->file.env ? verify_records(d) : MDB_PANIC;

    rc = rc ? rc : change_all(d, list);

    /* Twice: what a change finds, and deferred_repair. */
    for (int i = 0; i < 2 && rc == DEFERRED_REPAIR; i++) {
        rc = repair_file(d);
        rc = rc ? rc : change_all(d, list);
    }
    return rc;
}

/* ---- a batch ---- */

static void
fail_list(struct change *list, int rc)
{
    for (; list; list = list->next) {
        list->rc = rc;
        snprintf(list->why, sizeof(list->why), "%s", place_why());
    }
}

/* Reserves disk space for the changes, and for the journal's records, which go
 * into deferred.mdb later. */
static int
reserve_space(struct deferred *d, const struct change *list)
{
    size_t bytes = 0, more = d->recent ? recent_totals(d->recent).bytes : 0;
    int rc;

    for (; list; list = list->next) {
        bytes += list->grows ? list->grows + CHANGE_BYTES : 0;
    }
    rc = deferred_reserve(d, bytes ? bytes + more : 0);
    if (rc && bytes && more && !empty_journal(d)) {
        rc = deferred_reserve(d, bytes); /* `more` was an upper bound */
    }
    return rc;
}

/* Makes one change in a transaction of its own. */
static void
make_change_alone(struct deferred *d, struct change *c)
{
    struct change *next = c->next;
    int rc = d->file.env ? 0 : deferred_reopen(d);

    c->next = NULL;
    rc = rc ? rc : reserve_space(d, c);
    if (!rc) {
        rc = change_or_repair(d, c);
        rc = rc ? deferred_from_lmdb(d, rc) : 0;
    }
    if (rc) {
        fail_list(c, rc);
    }
    c->next = next;
}

/* Makes all changes in one transaction.  If that fails, as on a full disk, each
 * is made alone, so that a change fails only for its own reason. */
static void
make_batch(struct deferred *d, struct change *list)
{
    if (list->next && d->file.env && !reserve_space(d, list) &&
        !change_or_repair(d, list)) {
        return;
    }
    for (struct change *c = list; c; c = c->next) {
        make_change_alone(d, c);
    }
}

static struct change *
take_batch(struct deferred *d)
{
    struct change *list = d->wanted.first, **end = &list;
    size_t count = 0, bytes = 0;

    assert(list);
    while (*end && count < BATCH_MAX && (!count || bytes < BATCH_BYTES)) {
        bytes += (*end)->grows;
        count++;
        end = &(*end)->next;
    }
    d->wanted.first = *end;
    if (!d->wanted.first) {
        d->wanted.end = &d->wanted.first;
    }
    *end = NULL;
    return list;
}

/* Syncs a batch.  A failure is noted in every durable change.  Called with
 * d->mutex held, which is released while it waits. */
static void
sync_batch(struct deferred *d, struct change *list, int journal_fd, int file_fd)
{
    int rc = deferred_flush(d, journal_fd, file_fd);

    for (; rc && list; list = list->next) {
        if (list->durable && list->rc >= 0) {
            list->disk = place_failed(d->path, rc);
            snprintf(list->why, sizeof(list->why), "%s", place_why());
        }
    }
}

/* Makes a batch of changes and returns it.  Called with d->mutex held, which is
 * released while it works; other threads lead while it waits for the disk. */
static struct change *
lead_batch(struct deferred *d)
{
    struct change *list;
    int journal_fd = -1, file_fd = -1, rc;
    bool sync;

    assert(!d->wanted.led);
    d->wanted.led = true;
    pthread_mutex_unlock(&d->mutex);
    rc = deferred_lock(d);
    pthread_mutex_lock(&d->mutex);
    list = take_batch(d);
    pthread_mutex_unlock(&d->mutex);
    d->leader.wrote_journal = d->leader.wrote_file = false;
    if (rc) {
        fail_list(list, rc);
    } else {
        deferred_time(d, &d->leader.since);
        make_batch(d, list);
        deferred_unlock(d);
    }
    sync = !rc && needs_sync(list);
    /* If nothing was written, syncs both: the data that this batch read may not
     * be on the disk yet. */
    if (sync && (d->leader.wrote_journal || !d->leader.wrote_file)) {
        journal_fd = d->journal.file.fd;
    }
    /* Not LMDB's own descriptor: LMDB's next commit would get the failure
     * instead of this sync. */
    if (sync && !d->leader.wrote_file && !d->leader.wrote_journal) {
        file_fd = d->file.pages->fd;
    }
    pthread_mutex_lock(&d->mutex);
    d->wanted.led = false;
    if (d->wanted.first) {
        pthread_cond_signal(&d->wanted.first->turn);
    }
    if (sync) {
        sync_batch(d, list, journal_fd, file_fd);
    }
    return list;
}

static void
finish_batch(struct change *list)
{
    for (; list; list = list->next) {
        list->done = true;
        pthread_cond_signal(&list->turn);
    }
}

int
deferred_submit(struct deferred *d, struct change *c)
{
    struct file_limit limit;
    struct deferred_now now;
    int state;

    deferred_time(d, &now);
    c->boottime_ns = now.boottime_ns;
    c->done = false;
    c->disk = 0;
    c->next = NULL;
    c->why[0] = c->why[sizeof(c->why) - 1] = '\0';
    pthread_cond_init(&c->turn, NULL);
    /* Other threads hold a pointer to this stack: no cancellation. */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    file_limit_begin(&limit);
    pthread_mutex_lock(&d->mutex);
    *d->wanted.end = c;
    d->wanted.end = &c->next;
    while (!c->done) {
        if (!d->wanted.led && d->wanted.first) {
            finish_batch(lead_batch(d));
        } else {
            pthread_cond_wait(&c->turn, &d->mutex);
        }
    }
    pthread_mutex_unlock(&d->mutex);
    pthread_cond_destroy(&c->turn);
    file_limit_end(&limit);
    pthread_setcancelstate(state, NULL);
    if (c->rc < 0) {
        place_say(c->rc, "%s", c->why);
    }
    return c->rc;
}
