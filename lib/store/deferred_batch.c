/* What threads want done goes into a list.  One of them, the leader, takes the
 * lock and then all that is in the list by now, does it in one transaction, and
 * gives the lead back; then each who promised durability waits for the disk,
 * while the next leader is at work.  So a commit costs the same for one thread
 * as for many. */
#include "store/deferred_inside.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "store/deferred_tree.h"

enum {
    BATCH_MAX = 256,
    BATCH_BYTES = 32 << 20,
    EACH_BYTES = 256 << 10, /* pages that one change may write anew */
};

/* ---- one transaction ---- */

static int
apply_all(struct work *w, struct change *list)
{
    struct change *c;
    int rc = 0;

    for (c = list; c && !rc; c = c->next) {
        w->now = c->now;
        c->rc = 0;
        rc = c->apply(w, c);
        if (!rc && c->rc < 0) {
            snprintf(c->why, sizeof(c->why), "%s", place_why());
        }
    }
    return rc;
}

static int
commit(struct deferred *d, MDB_txn *txn)
{
    int rc;

    deferred_commits(d);
    rc = mdb_txn_commit(txn);
    deferred_committed(d);
    if (rc && deferred_reopen(d)) {
        return MDB_PANIC; /* LMDB does not go on after some failures */
    }
    return rc;
}

static int
transact(struct deferred *d, struct change *list)
{
    struct work w = {.d = d, .now = list->now};
    int rc = d->env ? mdb_txn_begin(d->env, NULL, 0, &w.txn) : MDB_PANIC;

    if (rc) {
        return rc;
    }
    rc = tree_begin(&w);
    if (!rc) {
        rc = apply_all(&w, list);
    }
    if (!rc && w.changed) {
        rc = tree_end(&w);
    }
    if (rc || !w.changed) {
        mdb_txn_abort(w.txn);
        return rc;
    }
    return commit(d, w.txn);
}

static int
repair(struct deferred *d, const struct deferred_now *now)
{
    struct work w = {.d = d, .now = *now};
    int rc = mdb_txn_begin(d->env, NULL, 0, &w.txn);

    if (rc) {
        return rc;
    }
    rc = tree_repair(&w);
    if (!rc) {
        rc = tree_end(&w);
    }
    if (rc) {
        mdb_txn_abort(w.txn);
        return rc;
    }
    return commit(d, w.txn);
}

static int
try(struct deferred *d, struct change *list)
{
    int rc = transact(d, list);

    if (rc == DEFERRED_REPAIR) {
        rc = repair(d, &list->now);
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

static int
room_for(struct deferred *d, const struct change *list)
{
    size_t bytes = 0;

    for (; list; list = list->next) {
        bytes += list->grows ? list->grows + EACH_BYTES : 0;
    }
    return deferred_reserve(d, bytes);
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

static void
sync_for(struct deferred *d, int fd, struct change *list)
{
    int rc;

    do {
        rc = fdatasync(fd) ? errno : 0;
    } while (rc == EINTR);
    for (; rc && list; list = list->next) {
        if (list->durable && list->rc >= 0) {
            fail(list, place_failed(d->path, rc));
        }
    }
}

/* With d->mutex held, before and after; meanwhile others lead. */
static struct change *
lead(struct deferred *d)
{
    struct change *list;
    bool sync;
    int fd = -1, rc;

    d->led = true;
    pthread_mutex_unlock(&d->mutex);
    rc = deferred_lock(d);
    pthread_mutex_lock(&d->mutex);
    list = take_wanted(d);
    pthread_mutex_unlock(&d->mutex);
    if (rc) {
        fail_all(list, rc);
    } else {
        do_all(d, list);
        deferred_unlock(d);
    }
    sync = !rc && wants_disk(list) && d->env && !mdb_env_get_fd(d->env, &fd);
    pthread_mutex_lock(&d->mutex);
    d->syncing += sync;
    d->led = false;
    pthread_cond_broadcast(&d->turned);
    if (sync) {
        pthread_mutex_unlock(&d->mutex);
        sync_for(d, fd, list);
        pthread_mutex_lock(&d->mutex);
        d->syncing--;
    }
    return list;
}

static void
tell(struct deferred *d, struct change *list)
{
    while (list) {
        struct change *next = list->next; /* its owner goes on at once */

        list->done = true;
        list = next;
    }
    pthread_cond_broadcast(&d->turned);
}

int
deferred_do(struct deferred *d, struct change *c)
{
    int state;

    deferred_time(d, &c->now);
    c->done = false;
    c->next = NULL;
    c->why[0] = c->why[sizeof(c->why) - 1] = '\0';
    /* A thread must not vanish while others know of its change. */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    pthread_mutex_lock(&d->mutex);
    *d->wanted_end = c;
    d->wanted_end = &c->next;
    while (!c->done) {
        if (d->led) {
            pthread_cond_wait(&d->turned, &d->mutex);
        } else if (d->wanted) {
            tell(d, lead(d));
        } else {
            pthread_cond_wait(&d->turned, &d->mutex);
        }
    }
    pthread_mutex_unlock(&d->mutex);
    pthread_setcancelstate(state, NULL);
    if (c->rc < 0) {
        place_say(c->rc, "%s", c->why);
    }
    return c->rc;
}
