/* Opens the registry and its live file, and follows them when they appear, are
 * replaced or disappear.  Everything here runs under b->lock. */
#include "registry.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/paths.h"
#include "announce.h"

/* If a commit is not announced within this time, its writer is dead. */
#define ANNOUNCE_WITHIN_NS 200000000ull

/* A service that cannot read the registry says so again within this time. */
#define TROUBLE_FOR_NS 10000000000ull

/* A live file that cannot be opened is tried again after this time, because an
 * attempt to make it takes as long as thousands of calls. */
#define OPEN_AGAIN_NS 100000000ull

/* Snapshots that one check takes, 10 us each, and the time until it goes on. */
enum { SNAPSHOTS_AT_ONCE = 16 };
#define SNAPSHOTS_AGAIN_NS 10000000ull

/* ---- handles and cells ---- */

/* The cell in private live state for all names that get no cell of their own.
 * It is made first, while there is space. */
#define OVERFLOW "bide.overflow"

/* Opens b->own. */
static int
open_own(struct bide *b)
{
    struct live *l;
    uint32_t index;
    int rc;

    if (b->own) {
        return 0;
    }
    rc = live_open_private(&l);
    if (rc) {
        return rc;
    }
    rc = cell_find(l, OVERFLOW, "", true, &index);
    if (rc) {
        live_close(l);
        return rc;
    }
    b->own = l;
    return 0;
}

/* Finds a cell in the private live state.  Used if the registry has no live
 * file, or if that file has no free cell. */
static int
find_own(struct bide *b, struct bide_policy *p, uint32_t *out_index)
{
    uint32_t incarnation;
    int rc = open_own(b);

    if (rc) {
        return rc;
    }
    rc = cell_take(b->own, p->name, p->scope, out_index, &incarnation);
    if (rc == 0) {
        p->private_index = *out_index;
        return 0;
    }
    return cell_find(b->own, OVERFLOW, "", false, out_index);
}

/* Makes `index` of `l` the cell of `p`. */
static int
move_to_cell(struct bide_policy *p, struct live *l, uint32_t index,
             uint32_t incarnation)
{
    struct home *h = malloc(sizeof(*h));
    struct cell *c = cell_at(l, index);

    if (!h || !c) {
        free(h);
        return BIDE_ENOMEM;
    }
    *h = (struct home){l, index, atomic_load(&p->home)};
    store_release(&p->home, h);
    store_relaxed(&p->stripe_mask, live_stripes(l) - 1);
    for (int i = 0; i < STRIPE_MAX; i++) {
        store_relaxed(&p->stripe[i], NULL);
    }
    store_relaxed(&p->rings, NULL);
    store_relaxed(&p->limits, NULL);
    if (l == p->bide->own) {
        atomic_fetch_or(&p->local_gate, GATE_LOOKS);
    } else {
        atomic_fetch_and(&p->local_gate, ~(uint32_t)GATE_LOOKS);
    }
    store_release(&p->cell, c);
    /* Last: call_gate reads it before the cell. */
    store_release(&p->incarnation, incarnation);
    atomic_fetch_add(&p->moves, 1);
    cell_ask(c);
    if (!*p->scope || !cell_find(l, p->name, "", false, &index)) {
        live_ask(l, index); /* of all scopes */
    }
    return 0;
}

void
attach_leave(struct bide_policy *p)
{
    struct home *h = atomic_load(&p->home);

    while (h) {
        struct home *earlier = h->earlier;

        free(h);
        h = earlier;
    }
}

int
attach_policy(struct bide *b, struct bide_policy *p)
{
    struct live *l = b->live;
    uint32_t index, incarnation = 0;
    int rc = BIDE_EFULL;

    if (l != b->own) {
        rc = cell_take(l, p->name, p->scope, &index, &incarnation);
    }
    if (rc) {
        rc = find_own(b, p, &index);
        l = b->own;
    }
    return rc ? rc : move_to_cell(p, l, index, incarnation);
}

bool
attach_again(struct bide_policy *p)
{
    int rc, cancel;

    if (cell_use(atomic_load(&p->cell), atomic_load(&p->incarnation))) {
        return false;
    }
    cancel = lock_take(&p->bide->lock);
    rc = attach_policy(p->bide, p);
    if (rc) { /* no memory: counts nothing rather than for another name */
        struct stripe *scrap = live_scrap(atomic_load(&p->home)->live);

        for (int i = 0; i < STRIPE_MAX; i++) {
            atomic_store(&p->stripe[i], scrap);
        }
    }
    lock_release(&p->bide->lock, cancel);
    return rc == 0;
}

