/* Taking work, and giving it back. */
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "store/file/place.h"

enum {
    TIDY_MAX = 1000,  /* leases and dead ones seen to in one take */
    AHEAD_MAX = 1000, /* of other kinds, passed over to see what is due next */
};

void
deferred_item_free(struct deferred_item *item)
{
    free(item->bytes);
    item->bytes = NULL;
}

/* ---- the dead ---- */

static bool
tried_enough(const struct deferred_item *head, const struct deferred_rules *r)
{
    return r->attempts && head->attempts >= r->attempts;
}

static void
set_error(struct deferred_item *head, const char *text)
{
    char *to = head->last_error;
    size_t i;

    for (i = 0; text[i] && i < sizeof(head->last_error) - 1; i++) {
        unsigned char c = (unsigned char)text[i];

        to[i] = c < ' ' || c == 127 ? ' ' : (char)c;
    }
    to[i] = '\0';
}

static void
set_dead(struct deferred_item *head)
{
    head->state = DEFERRED_DEAD;
    head->lease = head->lease_ends_ns = 0;
}

static void
set_waiting(struct deferred_item *head, uint64_t due_ns)
{
    head->state = DEFERRED_WAITING;
    head->lease = head->lease_ends_ns = 0;
    /* Not past its end: then it is dead, and somebody shall see it. */
    head->due_ns = due_ns < head->expires_ns ? due_ns : head->expires_ns;
}

/* ---- of one kind ---- */

struct look {
    const char *policy;
    struct deferred_kind *kind; /* NULL: any */
    struct deferred_place at;   /* up to there all that is due was seen */
};

static void
begin_look(struct look *l, const struct work *w)
{
    const struct deferred_kind *k = l->kind;

    l->at = (struct deferred_place){.state = DEFERRED_WAITING};
    strcpy(l->at.policy, l->policy);
    /* Where the clock was set back, more may stand before that. */
    if (k && k->passed_ns <= w->now.realtime_ns) {
        l->at.time_ns = k->passed_ns;
        l->at.id = k->passed_id;
    }
}

/* To be called when the change is made: it may be tried twice. */
static void
end_look(struct look *l)
{
    if (l->kind) {
        l->kind->passed_ns = l->at.time_ns;
        l->kind->passed_id = l->at.id;
    }
}

/* What expired is dead, whoever sees it. */
static bool
is_passed_over(const struct look *l, const struct deferred_item *head,
               uint64_t now_ns)
{
    return l->kind && head->expires_ns > now_ns &&
           (strcmp(head->type, l->kind->type) == 0) == l->kind->others;
}

/* ---- taking ---- */

struct take {
    struct change change;
    struct look look;
    const struct deferred_rules *rules;
    struct deferred_item *out;
    int room, taken, tidied;
    uint64_t next_ns;
};

/* The item at a place; false in *out_usable: set aside. */
static int
fetch(struct work *w, const struct deferred_place *place,
      struct tree_item *item, bool *out_usable)
{
    bool damaged = false;
    int rc = tree_head(w, place->id, item, &damaged);

    *out_usable = !damaged;
    if (rc) {
        return rc == MDB_NOTFOUND ? DEFERRED_REPAIR : rc;
    }
    return damaged ? tree_set_aside(w, place) : 0;
}

/* Leases that ran out. */
static int
take_back(struct work *w, struct take *t)
{
    struct deferred_place place;
    struct tree_item item;
    bool usable;
    int rc;

    while (t->tidied++ < TIDY_MAX) {
        rc = tree_first(w, t->look.policy, DEFERRED_LEASED, &place);
        if (rc || place.time_ns > w->now.boottime_ns) {
            return rc == MDB_NOTFOUND ? 0 : rc;
        }
        rc = fetch(w, &place, &item, &usable);
        if (!rc && usable) {
            set_error(&item.head, "its lease ran out");
            if (tried_enough(&item.head, t->rules) ||
                item.head.expires_ns <= w->now.realtime_ns) {
                set_dead(&item.head);
            } else {
                set_waiting(&item.head, w->now.realtime_ns);
            }
            rc = tree_move(w, &item, &place);
        }
        if (rc) {
            return rc;
        }
    }
    return 0;
}

static int
die(struct work *w, struct take *t, struct tree_item *item,
    const struct deferred_place *was)
{
    t->tidied++;
    set_dead(&item->head);
    return tree_move(w, item, was);
}

static uint64_t
fresh_lease(void)
{
    uint64_t lease = 0;

    while (!lease) {
        if (getrandom(&lease, sizeof(lease), 0) != sizeof(lease)) {
            lease = clock_monotonic_ns();
        }
    }
    return lease;
}

