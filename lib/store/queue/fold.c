/* What is in the journal goes into deferred.mdb: in one commit, or where there
 * is no room for the pages that takes, a few records at a time, so that pages
 * are freed in between.  While only a part is there, the journal covers it: it
 * is read again from its beginning until the mark is there, which comes last.
 */
#include "inside.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "recent.h"
#include "tree.h"

enum { PIECE = 4 };

int
deferred_commit(struct deferred *d, MDB_txn *txn)
{
    int rc = deferred_mend(d);

    if (rc) {
        mdb_txn_abort(txn);
        d->journal.followed = false;
        return rc;
    }
    deferred_commits(d);
    rc = mdb_txn_commit(txn);
    deferred_committed(d);
    d->journal.base = d->stamp;
    if (rc) {
        atomic_store(&d->file_failed, true); /* it may have been the disk */
        d->journal.followed = false;
        if (deferred_reopen(d)) {
            return MDB_PANIC; /* LMDB does not go on after some failures */
        }
    }
    return rc;
}

struct fold {
    struct deferred *d;
    MDB_txn *txn;
    const struct recent_node *at;
    bool deletes; /* those come first: they free pages */
};

static int
fold_one(struct fold *f)
{
    const struct recent_node *n = f->at;
    MDB_val k = lmdb_val(n->key, n->key_length), v;
    int rc = 0;

    if (n->value->kind == RECENT_HERE && !f->deletes) {
        v = lmdb_val(n->value->bytes, n->value->length);
        rc = mdb_put(f->txn, f->d->dbi, &k, &v, 0);
    }
    if (n->value->kind == RECENT_GONE && f->deletes) {
        rc = mdb_del(f->txn, f->d->dbi, &k, NULL);
        rc = rc == MDB_NOTFOUND ? 0 : rc;
    }
    return rc;
}

/* Up to so many records, and the mark after the last of them. */
static int
fold_some(struct fold *f, size_t count)
{
    struct deferred *d = f->d;
    int rc = mdb_txn_begin(d->env, NULL, 0, &f->txn);

    if (rc) {
        return rc;
    }
    while (!rc && f->at && count--) {
        rc = fold_one(f);
        f->at = f->at->next[0];
        if (!f->at && f->deletes) {
            f->deletes = false;
            f->at = recent_seek(d->recent, NULL, 0);
        }
    }
    if (!rc && !f->at && !d->journal.unsound) {
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
fold_all(struct deferred *d, size_t count)
{
    struct fold f = {.d = d, .deletes = true};
    int rc;

    f.at = recent_seek(d->recent, NULL, 0);
    do {
        rc = fold_some(&f, count);
    } while (!rc && f.at);
    return rc;
}

static bool
needs_room(int rc)
{
    return rc == ENOSPC || rc == EDQUOT || rc == EFBIG || rc == EIO ||
           rc == MDB_MAP_FULL || rc == MDB_TXN_FULL;
}

/* Pages that are touched are written anew, at the end where none are free. */
static bool
may_grow(struct deferred *d)
{
    size_t bytes = recent_bytes(d->recent) +
                   3 * (size_t)sysconf(_SC_PAGESIZE) * recent_count(d->recent);

    return deferred_may_grow(d, bytes);
}

/* A child that is forked meanwhile does not find it half freed. */
void
deferred_forget_recent(struct deferred *d)
{
    struct recent *old = d->recent;

    d->recent = NULL;
    recent_free(old);
    d->recent = recent_new();
}

int
deferred_fold(struct deferred *d)
{
    int rc = d->env ? 0 : MDB_PANIC;

    if (!rc && !d->journal.followed) {
        rc = deferred_follow(d);
    }
    if (rc) {
        return rc;
    }
    rc = ENOSPC;
    if (!d->journal.usable || !d->recent || d->journal.at == JOURNAL_START) {
        return 0;
    }
    if (may_grow(d)) {
        rc = fold_all(d, SIZE_MAX);
    }
    if (needs_room(rc)) {
        /* A part of what is not on the disk must not be there alone. */
        rc = d->env ? deferred_journal_rewrite(d) : MDB_PANIC;
        rc = rc ? rc : deferred_flush_journal(d);
        rc = rc ? rc : fold_all(d, PIECE);
    }
    if (rc) {
        d->journal.followed = false;
        return rc;
    }
    deferred_forget_recent(d);
    d->journal.at = JOURNAL_START;
    d->journal.slow = false;
    d->journal.followed = d->recent != NULL;
    return 0;
}