bool
attach_is_shared(const struct bide_policy *p)
{
    return p->private_index == UINT32_MAX &&
           atomic_load(&p->home)->live == p->bide->own;
}

struct stripe *
attach_stripe(struct bide_policy *p, uint32_t stripe)
{
    struct bide *b = p->bide;
    const struct home *h;
    struct stripe *s;
    int cancel;

    registry_revive(b); /* a child's first success comes here */
    cancel = lock_take(&b->lock);
    h = atomic_load(&p->home);
    stripe &= live_stripes(h->live) - 1;
    s = cell_stripe(h->live, h->index, stripe);
    if (s) {
        store_release(&p->stripe[stripe], s);
    } else {
        s = live_scrap(h->live); /* no space now: the next call asks again */
    }
    lock_release(&b->lock, cancel);
    return s;
}

/* ---- the live file ---- */

/* Adds the counts of the private live state to the shared one. */
static void
fold_own(struct bide *b)
{
    struct bide_policy *p;

    for (p = b->policies; p; p = p->next) {
        const struct home *h = atomic_load(&p->home);

        if (p->private_index != UINT32_MAX && h->live != b->own) {
            cell_fold(b->own, p->private_index, h->live, h->index);
        }
    }
}

/* Keeps the live file in use open until bide_close: calls in progress may still
 * use it. */
static int
retire_live(struct bide *b)
{
    struct live **r;

    if (!b->live || b->live == b->own) {
        return 0;
    }
    r = array_add(&b->retired, &b->retired_count, sizeof(*r));
    if (!r) {
        return BIDE_ENOMEM;
    }
    *r = b->live;
    return 0;
}

static int
use_live(struct bide *b, struct live *l)
{
    struct bide_policy *p;
    int rc = retire_live(b);

    if (rc) {
        return rc;
    }
    b->live = l;
    for (p = b->policies; p; p = p->next) {
        struct cell *old = atomic_load(&p->cell);

        /* If out of memory, keeps the old cell. */
        if (attach_policy(b, p) == 0) {
            cell_announce(old); /* its sleepers move to the new one */
        }
    }
    fold_own(b);
    watch_move(b);
    return 0;
}

static int
use_own(struct bide *b)
{
    int rc = open_own(b);

    if (rc == 0 && b->live != b->own) {
        rc = use_live(b, b->own);
    }
    return rc;
}

static bool
live_is_usable(const struct bide *b)
{
    return b->live && b->live != b->own && live_is_current(b->live) &&
           memcmp(b->id, reader_id(b->reader), sizeof(b->id)) == 0;
}

static int
attach_live(struct bide *b)
{
    struct live *l;
    int rc;

    if (live_is_usable(b)) {
        return 0;
    }
    if (b->live_rc && !b->own_clock &&
        clock_monotonic_ns() < b->live_again_ns) {
        return b->live_rc;
    }
    rc = paths_make_live(b->dir, reader_live_path(b->reader));
    rc = rc ? rc
            : live_open(reader_live_path(b->reader), reader_id(b->reader),
                        paths_private(b->dir) ? LIVE_FOR_GROUP : LIVE_FOR_ALL,
                        &l);
    if (rc == 0) {
        rc = use_live(b, l);
        if (rc) {
            live_close(l);
        } else {
            memcpy(b->id, reader_id(b->reader), sizeof(b->id));
        }
    }
    if (rc && (!b->live || b->live == b->own)) {
        use_own(b);
    }
    b->live_rc = rc;
    b->live_again_ns = clock_monotonic_ns() + OPEN_AGAIN_NS;
    return rc;
}

/* ---- the registry ---- */

/* Announces commit `txn` if it was not announced within ANNOUNCE_WITHIN_NS: its
 * writer was killed before it could, or an older registry was put back.
 * `before` is the commit that was announced before `txn` was read: it is above
 * `txn` only if it was lost. */
static void
announce_for_others(struct bide *b, uint64_t txn, uint64_t before)
{
    uint64_t now;

    if (b->live == b->own || (before <= txn && announced(b->live) >= txn)) {
        return;
    }
    now = clock_monotonic_ns();
    if (b->unannounced_txn != txn) {
        b->unannounced_txn = txn;
        b->unannounced_ns = now;
    } else if (now - b->unannounced_ns > ANNOUNCE_WITHIN_NS) {
        announce(b->live, b->reader, NULL, txn);
    }
}