static int
lease(struct work *w, struct take *t, struct tree_item *item,
      const struct deferred_place *was)
{
    void *bytes;
    int rc = tree_payload(w, item, &bytes);

    if (rc == MDB_NOTFOUND) {
        set_error(&item->head, "damaged: its bytes are not what was stored");
        return die(w, t, item, was);
    }
    if (rc) {
        return rc;
    }
    item->head.state = DEFERRED_LEASED;
    item->head.lease = fresh_lease();
    item->head.lease_ends_ns =
        deferred_later(w->now.boottime_ns, t->rules->lease_ns);
    item->head.attempts += item->head.attempts < UINT32_MAX;
    rc = tree_move(w, item, was);
    if (rc) {
        free(bytes);
        return rc;
    }
    t->out[t->taken] = item->head;
    t->out[t->taken++].bytes = bytes;
    return 0;
}

static void
give_up_taken(struct take *t)
{
    while (t->taken) {
        deferred_item_free(&t->out[--t->taken]);
    }
}

static int
take_due(struct work *w, struct take *t)
{
    struct deferred_place place;
    struct tree_item item;
    bool usable;
    int rc = 0;

    while (!rc && t->taken < t->room && t->tidied < TIDY_MAX) {
        place = t->look.at;
        rc = tree_next(w, &place);
        if (rc || place.time_ns > w->now.realtime_ns) {
            return rc == MDB_NOTFOUND ? 0 : rc;
        }
        rc = fetch(w, &place, &item, &usable);
        if (rc) {
            return rc;
        }
        if (!usable) {
            t->tidied++;
        } else if (!is_passed_over(&t->look, &item.head, w->now.realtime_ns)) {
            rc = item.head.expires_ns <= w->now.realtime_ns ||
                         tried_enough(&item.head, t->rules)
                     ? die(w, t, &item, &place)
                     : lease(w, t, &item, &place);
        }
        t->look.at = rc ? t->look.at : place;
    }
    /* Without memory for more there is enough. */
    return rc == ENOMEM && t->taken ? 0 : rc;
}

/* ---- when to look again ---- */

static uint64_t
until(uint64_t time_ns, uint64_t clock_ns, uint64_t monotonic_ns)
{
    return time_ns <= clock_ns
               ? monotonic_ns
               : deferred_later(monotonic_ns, time_ns - clock_ns);
}

/* The first that is not passed over, or one before it that is not due yet. */
static int
find_waiting(struct work *w, struct look *l, struct deferred_place *out)
{
    uint64_t now = w->now.realtime_ns;
    struct tree_item item;
    bool damaged = false;
    int ahead = 0, rc;

    *out = l->at;
    while (!(rc = tree_next(w, out)) && l->kind && ahead < AHEAD_MAX) {
        rc = tree_head(w, out->id, &item, &damaged);
        if (rc) {
            return rc == MDB_NOTFOUND ? DEFERRED_REPAIR : rc;
        }
        if (damaged || !is_passed_over(l, &item.head, now)) {
            return 0;
        }
        if (out->time_ns > now) {
            ahead++;
        } else {
            l->at = *out;
        }
    }
    return rc;
}

static int
find_next(struct work *w, struct look *l, uint64_t *out_ns)
{
    struct deferred_place place;
    uint64_t next = UINT64_MAX, end;
    int rc = find_waiting(w, l, &place);

    if (!rc) {
        next = until(place.time_ns, w->now.realtime_ns, w->now.monotonic_ns);
    } else if (rc != MDB_NOTFOUND) {
        return rc;
    }
    rc = tree_first(w, l->policy, DEFERRED_LEASED, &place);
    if (!rc) {
        end = until(place.time_ns, w->now.boottime_ns, w->now.monotonic_ns);
        next = end < next ? end : next;
    } else if (rc != MDB_NOTFOUND) {
        return rc;
    }
    *out_ns = next;
    return 0;
}

static int
take(struct work *w, struct change *c)
{
    struct take *t = (struct take *)c;
    int rc;

    give_up_taken(t);
    t->tidied = 0;
    rc = take_back(w, t);
    begin_look(&t->look, w);
    if (!rc) {
        rc = take_due(w, t);
    }
    if (!rc && !t->taken) {
        rc = find_next(w, &t->look, &t->next_ns);
    }
    return rc;
}

int
deferred_take_or_when(struct deferred *d, const char *policy,
                      const struct deferred_rules *r,
                      struct deferred_kind *kind, struct deferred_item *out,
                      int room, uint64_t *out_next_ns)
{
    struct take t = {.look = {.policy = policy, .kind = kind},
                     .rules = r,
                     .out = out,
                     .room = room};
    int rc = deferred_check_policy(policy);

    if (rc || room < 1 || !out) {
        return rc ? rc : place_say(BIDE_EINVAL, "no room to take anything");
    }
    t.change.apply = take;
    rc = deferred_submit(d, &t.change);
    if (rc < 0) {
        give_up_taken(&t);
        return rc;
    }
    end_look(&t.look);
    if (!t.taken && out_next_ns) {
        *out_next_ns = t.next_ns;
    }
    return t.taken;
}

int
deferred_take(struct deferred *d, const char *policy,
              const struct deferred_rules *r, struct deferred_item *out,
              int room)
{
    return deferred_take_or_when(d, policy, r, NULL, out, room, NULL);
}

struct when {
    struct change change;
    struct look look;
    uint64_t ns;
};

