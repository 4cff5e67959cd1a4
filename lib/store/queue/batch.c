/* What threads want done goes into a list.  One of them, the leader, takes the
 * lock and then all that is in the list by now, does it in one transaction, and
 * gives the lead back; then each who promised durability waits for the disk,
 * while the next leader is at work, and one of those who wait flushes for all.
 * So a commit costs the same for one thread as for many. */
#include "inside.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "store/file/place.h"
#include "store/pages/pages_file.h"
#include "recent.h"
#include "tree.h"

enum {
    BATCH_MAX = 256,
    BATCH_BYTES = 32 << 20,
    GONE_MAX = 256,
    EACH_BYTES = 256 << 10, /* pages that one change may write anew */
};

/* ---- one transaction ---- */

/* Whether a lease has ended is told by the time of the call.  All else goes by
 * that of the leader, who has the lock: who looks for work goes on from what
 * was due last, and what was put by now must not stand before that. */
static int
apply_all(struct work *w, struct change *list)
{
    struct change *c;
    int rc = 0;

    for (c = list; c && !rc; c = c->next) {
        w->now.boottime_ns = c->boottime_ns;
        c->rc = 0;
        rc = c->apply(w, c);
        if (!rc && c->rc < 0) {
            snprintf(c->why, sizeof(c->why), "%s", place_why());
        }
    }
    return rc;
}

/* Into what `w` is about: DEFERRED_DIRECT, DEFERRED_REPAIR. */
static int
apply(struct work *w, struct change *list)
{
    int rc = tree_begin(w);

    if (!rc) {
        rc = apply_all(w, list);
    }
    return !rc && w->changed ? tree_end(w) : rc;
}

/* What was done to deferred.mdb itself, unless it failed or nothing was. */
static int
commit_file(struct work *w, int rc)
{
    struct deferred *d = w->d;

    if (rc || !w->changed) {
        mdb_txn_abort(w->txn);
        return rc;
    }
    d->wrote_file = true;
    d->journal.followed = false;
    return deferred_commit(d, w->txn);
}

/* Into deferred.mdb itself; there is nothing in the journal. */
static int
change_file(struct deferred *d, struct change *list)
{
    struct work w = {.d = d, .now = d->led_at, .direct = true};
    int rc = mdb_txn_begin(d->env, NULL, 0, &w.txn);

    if (rc) {
        return rc;
    }
    return commit_file(&w, apply(&w, list));
}

static int
change_journal(struct deferred *d, struct change *list)
{
    struct work w = {.d = d, .now = d->led_at};
    int rc = mdb_txn_begin(d->env, NULL, MDB_RDONLY, &w.txn);

    if (rc) {
        return rc;
    }
    rc = apply(&w, list);
    if (!rc && w.changed) {
        rc = deferred_journal_append(d);
        d->wrote_journal |= !rc;
    }
    recent_undo(d->recent); /* what was not kept */
    mdb_txn_abort(w.txn);
    return rc;
}

static bool
is_short(const struct change *list)
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

    /* Who wrote there before may not know of the failure, and trust a flush of
     * the journal that comes after. */
    if (!rc && failed) {
        rc = deferred_sync_commits(d);
    }
    if (rc && failed) {
        atomic_store(&d->journal.failed, true);
    }
    return rc;
}

/* Where so many are gone, it takes long to find the first that is there. */
static bool
is_worn(const struct deferred *d)
{
    return d->journal.slow || atomic_load(&d->journal.failed) ||
           recent_gone(d->recent) > GONE_MAX;
}

static int
transact(struct deferred *d, struct change *list)
{
    int rc = d->journal.followed ? 0 : deferred_follow(d);
    bool journal = !rc && d->journal.usable && is_short(list);

    if (rc || d->journal.unsound) {
        return rc ? rc : DEFERRED_REPAIR;
    }
    if (journal && !is_worn(d)) {
        rc = change_journal(d, list);
        if (rc != DEFERRED_DIRECT) {
            return rc;
        }
    }
    rc = empty_journal(d);
    if (rc) {
        return rc;
    }
    rc = journal && d->journal.followed && d->journal.usable
             ? change_journal(d, list)
             : DEFERRED_DIRECT;
    return rc == DEFERRED_DIRECT ? change_file(d, list) : rc;
}

