/* Takes work under a lease, completes it, gives it back. */
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"
#include "rule/draw.h"
#include "rule/wait.h"
#include "store/file/place.h"

enum {
    TIDY_MAX = 1000,  /* expired leases and dead work handled in one take */
    AHEAD_MAX = 1000, /* work of other kinds skipped in find_waiting */
};

void
deferred_item_free(struct deferred_item *item)
{
    free(item->bytes);
    item->bytes = NULL;
}

/* ---- states of work ---- */

static bool
tried_enough(const struct deferred_item *head, const struct defer_rules *r)
{
    return r->attempts && head->attempts >= r->attempts;
}

static void
set_last_error(struct deferred_item *head, const char *text)
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
    /* Due at expires_ns at the latest, so that a take finds it and marks it
     * dead. */
    head->due_ns = smaller_ns(due_ns, head->expires_ns);
}

/* ---- searching for one kind ---- */

struct search {
    const char *policy;
    struct deferred_kind *kind; /* NULL: any */
    struct deferred_place at;   /* due work up to this place was handled */
};

static void
begin_search(struct search *l, const struct work *w)
{
    const struct deferred_kind *k = l->kind;

    l->at = (struct deferred_place){.state = DEFERRED_WAITING};
    strcpy(l->at.policy, l->policy);
    /* If the clock was set back, work can be due before that place. */
    if (k && k->passed_ns <= w->now.realtime_ns) {
        l->at.time_ns = k->passed_ns;
        l->at.id = k->passed_id;
    }
}

/* Keeps the end of the search.  Called only after the commit, because `apply`
 * can run twice. */
static void
end_search(struct search *l)
{
    if (l->kind) {
        l->kind->passed_ns = l->at.time_ns;
        l->kind->passed_id = l->at.id;
    }
}

/* Reports whether a search skips work of other kinds.  It never skips work that
 * is too old, because each take marks that dead. */
static bool
is_skipped(const struct search *l, const struct deferred_item *head,
           uint64_t now_ns)
{
    return l->kind && head->expires_ns > now_ns &&
           (strcmp(head->type, l->kind->type) == 0) == l->kind->others;
}

/* ---- taking ---- */

struct take_change {
    struct change change;
    struct search search;
    const struct defer_rules *rules;
    struct deferred_item *out;
    int room, taken, tidied;
    uint64_t next_ns;
};

/* Reads the item at a place.  If it is damaged, files it as dead and sets
 * *out_usable to false. */
static int
read_or_set_aside(struct work *w, const struct deferred_place *place,
                  struct tree_item *item, bool *out_usable)
{
    int rc = tree_listed_head(w, place->id, item);

    *out_usable = rc == 0;
    return rc == DEFERRED_UNREADABLE ? tree_set_aside(w, place) : rc;
}