static int
when(struct work *w, struct change *c)
{
    struct when *a = (struct when *)c;

    begin_look(&a->look, w);
    return find_next(w, &a->look, &a->ns);
}

int
deferred_next_ns(struct deferred *d, const char *policy,
                 struct deferred_kind *kind, uint64_t *out_monotonic_ns)
{
    struct when a = {.look = {.policy = policy, .kind = kind}};
    int rc = deferred_check_policy(policy);

    a.change.apply = when;
    rc = rc ? rc : deferred_submit(d, &a.change);
    if (!rc) {
        end_look(&a.look);
        *out_monotonic_ns = a.ns;
    }
    return rc;
}

/* ---- giving back ---- */

struct leased {
    struct change change;
    uint64_t id, lease;
    const struct deferred_rules *rules;
    const char *reason;
    uint64_t lease_ns, ends_ns;
};

static bool
holds(const struct leased *l, const struct deferred_item *item)
{
    return item->state == DEFERRED_LEASED && item->lease == l->lease &&
           item->lease_ends_ns > l->change.boottime_ns;
}

/* What is leased by this lease.  In c->rc: BIDE_ELEASE, BIDE_ENOWORK,
 * BIDE_EDAMAGED. */
static int
find_leased(struct work *w, struct leased *l, struct tree_item *item)
{
    unsigned long long id = l->id;
    bool damaged = false;
    int rc = tree_head(w, id, item, &damaged);

    if (rc == MDB_NOTFOUND) {
        l->change.rc =
            place_say(BIDE_ENOWORK, "work %llu is done, or was dropped", id);
        return 0;
    }
    if (!rc && damaged) {
        l->change.rc = place_say(BIDE_EDAMAGED, "work %llu is damaged", id);
    } else if (!rc && !holds(l, &item->head)) {
        l->change.rc = place_say(
            BIDE_ELEASE, "the lease of work %llu ran out: it went back", id);
    }
    return rc;
}

static int
ack(struct work *w, struct change *c)
{
    struct tree_item item;
    int rc = find_leased(w, (struct leased *)c, &item);

    return rc || c->rc ? rc : tree_remove(w, &item, false);
}

int
deferred_ack(struct deferred *d, uint64_t id, uint64_t lease)
{
    struct leased l = {.id = id, .lease = lease};

    l.change.apply = ack;
    l.change.durable = true;
    return deferred_submit(d, &l.change);
}

/* wait, twice that, four times ... */
static uint64_t
wait_after(uint32_t attempts, const struct deferred_rules *r)
{
    uint64_t wait = r->wait_ns;
    uint32_t i;

    for (i = 1; i < attempts && wait < r->wait_max_ns && wait; i++) {
        wait = wait > UINT64_MAX / 2 ? UINT64_MAX : 2 * wait;
    }
    return wait < r->wait_max_ns ? wait : r->wait_max_ns;
}

static int
nack(struct work *w, struct change *c)
{
    struct leased *l = (struct leased *)c;
    const struct deferred_rules *r = l->rules;
    uint64_t now = w->now.realtime_ns;
    struct deferred_place was;
    struct tree_item item;
    int rc = find_leased(w, l, &item);

    if (rc || c->rc) {
        return rc;
    }
    was = deferred_place_of(&item.head);
    set_error(&item.head, l->reason);
    if (!r) {
        item.head.attempts -= item.head.attempts > 0;
        set_waiting(&item.head, now);
    } else if (tried_enough(&item.head, r) || item.head.expires_ns <= now) {
        set_dead(&item.head);
    } else {
        set_waiting(&item.head,
                    deferred_later(now, wait_after(item.head.attempts, r)));
    }
    return tree_move(w, &item, &was);
}

int
deferred_nack(struct deferred *d, uint64_t id, uint64_t lease,
              const struct deferred_rules *r, const char *reason)
{
    struct leased l = {
        .id = id, .lease = lease, .rules = r, .reason = reason ? reason : ""};

    l.change.apply = nack;
    l.change.durable = true;
    return deferred_submit(d, &l.change);
}

static int
extend(struct work *w, struct change *c)
{
    struct leased *l = (struct leased *)c;
    struct deferred_place was;
    struct tree_item item;
    int rc = find_leased(w, l, &item);

    if (rc || c->rc) {
        return rc;
    }
    was = deferred_place_of(&item.head);
    l->ends_ns = deferred_later(w->now.boottime_ns, l->lease_ns);
    if (l->ends_ns == item.head.lease_ends_ns) {
        return 0;
    }
    item.head.lease_ends_ns = l->ends_ns;
    return tree_move(w, &item, &was);
}

int
deferred_extend(struct deferred *d, uint64_t id, uint64_t lease,
                uint64_t lease_ns, uint64_t *out_ends_ns)
{
    struct leased l = {.id = id, .lease = lease, .lease_ns = lease_ns};
    int rc;

    l.change.apply = extend;
    rc = deferred_submit(d, &l.change);
    if (!rc) {
        *out_ends_ns = l.ends_ns;
    }
    return rc;
}