static int
repair(struct deferred *d)
{
    struct work w = {.d = d, .now = d->led_at, .direct = true};
    int rc = deferred_fold(d);

    rc = rc ? rc : mdb_txn_begin(d->env, NULL, 0, &w.txn);
    if (rc) {
        return rc;
    }
    rc = tree_repair(&w);
    return commit_file(&w, rc ? rc : tree_end(&w));
}

static int
try(struct deferred *d, struct change *list)
{
    int rc = d->env ? transact(d, list) : MDB_PANIC;

    if (rc == DEFERRED_REPAIR) {
        rc = repair(d);
        if (!rc) {
            rc = transact(d, list);
        }
    }
    return rc;
}

/* ---- a batch ---- */

static void
fail(struct change *c, int rc)
{
    c->rc = rc;
    snprintf(c->why, sizeof(c->why), "%s", place_why());
}

static void
fail_all(struct change *list, int rc)
{
    for (; list; list = list->next) {
        fail(list, rc);
    }
}

/* What is in the journal goes into the file some day as well. */
static int
room_for(struct deferred *d, const struct change *list)
{
    size_t bytes = 0, more = d->recent ? recent_bytes(d->recent) : 0;
    int rc;

    for (; list; list = list->next) {
        bytes += list->grows ? list->grows + EACH_BYTES : 0;
    }
    rc = deferred_reserve(d, bytes ? bytes + more : 0);
    if (rc && bytes && more && !empty_journal(d)) {
        rc = deferred_reserve(d, bytes); /* more than it takes was reckoned */
    }
    return rc;
}

/* By itself: 0, or why it was spoiled. */
static void
do_one(struct deferred *d, struct change *c)
{
    struct change *next = c->next;
    int rc = d->env ? 0 : deferred_reopen(d);

    c->next = NULL;
    rc = rc ? rc : room_for(d, c);
    if (!rc) {
        rc = try(d, c);
        rc = rc ? deferred_failed(d, rc) : 0;
    }
    if (rc) {
        fail(c, rc);
    }
    c->next = next;
}

/* What spoils the transaction for all, as a full disk does, is only its own
 * failure when each is tried alone. */
static void
do_all(struct deferred *d, struct change *list)
{
    struct change *c;

    if (list->next && d->env && !room_for(d, list) && !try(d, list)) {
        return;
    }
    for (c = list; c; c = c->next) {
        do_one(d, c);
    }
}

static struct change *
take_wanted(struct deferred *d)
{
    struct change *list = d->wanted, **end = &list;
    size_t count = 0, bytes = 0;

    while (*end && count < BATCH_MAX && (!count || bytes < BATCH_BYTES)) {
        bytes += (*end)->grows;
        count++;
        end = &(*end)->next;
    }
    d->wanted = *end;
    if (!d->wanted) {
        d->wanted_end = &d->wanted;
    }
    *end = NULL;
    return list;
}

static bool
wants_disk(const struct change *list)
{
    while (list && (!list->durable || list->rc < 0)) {
        list = list->next;
    }
    return list != NULL;
}

/* One who wants what was written by now to be on the disk; -1: not there. */
struct flush {
    int journal_fd, file_fd;
    struct flush *next;
    bool done;
    int rc;
};

static int
wait_for_disk(const struct flush *list)
{
    int journal_fd = -1, file_fd = -1, rc;

    for (; list; list = list->next) {
        journal_fd = list->journal_fd >= 0 ? list->journal_fd : journal_fd;
        file_fd = list->file_fd >= 0 ? list->file_fd : file_fd;
    }
    rc = deferred_sync_file(journal_fd);
    return rc ? rc : deferred_sync_file(file_fd);
}

static void
grant(struct flush *list, int rc)
{
    for (; list; list = list->next) {
        list->rc = rc;
        list->done = true;
    }
}

/* One thread flushes for all who came before it began; those who come meanwhile
 * are for the next.  By oneself each would not do: only the first who waits is
 * told of a failure.  With d->mutex held. */
