/* Reads work and counts, for operators.  A long walk is a sequence of short
 * transactions, so that services are not kept waiting. */
#include "file.h"
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/file/place.h"

enum { PIECE = 64 };

int
deferred_refuse(struct change *c, int rc, uint64_t id)
{
    c->rc = place_say(rc,
                      rc == BIDE_ENOWORK
                          ? "there is no work %llu"
                          : "work %llu is damaged\nit can only be dropped",
                      (unsigned long long)id);
    return 0;
}

/* ---- one piece of work ---- */

struct get_change {
    struct change change;
    uint64_t id;
    struct deferred_item *out;
};

static int
read_work(struct work *w, struct change *c)
{
    struct get_change *o = (struct get_change *)c;
    struct tree_item item;
    void *bytes;
    int rc = tree_head(w, o->id, &item);

    if (rc == MDB_NOTFOUND) {
        return deferred_refuse(c, BIDE_ENOWORK, o->id);
    }
    rc = rc ? rc : tree_payload(w, &item, &bytes);
    if (rc == DEFERRED_UNREADABLE || rc == MDB_NOTFOUND) {
        return deferred_refuse(c, BIDE_EDAMAGED, o->id);
    }
    if (rc) {
        return rc;
    }
    *o->out = item.head;
    o->out->bytes = bytes;
    return 0;
}

int
deferred_get(struct deferred *d, uint64_t id, struct deferred_item *out)
{
    struct get_change o = {.change.apply = read_work, .id = id, .out = out};

    return deferred_submit(d, &o.change);
}

/* ---- what was lost ---- */

struct lost_change {
    struct change change;
    bool repair; /* first; then forget what was lost */
    bool repaired;
    struct deferred_lost out;
};

static int
read_lost(struct work *w, struct change *c)
{
    struct lost_change *l = (struct lost_change *)c;

    if (l->repair && !l->repaired) {
        l->repaired = true;
        return DEFERRED_REPAIR;
    }
    l->out = (struct deferred_lost){w->meta.lost, w->meta.lost_ns};
    if (l->repair) {
        w->meta.lost = w->meta.lost_ns = 0;
        w->meta.registry = deferred_registry(w->d);
        w->changed = true;
    }
    return 0;
}

int
deferred_lost(struct deferred *d, bool repair, struct deferred_lost *out)
{
    struct lost_change l = {.change = {.apply = read_lost, .durable = repair},
                            .repair = repair};
    int rc = deferred_submit(d, &l.change);

    *out = l.out;
    return rc;
}

/* ---- all work of a policy ---- */

struct ids_change {
    struct change change;
    const char *policy;
    struct tree_ids ids;
};

static int
list_ids(struct work *w, struct change *c)
{
    struct ids_change *l = (struct ids_change *)c;

    return tree_ids(w, l->policy, &l->ids);
}

