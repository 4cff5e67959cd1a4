/* Deferred work of a policy: bide_defer, bide_deferred_take and their like, on
 * the queue of lib/store/queue.  The queue is opened on first use.
 *
 * Consumers that wait for work sleep on the word `arrivals` of a cell.  They
 * look at the queue at least every LOOK_EVERY_NS: a process that stored work
 * may have been killed before it could wake them, or have a private live
 * state. */
#include "defer.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "call.h"

enum { TAKE_MAX = 256 }; /* pieces that one bide_deferred_take takes */

/* ---- the queue ---- */

/* Reads the caller's clock for the queue. */
static void
read_own_clock(void *arg, struct deferred_now *out)
{
    const struct bide *b = arg;
    uint64_t now = b->clock.now_ns(b->clock.arg);

    out->realtime_ns = out->boottime_ns = out->monotonic_ns = now;
}

/* Returns the queue, opened on first use, in *out: owned by `b`. */
static int
open_queue(struct bide *b, struct deferred **out)
{
    int rc = 0, cancel;

    registry_revive(b);
    cancel = lock_take(&b->defer_lock);
    if (!b->deferred) {
        rc = deferred_open(b->dir, &b->deferred);
        if (!rc && b->own_clock) {
            deferred_set_clock(b->deferred, read_own_clock, b);
        }
    }
    lock_release(&b->defer_lock, cancel);
    if (!rc) {
        *out = b->deferred;
    }
    return rc;
}

/* Opens the queue and reads the rules for deferred work that are in force now.
 */
static int
open_queue_and_rules(struct bide_policy *p, struct deferred **out_queue,
                     struct defer_rules *out_rules)
{
    int rc = open_queue(p->bide, out_queue);
    struct rules *r;

    if (rc) {
        return rc;
    }
    r = rules_take(p);
    if (!r) {
        return BIDE_ENOMEM;
    }
    *out_rules = r->policy->defer;
    rules_drop(r);
    return 0;
}

/* ---- arrivals ---- */

/* Returns the cell whose `arrivals` word consumers of `p` sleep on.  Work
 * belongs to a policy, not to a scope, so it is the policy's cell without a
 * scope. */
static struct cell *
arrivals_cell(struct bide_policy *p)
{
    const struct home *h = atomic_load(&p->home);
    struct cell *c = NULL;
    uint32_t index;

    if (p->scope_length && cell_find(h->live, p->name, "", true, &index) == 0) {
        c = cell_at(h->live, index);
    }
    return c ? c : atomic_load(&p->cell);
}

/* Wakes the consumers of `p`, in all processes. */
static void
announce_arrival(struct bide_policy *p)
{
    cell_arrived(arrivals_cell(p));
    live_ring(atomic_load(&p->home)->live);
}

/* ---- storing ---- */

static int
store_work(struct bide_policy *p, struct deferred *queue,
           const struct defer_rules *rules, const struct bide_work *work,
           uint64_t *out_id, bool *out_found)
{
    int rc = deferred_put(queue, p->name, rules, work, out_id, out_found);

    if (!rc) {
        announce_arrival(p);
    }
    return rc;
}

void
defer_call_work(struct bide_policy *p, const struct defer_rules *rules,
                const struct bide_work *work, struct bide_result *out)
{
    struct deferred *queue;
    bool found;
    int rc = open_queue(p->bide, &queue);

    rc = rc ? rc : store_work(p, queue, rules, work, &out->deferred_id, &found);
    out->end = rc ? BIDE_END_NOT_STORED : BIDE_END_DEFERRED;
    out->defer_error = rc;
}

/* Returns the text moved to *at, which then points behind it; NULL: NULL. */
static const char *
copy_text(const char *text, char **at)
{
    char *copy = *at;

    if (!text) {
        return NULL;
    }
    *at = stpcpy(copy, text) + 1;
    return copy;
}

