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
#include "base/lock.h"
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
    }
    if (!rc && b->deferred_own_clock != b->own_clock) {
        b->deferred_own_clock = b->own_clock;
        deferred_set_clock(b->deferred, b->own_clock ? read_own_clock : NULL,
                           b);
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

    if (!rc) {
        rc = store_work(p, queue, rules, work, &out->deferred_id, &found);
    }
    out->end = rc ? BIDE_NOT_STORED : BIDE_DEFERRED;
    out->defer_error = rc;
}

void
bide_call_work(struct bide_call *c, const struct bide_work *work)
{
    struct call *k = call_of(c);
    struct bide_policy *p = k->policy;
    struct rules *r;

    k->work = work;
    if (k->state != CALL_IDLE || !work || c->result.end != BIDE_DEFERRED ||
        c->result.deferred_id) {
        return;
    }
    /* The call was refused at its start. */
    r = rules_take(p);
    if (r) {
        defer_call_work(p, &r->policy->defer, work, &c->result);
        rules_drop(r);
    } else {
        c->result.end = BIDE_NOT_STORED;
        c->result.defer_error = BIDE_ENOMEM;
    }
    if (c->result.end == BIDE_NOT_STORED) {
        count_add(p, COUNTER_NOT_STORED, 1);
    }
}

int
defer_put(struct bide_policy *p, const struct bide_work *work, uint64_t *out_id,
          bool *out_found)
{
    struct defer_rules rules;
    struct deferred *queue;
    int rc;

    running_add(p->bide, 1);
    rc = open_queue_and_rules(p, &queue, &rules);
    if (!rc) {
        rc = store_work(p, queue, &rules, work, out_id, out_found);
    }
    running_add(p->bide, -1);
    return rc;
}

int
bide_defer_work(struct bide_policy *p, const struct bide_work *work,
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

int
bide_defer(struct bide_policy *p, const void *work, size_t length,
           uint64_t *out_id)
{
    struct bide_work w = {.bytes = work, .length = length};

    return bide_defer_work(p, &w, out_id);
}

/* ---- taking ---- */

/* Fills *to; `bytes` becomes the caller's. */
static void
fill_deferred(const struct deferred_item *from, struct bide_deferred *to)
{
    *to = (struct bide_deferred){
        .id = from->id,
        .lease = from->lease,
        .lease_ends_ns = from->lease_ends_ns,
        .bytes = from->bytes,
        .length = from->length,
        .attempts = from->attempts,
        .deferred_realtime_ns = from->stored_ns,
    };
    memcpy(to->type, from->type, sizeof(to->type));
    memcpy(to->key, from->key, sizeof(to->key));
    memcpy(to->last_error, from->last_error, sizeof(to->last_error));
}

/* Takes the pieces that are due now, at most `room`, with `items` as working
 * space.  Returns the number taken or a BIDE_E code; if none is due, sets
 * *out_next_ns to the time at which the next one will be. */
static int
take_due(struct bide_policy *p, struct deferred_kind *kind,
         struct bide_deferred *out, struct deferred_item *items, int room,
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
        fill_deferred(&items[i], &out[i]);
    }
    return taken;
}

static int
take_or_wait(struct bide_policy *p, uint64_t wait_until_ns,
             struct bide_deferred *out, struct deferred_item *items, int room)
{
    for (;;) {
        struct cell *c = arrivals_cell(p);
        uint32_t seen = atomic_load(&c->arrivals);
        uint64_t next = UINT64_MAX, now;
        int taken = take_due(p, NULL, out, items, room, &next);

        now = registry_now_ns(p->bide);
        if (taken || wait_until_ns <= now) {
            return taken;
        }
        next = next < wait_until_ns ? next : wait_until_ns;
        if (next > now) {
            next = next - now < LOOK_EVERY_NS ? next : now + LOOK_EVERY_NS;
            registry_sleep_until(p->bide, &c->arrivals, seen, next);
        }
    }
}

int
bide_deferred_take(struct bide_policy *p, uint64_t wait_until_ns,
                   struct bide_deferred *out, int room)
{
    struct deferred_item *items;
    int taken;

    if (!p || !out || room < 1) {
        return BIDE_EINVAL;
    }
    room = room < TAKE_MAX ? room : TAKE_MAX;
    items = malloc((size_t)room * sizeof(*items));
    if (!items) {
        return BIDE_ENOMEM;
    }
    running_add(p->bide, 1);
    taken = take_or_wait(p, wait_until_ns, out, items, room);
    running_add(p->bide, -1);
    free(items);
    return taken;
}

int
defer_take_now(struct bide_policy *p, struct deferred_kind *kind,
               struct bide_deferred *out)
{
    struct deferred_item item;
    int taken;

    running_add(p->bide, 1);
    taken = take_due(p, kind, out, &item, 1, NULL);
    running_add(p->bide, -1);
    return taken;
}

void
bide_deferred_free(struct bide_deferred *d)
{
    if (d) {
        free(d->bytes);
        d->bytes = NULL;
    }
}

/* ---- ending a lease ---- */

int
bide_deferred_ack(struct bide_policy *p, const struct bide_deferred *d)
{
    struct deferred *queue;
    int rc = p && d ? open_queue(p->bide, &queue) : BIDE_EINVAL;

    return rc ? rc : deferred_ack(queue, d->id, d->lease);
}

int
defer_give_back(struct bide_policy *p, const struct bide_deferred *d,
                bool tried, const char *reason)
{
    struct defer_rules rules;
    struct deferred *queue;
    int rc = p && d ? open_queue_and_rules(p, &queue, &rules) : BIDE_EINVAL;

    if (!rc) {
        rc = deferred_nack(queue, d->id, d->lease, &rules, tried, reason);
    }
    if (!rc) {
        announce_arrival(p); /* it may be due earlier than sleepers expect */
    }
    return rc;
}

int
bide_deferred_nack(struct bide_policy *p, const struct bide_deferred *d,
                   const char *reason)
{
    return defer_give_back(p, d, true, reason);
}

int
bide_deferred_extend(struct bide_policy *p, struct bide_deferred *d)
{
    struct defer_rules rules;
    struct deferred *queue;
    int rc = p && d ? open_queue_and_rules(p, &queue, &rules) : BIDE_EINVAL;

    return rc ? rc
              : deferred_extend(queue, d->id, d->lease, rules.lease_ns,
                                &d->lease_ends_ns);
}