/* Ends expired leases. */
static int
end_expired_leases(struct work *w, struct take_change *t)
{
    struct deferred_place place;
    struct tree_item item;
    bool usable;
    int rc;

    while (t->tidied++ < TIDY_MAX) {
        rc = tree_first(w, t->search.policy, DEFERRED_LEASED, &place);
        if (rc || place.time_ns > t->change.boottime_ns) {
            return rc == MDB_NOTFOUND ? 0 : rc;
        }
        rc = read_or_set_aside(w, &place, &item, &usable);
        if (!rc && usable) {
            set_last_error(&item.head, "its lease expired");
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
mark_dead(struct work *w, struct take_change *t, struct tree_item *item,
          const struct deferred_place *was)
{
    t->tidied++;
    set_dead(&item->head);
    return tree_move(w, item, was);
}

static int
lease_item(struct work *w, struct take_change *t, struct tree_item *item,
           const struct deferred_place *was)
{
    void *bytes;
    int rc = tree_payload(w, item, &bytes);

    if (rc == MDB_NOTFOUND) {
        set_last_error(
            &item->head,
            "damaged: its payload is missing or has another checksum");
        return mark_dead(w, t, item, was);
    }
    if (rc) {
        return rc;
    }
    item->head.state = DEFERRED_LEASED;
    item->head.lease = deferred_draw();
    item->head.lease_ends_ns =
        duration_add(w->now.boottime_ns, t->rules->lease_ns);
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
free_taken(struct take_change *t)
{
    while (t->taken) {
        deferred_item_free(&t->out[--t->taken]);
    }
}

static int
lease_due_work(struct work *w, struct take_change *t)
{
    struct deferred_place place;
    struct tree_item item;
    bool usable;
    int rc = 0;

    while (!rc && t->taken < t->room && t->tidied < TIDY_MAX) {
        place = t->search.at;
        rc = tree_next(w, &place);
        if (rc || place.time_ns > w->now.realtime_ns) {
            return rc == MDB_NOTFOUND ? 0 : rc;
        }
        rc = read_or_set_aside(w, &place, &item, &usable);
        if (rc) {
            return rc;
        }
        if (!usable) {
            t->tidied++;
        } else if (!is_skipped(&t->search, &item.head, w->now.realtime_ns)) {
            rc = item.head.expires_ns <= w->now.realtime_ns ||
                         tried_enough(&item.head, t->rules)
                     ? mark_dead(w, t, &item, &place)
                     : lease_item(w, t, &item, &place);
        }
        t->search.at = rc ? t->search.at : place;
    }
    /* If there is no memory for more, the result is the work taken so far. */
    return rc == ENOMEM && t->taken ? 0 : rc;
}

/* ---- the next event ---- */

static uint64_t
to_monotonic(uint64_t time_ns, uint64_t clock_ns, uint64_t monotonic_ns)
{
    return time_ns <= clock_ns ? monotonic_ns
                               : duration_add(monotonic_ns, time_ns - clock_ns);
}

/* Finds the first waiting work that is not skipped, or one before it that is
 * not due yet. */
static int
find_waiting(struct work *w, struct search *l, struct deferred_place *out)
{
    uint64_t now = w->now.realtime_ns;
    struct tree_item item;
    int ahead = 0, rc;

    *out = l->at;
    while (!(rc = tree_next(w, out)) && l->kind && ahead < AHEAD_MAX) {
        rc = tree_listed_head(w, out->id, &item);
        if (rc || !is_skipped(l, &item.head, now)) {
            return rc == DEFERRED_UNREADABLE ? 0 : rc;
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
find_next_ns(struct work *w, struct search *l, uint64_t *out_ns)
{
    struct deferred_place place;
    uint64_t next = UINT64_MAX, end;
    int rc = find_waiting(w, l, &place);

    if (!rc) {
        next = to_monotonic(place.time_ns, w->now.realtime_ns,
                            w->now.monotonic_ns);
    } else if (rc != MDB_NOTFOUND) {
        return rc;
    }
    rc = tree_first(w, l->policy, DEFERRED_LEASED, &place);
    if (!rc) {
        end = to_monotonic(place.time_ns, w->now.boottime_ns,
                           w->now.monotonic_ns);
        next = smaller_ns(end, next);
    } else if (rc != MDB_NOTFOUND) {
        return rc;
    }
    *out_ns = next;
    return 0;
}

static int
take_work(struct work *w, struct change *c)
{
    struct take_change *t = (struct take_change *)c;
    int rc;

    free_taken(t);
    t->tidied = 0;
    rc = end_expired_leases(w, t);
    begin_search(&t->search, w);
    rc = rc ? rc : lease_due_work(w, t);
    if (!rc && !t->taken) {
        rc = find_next_ns(w, &t->search, &t->next_ns);
    }
    return rc;
}

int
deferred_take(struct deferred *d, const char *policy,
              const struct defer_rules *r, struct deferred_kind *kind,
              struct deferred_item *out, int room, uint64_t *out_next_ns)
{
    struct take_change t = {.change.apply = take_work,
                            .search = {.policy = policy, .kind = kind},
                            .rules = r,
                            .out = out,
                            .room = room};
    int rc = deferred_check_policy(policy);

    if (rc || room < 1 || !out) {
        return rc ? rc
                  : place_say(BIDE_EINVAL,
                              "room for at least one piece of work is needed");
    }
    rc = deferred_submit(d, &t.change);
    if (rc < 0) {
        free_taken(&t);
        return rc;
    }
    end_search(&t.search);
    if (!t.taken && out_next_ns) {
        *out_next_ns = t.next_ns;
    }
    return t.taken;
}

static int
find_next_event(struct work *w, struct change *c)
{
    struct take_change *t = (struct take_change *)c;

    begin_search(&t->search, w);
    return find_next_ns(w, &t->search, &t->next_ns);
}

int
deferred_next_ns(struct deferred *d, const char *policy,
                 struct deferred_kind *kind, uint64_t *out_monotonic_ns)
{
    struct take_change t = {.change.apply = find_next_event,
                            .search = {.policy = policy, .kind = kind}};
    int rc = deferred_check_policy(policy);

    rc = rc ? rc : deferred_submit(d, &t.change);
    if (!rc) {
        end_search(&t.search);
        *out_monotonic_ns = t.next_ns;
    }
    return rc;
}

/* ---- changing leased work ---- */

struct lease_change {
    struct change change;
    uint64_t id, lease;
    const struct defer_rules *rules;
    bool tried;
    const char *reason;
    uint64_t lease_ns, ends_ns;
};

static bool
has_lease(const struct lease_change *l, const struct deferred_item *item)
{
    return item->state == DEFERRED_LEASED && item->lease == l->lease &&
           item->lease_ends_ns > l->change.boottime_ns;
}

/* Reads the work of this lease, or sets c->rc to BIDE_ELEASE, BIDE_ENOWORK or
 * BIDE_EDAMAGED. */
static int
find_leased(struct work *w, struct lease_change *l, struct tree_item *item)
{
    unsigned long long id = l->id;
    int rc = tree_head(w, id, item);

    if (rc == MDB_NOTFOUND) {
        l->change.rc = place_say(BIDE_ENOWORK,
                                 "work %llu is completed or was dropped", id);
    } else if (rc == DEFERRED_UNREADABLE) {
        l->change.rc = place_say(BIDE_EDAMAGED, "work %llu is damaged", id);
    } else if (!rc && !has_lease(l, &item->head)) {
        l->change.rc =
            place_say(BIDE_ELEASE, "the lease of work %llu has expired", id);
    }
    return l->change.rc ? 0 : rc;
}

static int
complete_work(struct work *w, struct change *c)
{
    struct tree_item item;
    int rc = find_leased(w, (struct lease_change *)c, &item);

    return rc || c->rc ? rc : tree_remove(w, &item, false);
}

int
deferred_ack(struct deferred *d, uint64_t id, uint64_t lease)
{
    struct lease_change l = {
        .change = {.apply = complete_work, .durable = true},
        .id = id,
        .lease = lease};

    return deferred_submit(d, &l.change);
}

/* Returns the wait after the last attempt: wait, 2 * wait, 4 * wait ... with
 * jitter.  The draw depends only on the piece and its attempts, so that pieces
 * that failed together are not due together. */
static uint64_t
wait_after_attempts(const struct deferred_item *head,
                    const struct defer_rules *r)
{
    const struct wait_rules w = {.form = WAIT_EXPONENTIAL,
                                 .initial_ns = r->wait_ns,
                                 .min_ns = DEFER_WAIT_MIN_NS,
                                 .max_ns = r->wait_max_ns,
                                 .factor = 2,
                                 .jitter = r->jitter};
    uint64_t bits = draw_bits(head->stored_ns, head->id, head->attempts);

    return wait_own_ns(&w, head->attempts, 0, false, draw_unit(bits));
}

static int
give_work_back(struct work *w, struct change *c)
{
    struct lease_change *l = (struct lease_change *)c;
    const struct defer_rules *r = l->rules;
    uint64_t now = w->now.realtime_ns;
    struct deferred_place was;
    struct tree_item item;
    int rc = find_leased(w, l, &item);

    if (rc || c->rc) {
        return rc;
    }
    was = deferred_place_of(&item.head);
    set_last_error(&item.head, l->reason);
    if (r) {
        now = duration_add(now, wait_after_attempts(&item.head, r));
    }
    if (!l->tried) {
        item.head.attempts -= item.head.attempts > 0;
    }
    if (r && l->tried &&
        (tried_enough(&item.head, r) ||
         item.head.expires_ns <= w->now.realtime_ns)) {
        set_dead(&item.head);
    } else {
        set_waiting(&item.head, now);
    }
    return tree_move(w, &item, &was);
}

int
deferred_nack(struct deferred *d, uint64_t id, uint64_t lease,
              const struct defer_rules *r, bool tried, const char *reason)
{
    struct lease_change l = {
        .change = {.apply = give_work_back, .durable = true},
        .id = id,
        .lease = lease,
        .rules = r,
        .tried = tried,
        .reason = reason ? reason : ""};

    return deferred_submit(d, &l.change);
}

static int
extend_lease(struct work *w, struct change *c)
{
    struct lease_change *l = (struct lease_change *)c;
    struct deferred_place was;
    struct tree_item item;
    int rc = find_leased(w, l, &item);

    if (rc || c->rc) {
        return rc;
    }
    was = deferred_place_of(&item.head);
    l->ends_ns = duration_add(w->now.boottime_ns, l->lease_ns);
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
    struct lease_change l = {.change.apply = extend_lease,
                             .id = id,
                             .lease = lease,
                             .lease_ns = lease_ns};
    int rc = deferred_submit(d, &l.change);

    if (!rc) {
        *out_ends_ns = l.ends_ns;
    }
    return rc;
}
