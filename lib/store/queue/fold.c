/* Moves the records of the journal into deferred.mdb, in one commit.  Without
 * disk space for its pages, moves a few records at a time, because each commit
 * frees pages for the next.  The mark comes last: without it the journal is
 * read from its beginning and replaces the part that was moved. */
#include "journal.h"

#include <errno.h>
#include <unistd.h>

#include "check.h"
#include "file.h"
#include "recent.h"
#include "tree.h"

enum { FOLD_FEW = 4 };

int
deferred_commit(struct deferred *d, MDB_txn *txn)
{
    int rc = deferred_retry_sync(d);

    if (rc) {
        mdb_txn_abort(txn);
        deferred_journal_set_state(d, JOURNAL_UNREAD);
        return rc;
    }
    deferred_check_commit(d);
    rc = mdb_txn_commit(txn);
    pages_view_reset(&d->view);
    deferred_check_committed(d);
    d->journal.base = d->check.stamp;
    if (rc) {
        atomic_store(&d->file.failed, true); /* the disk may have failed */
        deferred_journal_set_state(d, JOURNAL_UNREAD);
        if (deferred_reopen(d)) {
            return MDB_PANIC; /* some failures end an LMDB environment */
        }
    }
    return rc;
}

struct fold {
    struct deferred *d;
    MDB_txn *txn;
    size_t at, end; /* the next record, and the number of them */
    bool deletes;   /* deletes now, then puts: deletes free pages */
    bool marks;     /* writes the mark at the end; not for an unsound journal */
};

static int
fold_record(struct fold *f)
{
    const struct recent_node *n = recent_at(f->d->recent, f->at);
    MDB_val k = lmdb_val(n->key, n->key_length), v;
    int rc = 0;

    if (n->value->kind == RECENT_HERE && !f->deletes) {
        v = lmdb_val(n->value->bytes, n->value->length);
        rc = mdb_put(f->txn, f->d->file.dbi, &k, &v, 0);
    }
    if (n->value->kind == RECENT_GONE && f->deletes) {
        rc = mdb_del(f->txn, f->d->file.dbi, &k, NULL);
        rc = rc == MDB_NOTFOUND ? 0 : rc;
    }
    return rc;
}

/* Moves up to `count` records in one commit, and the mark after the last. */
static int
fold_records(struct fold *f, size_t count)
{
    struct deferred *d = f->d;
    int rc = deferred_begin(d, &f->txn);

    if (rc) {
        return rc;
    }
    while (!rc && f->at < f->end && count--) {
        rc = fold_record(f);
        if (++f->at == f->end && f->deletes) {
            f->deletes = false;
            f->at = 0;
        }
    }
    if (!rc && f->at == f->end && f->marks) {
        struct work w = {.d = d, .txn = f->txn, .direct = true};

        rc = tree_put_mark(&w);
    }
    if (rc) {
        mdb_txn_abort(f->txn);
        return rc;
    }
    return deferred_commit(d, f->txn);
}

static int
fold_all(struct deferred *d, size_t count, bool marks)
{
    struct fold f = {.d = d,
                     .end = recent_totals(d->recent).count,
                     .deletes = true,
                     .marks = marks};
    int rc;

    do {
        rc = fold_records(&f, count);
    } while (!rc && f.at < f.end);
    return rc;
}

static bool
needs_room(int rc)
{
    return rc == ENOSPC || rc == EDQUOT || rc == EFBIG || rc == EIO ||
           rc == MDB_MAP_FULL || rc == MDB_TXN_FULL;
}

/* Reports whether the journal holds records that deferred.mdb lacks. */
static bool
has_batches(const struct deferred *d)
{
    return (d->journal.state == JOURNAL_READY ||
            d->journal.state == JOURNAL_UNSOUND) &&
           d->recent && d->journal.at != JOURNAL_START;
}

int
deferred_fold(struct deferred *d)
{
    struct recent_totals moved;
    enum journal_state state;
    int rc = d->file.env ? 0 : MDB_PANIC;

    if (!rc && d->journal.state == JOURNAL_UNREAD) {
        rc = deferred_follow(d);
    }
    if (rc || !has_batches(d)) {
        return rc;
    }
    state = d->journal.state; /* a commit that fails forgets it */
    moved = recent_totals(d->recent);
    rc = ENOSPC;
    /* LMDB writes changed pages to new places, at the end of the file if no
     * page is free. */
    if (deferred_may_grow(d, moved.bytes + 3 * (size_t)sysconf(_SC_PAGESIZE) *
                                               moved.count)) {
        rc = fold_all(d, SIZE_MAX, state == JOURNAL_READY);
    }
    if (needs_room(rc)) {
        /* The journal must be on the disk before a part of it is in
         * deferred.mdb. */
        rc = d->file.env ? deferred_journal_rewrite(d) : MDB_PANIC;
        rc = rc ? rc : deferred_flush_journal(d);
        rc = rc ? rc : fold_all(d, FOLD_FEW, state == JOURNAL_READY);
    }
    deferred_journal_set_state(d, JOURNAL_UNREAD);
    if (rc) {
        return rc;
    }
    deferred_forget_recent(d);
    d->journal.at = JOURNAL_START;
    d->journal.slow = false;
    if (d->recent) {
        deferred_journal_set_state(d, state);
    }
    return 0;
}