int
defer_copy_work(const struct bide_work *work, struct bide_work **out)
{
    size_t size = sizeof(*work);
    struct bide_work *copy;
    char *at;

    if (deferred_check_work(work) != 0) {
        return BIDE_EINVAL;
    }
    size += work->length;
    size += work->type ? strlen(work->type) + 1 : 0;
    size += work->key ? strlen(work->key) + 1 : 0;
    copy = malloc(size);
    if (!copy) {
        return BIDE_ENOMEM;
    }
    *copy = *work;
    at = (char *)(copy + 1);
    copy->bytes = at;
    if (work->length) {
        memcpy(at, work->bytes, work->length);
    }
    at += work->length;
    copy->type = copy_text(work->type, &at);
    copy->key = copy_text(work->key, &at);
    *out = copy;
    return 0;
}

int
defer_put(struct bide_policy *p, const struct bide_work *work, uint64_t *out_id,
          bool *out_found)
{
    struct defer_rules rules;
    struct deferred *queue;
    int rc;

    running_begin(p->bide);
    rc = open_queue_and_rules(p, &queue, &rules);
    rc = rc ? rc : store_work(p, queue, &rules, work, out_id, out_found);
    running_end(p->bide);
    return rc;
}

int
bide_defer(struct bide_policy *p, const struct bide_work *work,
           uint64_t *out_id)
{
    uint64_t id;
    bool found;
    int rc = p && work ? defer_put(p, work, &id, &found) : BIDE_EINVAL;

    if (!rc && out_id) {
        *out_id = id;
    }
    return rc;
}

/* ---- taking ---- */

/* A piece of bide_deferred_take. */
struct piece {
    struct bide_deferred shown; /* points to the texts and bytes of `item` */
    struct deferred_item item;
};

static struct piece *
piece_of(struct bide_deferred *d)
{
    return (struct piece *)(void *)d;
}

static void
show_piece(struct piece *p)
{
    const struct deferred_item *i = &p->item;

    p->shown = (struct bide_deferred){
        .id = i->id,
        .lease = i->lease,
        .lease_ends_boottime_ns = i->lease_ends_ns,
        .bytes = i->bytes,
        .length = i->length,
        .type = i->type,
        .key = i->key,
        .attempts = i->attempts,
        .deferred_realtime_ns = i->stored_ns,
        .last_error = i->last_error,
    };
}

static void
drop_pieces(struct bide_deferred **pieces, int from, int to)
{
    for (int i = from; i < to; i++) {
        bide_deferred_free(pieces[i]);
    }
}

/* Allocates `room` pieces; on failure none. */
static int
make_pieces(struct bide_deferred **out, int room)
{
    for (int i = 0; i < room; i++) {
        struct piece *p = calloc(1, sizeof(*p));

        if (!p) {
            drop_pieces(out, 0, i);
            return BIDE_ENOMEM;
        }
        out[i] = &p->shown;
    }
    return 0;
}

/* Takes the pieces that are due now, at most `room`, with `items` and `pieces`
 * as working space.  Returns the number taken or a BIDE_E code; if none is due,
 * sets *out_next_ns to the time at which the next one will be. */
static int
take_due(struct bide_policy *p, struct deferred_kind *kind,
         struct bide_deferred **pieces, struct deferred_item *items, int room,
         uint64_t *out_next_ns)
{
    struct defer_rules rules;
    struct deferred *queue = NULL;
    int taken = open_queue_and_rules(p, &queue, &rules);

    if (taken < 0) {
        return taken;
    }
    taken =
        deferred_take(queue, p->name, &rules, kind, items, room, out_next_ns);
    for (int i = 0; i < taken; i++) {
        piece_of(pieces[i])->item = items[i];
        show_piece(piece_of(pieces[i]));
    }
    return taken;
}

/* As take_due, but waits until wait_until_ns or a signal. */
static int
take_or_wait(struct bide_policy *p, struct deferred_kind *kind,
             uint64_t wait_until_ns, struct bide_deferred **pieces,
             struct deferred_item *items, int room)
{
    for (;;) {
        struct cell *c = arrivals_cell(p);
        uint32_t seen = atomic_load(&c->arrivals);
        uint64_t next = UINT64_MAX, now;
        int taken = take_due(p, kind, pieces, items, room, &next);

        now = registry_now_ns(p->bide);
        if (taken || wait_until_ns <= now) {
            return taken;
        }
        next = next < wait_until_ns ? next : wait_until_ns;
        if (next > now) {
            next = next - now < LOOK_EVERY_NS ? next : now + LOOK_EVERY_NS;
            if (!registry_sleep_until(p->bide, &c->arrivals, seen, next)) {
                return 0;
            }
        }
    }
}