static int
flush(struct deferred *d, struct flush *mine)
{
    struct flush *list;
    int rc;

    mine->next = d->flushes;
    d->flushes = mine;
    while (!mine->done) {
        if (d->flushing) {
            pthread_cond_wait(&d->synced, &d->mutex);
            continue;
        }
        list = d->flushes;
        d->flushes = NULL;
        d->flushing = true;
        pthread_mutex_unlock(&d->mutex);
        rc = wait_for_disk(list);
        pthread_mutex_lock(&d->mutex);
        d->flushing = false;
        grant(list, rc);
        if (rc) {
            grant(d->flushes, rc); /* what failed may have been theirs */
            d->flushes = NULL;
        }
        pthread_cond_broadcast(&d->synced);
    }
    if (mine->rc) {
        atomic_store(&d->journal.failed, true);
        atomic_store(&d->file_failed, true);
    }
    return mine->rc;
}

int
deferred_flush_journal(struct deferred *d)
{
    struct flush mine = {.journal_fd = d->journal.fd, .file_fd = -1};
    int rc;

    pthread_mutex_lock(&d->mutex);
    rc = flush(d, &mine);
    pthread_mutex_unlock(&d->mutex);
    return rc;
}

/* Where it failed, who waits for it is told so.  With d->mutex held, before and
 * after. */
static void
sync_for(struct deferred *d, struct change *list, int journal_fd, int file_fd)
{
    struct flush mine = {.journal_fd = journal_fd, .file_fd = file_fd};
    int rc;

    d->syncing++;
    rc = flush(d, &mine);
    pthread_mutex_unlock(&d->mutex);
    for (; rc && list; list = list->next) {
        if (list->durable && list->rc >= 0) {
            fail(list, place_failed(d->path, rc));
        }
    }
    pthread_mutex_lock(&d->mutex);
    d->syncing--;
    pthread_cond_broadcast(&d->synced);
}

/* With d->mutex held, before and after; meanwhile others lead. */
static struct change *
lead(struct deferred *d)
{
    struct change *list;
    int journal_fd = -1, file_fd = -1, rc;
    bool sync;

    d->led = true;
    pthread_mutex_unlock(&d->mutex);
    rc = deferred_lock(d);
    pthread_mutex_lock(&d->mutex);
    list = take_wanted(d);
    pthread_mutex_unlock(&d->mutex);
    d->wrote_journal = d->wrote_file = false;
    if (rc) {
        fail_all(list, rc);
    } else {
        deferred_time(d, &d->led_at);
        do_all(d, list);
        deferred_unlock(d);
    }
    sync = !rc && wants_disk(list);
    /* What was there already may be on its way to the disk as well. */
    if (sync && (d->wrote_journal || !d->wrote_file)) {
        journal_fd = d->journal.fd;
    }
    /* Not LMDB's own descriptor: its commits would be told of a failure in our
     * place. */
    if (sync && (d->wrote_file || !d->wrote_journal)) {
        file_fd = d->pages->fd;
    }
    pthread_mutex_lock(&d->mutex);
    d->led = false;
    if (d->wanted) {
        pthread_cond_signal(&d->wanted->turn);
    }
    if (sync) {
        sync_for(d, list, journal_fd, file_fd);
    }
    return list;
}

static void
tell(struct change *list)
{
    for (; list; list = list->next) {
        list->done = true;
        pthread_cond_signal(&list->turn);
    }
}

int
deferred_do(struct deferred *d, struct change *c)
{
    struct deferred_now now;
    int state;

    deferred_time(d, &now);
    c->boottime_ns = now.boottime_ns;
    c->done = false;
    c->next = NULL;
    c->why[0] = c->why[sizeof(c->why) - 1] = '\0';
    pthread_cond_init(&c->turn, NULL);
    /* A thread must not vanish while others know of its change. */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    pthread_mutex_lock(&d->mutex);
    *d->wanted_end = c;
    d->wanted_end = &c->next;
    while (!c->done) {
        if (!d->led && d->wanted) {
            tell(lead(d));
        } else {
            pthread_cond_wait(&c->turn, &d->mutex);
        }
    }
    pthread_mutex_unlock(&d->mutex);
    pthread_cond_destroy(&c->turn);
    pthread_setcancelstate(state, NULL);
    if (c->rc < 0) {
        place_say(c->rc, "%s", c->why);
    }
    return c->rc;
}