static int
compare_ids(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

struct piece_change {
    struct change change;
    const char *policy;
    const uint64_t *ids;
    size_t count, found;
    struct deferred_item items[PIECE];
};

static int
read_piece(struct work *w, struct change *c)
{
    struct piece_change *p = (struct piece_change *)c;
    struct tree_item item;
    int rc = 0;

    p->found = 0;
    for (size_t i = 0; i < p->count && !rc; i++) {
        rc = tree_head(w, p->ids[i], &item);
        if (rc == MDB_NOTFOUND) {
            rc = 0; /* completed or dropped meanwhile */
            continue;
        }
        if (rc == DEFERRED_UNREADABLE) {
            item.head = (struct deferred_item){
                .id = p->ids[i], .state = DEFERRED_DEAD, .length = SIZE_MAX};
            strcpy(item.head.policy, p->policy);
            rc = 0;
        }
        if (!rc) {
            p->items[p->found++] = item.head;
        }
    }
    return rc;
}

static int
visit_ids(struct deferred *d, const char *policy, const struct tree_ids *ids,
          int (*visit)(void *arg, const struct deferred_item *item), void *arg)
{
    struct piece_change *p = calloc(1, sizeof(*p));
    int rc = p ? 0 : place_failed(d->path, ENOMEM);

    for (size_t at = 0; at < ids->count && !rc; at += p->count) {
        p->change.apply = read_piece;
        p->policy = policy;
        p->ids = ids->list + at;
        p->count = ids->count - at < PIECE ? ids->count - at : PIECE;
        rc = deferred_submit(d, &p->change);
        for (size_t i = 0; !rc && i < p->found; i++) {
            rc = visit(arg, &p->items[i]);
        }
    }
    free(p);
    return rc;
}

static int
visit_policy(struct deferred *d, const char *policy,
             int (*visit)(void *arg, const struct deferred_item *item),
             void *arg)
{
    struct ids_change l = {.change.apply = list_ids, .policy = policy};
    int rc = deferred_submit(d, &l.change);

    if (!rc && l.ids.count) {
        qsort(l.ids.list, l.ids.count, sizeof(*l.ids.list), compare_ids);
        rc = visit_ids(d, policy, &l.ids, visit, arg);
    }
    free(l.ids.list);
    return rc;
}

/* ---- all policies ---- */

struct names_change {
    struct change change;
    struct tree_policies names;
};

static int
list_names(struct work *w, struct change *c)
{
    return tree_policies(w, &((struct names_change *)c)->names);
}

int
deferred_each(struct deferred *d, const char *policy,
              int (*visit)(void *arg, const struct deferred_item *item),
              void *arg)
{
    struct names_change l = {.change.apply = list_names};
    int rc;

    if (policy) {
        return strnlen(policy, BIDE_NAME_MAX + 1) <= BIDE_NAME_MAX
                   ? visit_policy(d, policy, visit, arg)
                   : place_say(BIDE_ENAME, "not the name of a policy");
    }
    rc = deferred_submit(d, &l.change);
    for (size_t i = 0; i < l.names.count && !rc; i++) {
        rc = visit_policy(d, l.names.list[i], visit, arg);
    }
    free(l.names.list);
    return rc;
}

/* ---- counts ---- */

struct counts_change {
    struct change change;
    const char *policy;
    struct deferred_counts out;
};

/* Finds the oldest work of a policy: the work with the lowest id. */
static int
find_oldest(struct work *w, struct counts_change *c)
{
    struct tree_ids ids = {0};
    uint64_t lowest = UINT64_MAX;
    struct tree_item item;
    int rc = tree_ids(w, c->policy, &ids);

    for (size_t i = 0; i < ids.count; i++) {
        lowest = ids.list[i] < lowest ? ids.list[i] : lowest;
    }
    free(ids.list);
    if (rc || lowest == UINT64_MAX) {
        return rc;
    }
    rc = tree_listed_head(w, lowest, &item);
    if (!rc) {
        c->out.oldest_ns = item.head.stored_ns;
    }
    return rc == DEFERRED_UNREADABLE ? 0 : rc;
}

static int
read_counts(struct work *w, struct change *change)
{
    struct counts_change *c = (struct counts_change *)change;
    struct tree_counts t;
    int rc = tree_counts(w, c->policy, &t);

    if (rc) {
        return rc;
    }
    c->out = (struct deferred_counts){
        .stored = t.stored,
        .done = t.done,
        .dropped = t.dropped,
        .died = t.died,
        .waiting = t.waiting,
        .leased = t.leased,
        .dead = t.dead,
        .bytes = t.bytes,
    };
    strcpy(c->out.policy, c->policy);
    return find_oldest(w, c);
}

int
deferred_counts(struct deferred *d,
                int (*visit)(void *arg, const struct deferred_counts *c),
                void *arg)
{
    struct names_change l = {.change.apply = list_names};
    int rc = deferred_submit(d, &l.change);

    for (size_t i = 0; i < l.names.count && !rc; i++) {
        struct counts_change c = {.change.apply = read_counts,
                                  .policy = l.names.list[i]};

        rc = deferred_submit(d, &c.change);
        rc = rc ? rc : visit(arg, &c.out);
    }
    free(l.names.list);
    return rc;
}
