/* Reads work and counts, for operators.  A long walk is a sequence of short
 * transactions, so that services are not kept waiting. */
#include "file.h"
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
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
    bool damaged = false;
    void *bytes;
    int rc = tree_head(w, o->id, &item, &damaged);

    if (rc == MDB_NOTFOUND) {
        return deferred_refuse(c, BIDE_ENOWORK, o->id);
    }
    if (rc) {
        return rc;
    }
    if (!damaged) {
        rc = tree_payload(w, &item, &bytes);
        damaged = rc == MDB_NOTFOUND;
    }
    if (damaged) {
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
    struct get_change o = {.id = id, .out = out};

    o.change.apply = read_work;
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
        w->meta.lost = 0;
        w->meta.registry = deferred_registry(w->d);
        w->changed = true;
    }
    return 0;
}

int
deferred_lost(struct deferred *d, bool repair, struct deferred_lost *out)
{
    struct lost_change l = {.repair = repair};
    int rc;

    l.change.apply = read_lost;
    l.change.durable = repair;
    rc = deferred_submit(d, &l.change);
    *out = l.out;
    return rc;
}

/* ---- all work of a policy ---- */

struct ids_change {
    struct change change;
    char policy[BIDE_NAME_MAX + 1];
    uint64_t *list;
    size_t count;
};

static int
add_id(void *arg, const MDB_val *key, const MDB_val *value)
{
    struct ids_change *ids = arg;
    struct deferred_place p;
    uint64_t *list;

    (void)value;
    if (!deferred_place_read(key->mv_data, key->mv_size, &p)) {
        return DEFERRED_REPAIR;
    }
    list = array_more(ids->list, ids->count, sizeof(*list));
    if (!list) {
        return ENOMEM;
    }
    ids->list = list;
    list[ids->count++] = p.id;
    return 0;
}

static int
list_ids(struct work *w, struct change *c)
{
    struct ids_change *ids = (struct ids_change *)c;
    uint8_t key[DEFERRED_KEY_ROOM];
    size_t length = deferred_name_key(DEFERRED_INDEX, ids->policy, key);

    key[length++] = '\0';
    ids->count = 0;
    return tree_each(w, key, length, add_id, ids);
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
        struct deferred_item *out = &p->items[p->found];
        bool damaged = false;

        rc = tree_head(w, p->ids[i], &item, &damaged);
        if (rc == MDB_NOTFOUND) {
            rc = 0; /* completed or dropped meanwhile */
            continue;
        }
        if (!rc && damaged) {
            *out = (struct deferred_item){
                .id = p->ids[i], .state = DEFERRED_DEAD, .length = SIZE_MAX};
            strcpy(out->policy, p->policy);
        } else if (!rc) {
            *out = item.head;
        }
        p->found += !rc;
    }
    return rc;
}

static int
visit_ids(struct deferred *d, const struct ids_change *ids,
          int (*visit)(void *arg, const struct deferred_item *item), void *arg)
{
    struct piece_change *p = calloc(1, sizeof(*p));
    int rc = p ? 0 : place_failed(d->path, ENOMEM);

    for (size_t at = 0; at < ids->count && !rc; at += p->count) {
        p->change.apply = read_piece;
        p->policy = ids->policy;
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
    struct ids_change ids = {0};
    int rc;

    ids.change.apply = list_ids;
    strcpy(ids.policy, policy);
    rc = deferred_submit(d, &ids.change);
    if (!rc && ids.count) {
        qsort(ids.list, ids.count, sizeof(*ids.list), compare_ids);
        rc = visit_ids(d, &ids, visit, arg);
    }
    free(ids.list);
    return rc;
}

/* ---- all policies ---- */

struct names_change {
    struct change change;
    char (*list)[BIDE_NAME_MAX + 1];
    size_t count;
};

static int
add_name(void *arg, const MDB_val *key, const MDB_val *value)
{
    struct names_change *n = arg;
    size_t length = key->mv_size - 1;
    void *more;

    (void)value;
    if (length > BIDE_NAME_MAX) {
        return DEFERRED_REPAIR;
    }
    more = array_more(n->list, n->count, sizeof(*n->list));
    if (!more) {
        return ENOMEM;
    }
    n->list = more;
    memcpy(n->list[n->count], (const char *)key->mv_data + 1, length);
    n->list[n->count++][length] = '\0';
    return 0;
}

static int
list_names(struct work *w, struct change *c)
{
    struct names_change *n = (struct names_change *)c;
    const uint8_t all = DEFERRED_COUNTS;

    n->count = 0;
    return tree_each(w, &all, 1, add_name, n);
}

int
deferred_each(struct deferred *d, const char *policy,
              int (*visit)(void *arg, const struct deferred_item *item),
              void *arg)
{
    struct names_change names = {0};
    int rc;

    if (policy) {
        return strnlen(policy, BIDE_NAME_MAX + 1) <= BIDE_NAME_MAX
                   ? visit_policy(d, policy, visit, arg)
                   : place_say(BIDE_ENAME, "not the name of a policy");
    }
    names.change.apply = list_names;
    rc = deferred_submit(d, &names.change);
    for (size_t i = 0; i < names.count && !rc; i++) {
        rc = visit_policy(d, names.list[i], visit, arg);
    }
    free(names.list);
    return rc;
}

/* ---- counts ---- */

struct counts_change {
    struct change change;
    const char *policy;
    uint64_t lowest;
    struct deferred_counts out;
};

static int
note_lowest_id(void *arg, const MDB_val *key, const MDB_val *value)
{
    struct counts_change *c = arg;
    struct deferred_place p;

    (void)value;
    if (!deferred_place_read(key->mv_data, key->mv_size, &p)) {
        return DEFERRED_REPAIR;
    }
    c->lowest = p.id < c->lowest ? p.id : c->lowest;
    return 0;
}

/* Finds the oldest work of a policy: the work with the lowest id. */
static int
find_oldest(struct work *w, struct counts_change *c)
{
    uint8_t key[DEFERRED_KEY_ROOM];
    size_t length = deferred_name_key(DEFERRED_INDEX, c->policy, key);
    struct tree_item item;
    bool damaged = false;
    int rc;

    key[length++] = '\0';
    c->lowest = UINT64_MAX;
    rc = tree_each(w, key, length, note_lowest_id, c);
    if (rc || c->lowest == UINT64_MAX) {
        return rc;
    }
    rc = tree_head(w, c->lowest, &item, &damaged);
    if (!rc && !damaged) {
        c->out.oldest_ns = item.head.stored_ns;
    }
    return rc == MDB_NOTFOUND ? DEFERRED_REPAIR : rc;
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
    struct names_change names = {0};
    int rc;

    names.change.apply = list_names;
    rc = deferred_submit(d, &names.change);
    for (size_t i = 0; i < names.count && !rc; i++) {
        struct counts_change c = {.policy = names.list[i]};

        c.change.apply = read_counts;
        rc = deferred_submit(d, &c.change);
        rc = rc ? rc : visit(arg, &c.out);
    }
    free(names.list);
    return rc;
}