/* Takes at most `most` pieces. */
static int
take_pieces(struct bide_policy *p, struct deferred_kind *kind,
            uint64_t wait_until_ns, int most, struct bide_deferred *out[])
{
    struct {
        struct bide_deferred *pieces[TAKE_MAX];
        struct deferred_item items[TAKE_MAX];
    } *t = malloc(sizeof(*t));
    int taken;

    if (!t || make_pieces(t->pieces, most) != 0) {
        free(t);
        return BIDE_ENOMEM;
    }
    running_begin(p->bide);
    taken = take_or_wait(p, kind, wait_until_ns, t->pieces, t->items, most);
    running_end(p->bide);
    for (int i = 0; i < taken; i++) {
        out[i] = t->pieces[i];
    }
    drop_pieces(t->pieces, taken > 0 ? taken : 0, most);
    free(t);
    return taken;
}

int
bide_deferred_take(struct bide_policy *p, uint64_t wait_until_ns, size_t room,
                   struct bide_deferred *out[])
{
    return !p || !out || room < 1
               ? BIDE_EINVAL
               : take_pieces(p, NULL, wait_until_ns,
                             room < TAKE_MAX ? (int)room : TAKE_MAX, out);
}

int
defer_take_now(struct bide_policy *p, struct deferred_kind *kind,
               struct bide_deferred **out)
{
    return take_pieces(p, kind, 0, 1, out);
}

void
bide_deferred_free(struct bide_deferred *d)
{
    if (d) {
        deferred_item_free(&piece_of(d)->item);
        free(d);
    }
}

/* ---- ending a lease ---- */

int
bide_deferred_next_ns(struct bide_policy *p, uint64_t *out_ns)
{
    struct deferred *queue;
    int rc;

    if (!p || !out_ns) {
        return BIDE_EINVAL;
    }
    running_begin(p->bide);
    rc = open_queue(p->bide, &queue);
    rc = rc ? rc : deferred_next_ns(queue, p->name, NULL, out_ns);
    running_end(p->bide);
    return rc;
}

int
bide_deferred_ack(struct bide_policy *p, const struct bide_deferred *d)
{
    struct deferred *queue;
    int rc;

    if (!p || !d) {
        return BIDE_EINVAL;
    }
    running_begin(p->bide);
    rc = open_queue(p->bide, &queue);
    rc = rc ? rc : deferred_ack(queue, d->id, d->lease);
    running_end(p->bide);
    return rc;
}

/* Gives work back: due after the wait of the policy, or at once. */
static int
give_back(struct bide_policy *p, const struct bide_deferred *d, bool waits,
          bool tried, const char *reason)
{
    struct defer_rules rules;
    struct deferred *queue;
    int rc;

    if (!p || !d) {
        return BIDE_EINVAL;
    }
    running_begin(p->bide);
    rc = open_queue_and_rules(p, &queue, &rules);
    rc = rc ? rc
            : deferred_nack(queue, d->id, d->lease, waits ? &rules : NULL,
                            tried, reason);
    if (!rc) {
        announce_arrival(p); /* it may be due earlier than sleepers expect */
    }
    running_end(p->bide);
    return rc;
}

int
defer_give_back(struct bide_policy *p, const struct bide_deferred *d,
                bool tried, const char *reason)
{
    return give_back(p, d, true, tried, reason);
}

int
bide_deferred_nack(struct bide_policy *p, const struct bide_deferred *d,
                   const char *reason)
{
    return give_back(p, d, true, true, reason);
}

int
bide_deferred_release(struct bide_policy *p, const struct bide_deferred *d)
{
    return give_back(p, d, false, false, NULL);
}

int
bide_deferred_extend(struct bide_policy *p, struct bide_deferred *d)
{
    struct defer_rules rules;
    struct deferred *queue;
    int rc;

    if (!p || !d) {
        return BIDE_EINVAL;
    }
    running_begin(p->bide);
    rc = open_queue_and_rules(p, &queue, &rules);
    rc = rc ? rc
            : deferred_extend(queue, d->id, d->lease, rules.lease_ns,
                              &d->lease_ends_boottime_ns);
    running_end(p->bide);
    return rc;
}