/* Notes the stamp of the registry.  A file that was written without a new
 * commit has other contents: a copy was put in its place.  Handles in b->own
 * need each new commit, because nobody announces it there. */
static void
note_stamp(struct bide *b, const struct pages_stamp *now)
{
    const struct pages_stamp *before = &b->stamp;

    if (now->device != before->device || now->inode != before->inode ||
        (now->changed_ns != before->changed_ns && now->txn <= before->txn) ||
        (b->own && now->txn != before->txn)) {
        b->replaced++;
    }
    b->stamp = *now;
}

/* Opens b->reader if necessary and sets *out_txn to the last commit.  A
 * registry that was replaced is opened again. */
static int
find_last_commit(struct bide *b, uint64_t *out_txn)
{
    struct pages_stamp stamp;
    int rc = BIDE_EMISSING;

    if (b->reader) {
        rc = reader_look(b->reader, &stamp);
    }
    if (rc == BIDE_EMISSING) { /* not open yet, or replaced */
        reader_close(b->reader);
        b->reader = NULL;
        rc = reader_open(b->dir, &b->reader);
        rc = rc ? rc : reader_look(b->reader, &stamp);
    }
    if (rc == 0) {
        note_stamp(b, &stamp);
        *out_txn = stamp.txn;
    }
    return rc;
}

/* Reports whether the trouble in the live file is over: this process was in it,
 * or the one that was did not repeat it, as it does every 5 s. */
static bool
is_trouble_over(const struct bide *b, int before)
{
    const struct live_header *h = live_header(b->live);

    return !b->unread &&
           (before || (atomic_load(&h->trouble) &&
                       clock_realtime_ns() - atomic_load(&h->trouble_ns) >
                           TROUBLE_FOR_NS));
}

/* Takes snapshots of the cells in use, for the figures of the last minute: of
 * some now, of the others soon, because a call is waiting for this. */
static void
take_snapshots(struct bide *b)
{
    struct bide_policy *p = b->snapshot_next ? b->snapshot_next : b->policies;
    uint64_t now;

    if (b->live == b->own) {
        return;
    }
    now = clock_monotonic_ns();
    if (now < b->snapshot_ns) {
        return;
    }
    live_check_owner(b->live, false);
    for (int i = 0; p && i < SNAPSHOTS_AT_ONCE; i++, p = p->next) {
        const struct home *h = atomic_load(&p->home);

        if (h->live == b->live) {
            cell_snapshot(b->live, h->index, now);
        }
    }
    b->snapshot_next = p;
    b->snapshot_ns = now + (p ? SNAPSHOTS_AGAIN_NS : LOOK_EVERY_NS);
    if (p) {
        atomic_store(&b->look_at,
                     registry_ticks(b) +
                         clock_to_ticks(b->scale, SNAPSHOTS_AGAIN_NS));
    }
}

int
attach_registry(struct bide *b, uint64_t *out_txn)
{
    uint64_t txn = 0;
    uint64_t newest = b->live && b->live != b->own ? announced(b->live) : 0;
    int rc = find_last_commit(b, &txn), live_rc = 0;
    int before = atomic_load(&b->status);

    registry_set_look(b);
    if (b->reader && !b->is_private) {
        live_rc = attach_live(b);
    } else if (!b->live) {
        live_rc = use_own(b);
    }
    if (rc == 0) {
        announce_for_others(b, txn, newest);
        *out_txn = txn;
    } else if (b->live != b->own) {
        live_note_trouble(b->live, rc);
    }
    if (rc == 0 && b->live != b->own && is_trouble_over(b, before)) {
        live_note_trouble(b->live, 0);
    }
    atomic_store(&b->status, rc ? rc : live_rc);
    take_snapshots(b);
    return rc;
}

void
attach_close(struct bide *b)
{
    if (b->own && b->live != b->own) {
        fold_own(b); /* counts of calls that ended late */
    }
    while (b->retired_count) {
        live_close(b->retired[--b->retired_count]);
    }
    free(b->retired);
    if (b->live != b->own) {
        live_close(b->live);
    }
    live_close(b->own);
    reader_close(b->reader);
}
