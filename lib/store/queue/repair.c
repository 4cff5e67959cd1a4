/* Rebuilds the index, the keys, the counts and meta from the heads, after one
 * of those records was found damaged.  Total counts stay if they are readable.
 * Work with an unreadable head becomes dead, under its policy in the old index,
 * else under "". */
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "store/file/place.h"
#include "store/file/seal.h"

enum { ID_JUMP = 1000000 /* beyond all ids that may have been used */ };

struct repair {
    struct work *w;
    uint64_t *ids; /* of all heads */
    size_t count;
    struct deferred_place *places; /* of unreadable heads */
    size_t place_count;
    uint64_t counted; /* pieces by the old counts */
};

/* ---- finding all work ---- */

static int
collect_id(void *arg, const MDB_val *key, const MDB_val *value)
{
    struct repair *r = arg;
    uint64_t id = deferred_key_id(key->mv_data, key->mv_size), *ids;

    (void)value;
    if (!id) {
        return MDB_CORRUPTED;
    }
    ids = array_more(r->ids, r->count, sizeof(*ids));
    if (!ids) {
        return ENOMEM;
    }
    r->ids = ids;
    ids[r->count++] = id;
    return 0;
}

/* Copies the policy of an unreadable head from the old index. */
static int
copy_policy(void *arg, const MDB_val *key, const MDB_val *value)
{
    struct deferred_place *wanted = arg, p;
    size_t length;

    if (seal_read(key->mv_data, key->mv_size, value->mv_data, value->mv_size,
                  &length) &&
        deferred_place_read(key->mv_data, key->mv_size, &p) &&
        p.id == wanted->id) {
        memcpy(wanted->policy, p.policy, sizeof(p.policy));
        return MDB_KEYEXIST;
    }
    return 0;
}

static int
note_unreadable(struct repair *r, uint64_t id)
{
    const uint8_t all = DEFERRED_INDEX;
    struct deferred_place place = {.state = DEFERRED_DEAD, .id = id};
    struct deferred_place *more =
        array_more(r->places, r->place_count, sizeof(*more));
    int rc;

    if (!more) {
        return ENOMEM;
    }
    r->places = more;
    rc = tree_each(r->w, &all, 1, copy_policy, &place);
    r->places[r->place_count++] = place;
    return rc == MDB_KEYEXIST ? 0 : rc;
}

static int
find_unreadable(struct repair *r)
{
    struct tree_item item;
    int rc = 0;

    for (size_t i = 0; i < r->count && !rc; i++) {
        bool damaged = false;

        rc = tree_head(r->w, r->ids[i], &item, &damaged);
        if (!rc && damaged) {
            rc = note_unreadable(r, r->ids[i]);
        }
    }
    return rc;
}

/* ---- deleting the old records ---- */

static int
copy_key(void *arg, const MDB_val *key, const MDB_val *value)
{
    MDB_val *out = arg;

    (void)value;
    if (key->mv_size > DEFERRED_KEY_ROOM) {
        return MDB_CORRUPTED;
    }
    memcpy(out->mv_data, key->mv_data, key->mv_size);
    out->mv_size = key->mv_size;
    return MDB_KEYEXIST;
}

static int
delete_kind(struct work *w, uint8_t kind)
{
    uint8_t key[DEFERRED_KEY_ROOM];
    MDB_val found = {.mv_data = key};
    int rc;

    while ((rc = tree_each(w, &kind, 1, copy_key, &found)) == MDB_KEYEXIST) {
        rc = tree_delete(w, key, found.mv_size);
        if (rc) {
            return rc;
        }
    }
    return rc;
}

struct policy_names {
    char (*list)[BIDE_NAME_MAX + 1];
    size_t count;
};

static int
collect_name(void *arg, const MDB_val *key, const MDB_val *value)
{
    struct policy_names *n = arg;
    size_t length = key->mv_size - 1;
    void *more = array_more(n->list, n->count, sizeof(*n->list));

    (void)value;
    if (!more) {
        return ENOMEM;
    }
    n->list = more;
    if (length <= BIDE_NAME_MAX) {
        memcpy(n->list[n->count], (const char *)key->mv_data + 1, length);
        n->list[n->count++][length] = '\0';
    }
    return 0;
}

/* Keeps the total counts and sets the current ones to 0. */
static int
reset_counts(struct work *w, uint64_t *out_counted)
{
    const uint8_t all = DEFERRED_COUNTS;
    struct policy_names names = {0};
    int rc = tree_each(w, &all, 1, collect_name, &names);

    for (size_t i = 0; i < names.count && !rc; i++) {
        struct tree_counts c = {0};

        rc = tree_counts(w, names.list[i], &c);
        if (rc == DEFERRED_REPAIR) {
            c = (struct tree_counts){0};
            rc = 0;
        }
        *out_counted += c.waiting + c.leased + c.dead;
        c.waiting = c.leased = c.dead = c.bytes = 0;
        c.stored = c.done + c.dropped;
        rc = rc ? rc : tree_put_counts(w, names.list[i], &c);
    }
    free(names.list);
    return rc;
}

/* ---- writing the new records ---- */

static int
count_again(struct work *w, const struct deferred_place *p, size_t bytes)
{
    struct tree_counts c;
    int rc = tree_counts(w, p->policy, &c);

    c.stored++;
    c.bytes += bytes;
    c.waiting += p->state == DEFERRED_WAITING;
    c.leased += p->state == DEFERRED_LEASED;
    c.dead += p->state == DEFERRED_DEAD;
    return rc ? rc : tree_put_counts(w, p->policy, &c);
}

static int
index_head(struct work *w, uint64_t id)
{
    struct deferred_place place;
    struct tree_item item;
    bool damaged = false;
    int rc = tree_head(w, id, &item, &damaged);

    if (rc || damaged) {
        return rc;
    }
    place = deferred_place_of(&item.head);
    rc = tree_put_place(w, &place);
    if (!rc && *item.head.key) {
        rc = tree_put_key(w, &item.head);
    }
    return rc ? rc : count_again(w, &place, item.head.length);
}

static int
index_all(struct repair *r)
{
    struct work *w = r->w;
    uint64_t last = r->count ? r->ids[r->count - 1] : 0;
    int rc = 0;

    for (size_t i = 0; i < r->count && !rc; i++) {
        rc = index_head(w, r->ids[i]);
    }
    for (size_t i = 0; i < r->place_count && !rc; i++) {
        rc = tree_put_place(w, &r->places[i]);
        rc = rc ? rc : count_again(w, &r->places[i], 0);
    }
    if (w->meta.next <= last) {
        w->meta.next = last + ID_JUMP;
    }
    return rc;
}

int
tree_repair(struct work *w)
{
    const uint8_t heads = DEFERRED_HEAD;
    struct repair r = {.w = w};
    int rc = tree_each(w, &heads, 1, collect_id, &r);

    w->changed = true;
    if (w->meta.format != DEFERRED_FORMAT && tree_meta(w)) {
        /* Leases are treated as leases of this boot: they expire. */
        w->meta = tree_new_meta(w);
    }
    tree_note_missing(w);
    if (!rc) {
        rc = find_unreadable(&r);
    }
    if (!rc) {
        rc = delete_kind(w, DEFERRED_INDEX);
    }
    if (!rc) {
        rc = delete_kind(w, DEFERRED_BY_KEY);
    }
    if (!rc) {
        rc = reset_counts(w, &r.counted);
    }
    if (!rc) {
        rc = index_all(&r);
    }
    if (r.counted > r.count) {
        w->meta.lost += r.counted - r.count;
        w->meta.lost_ns = w->now.realtime_ns;
    }
    free(r.places);
    free(r.ids);
    return rc;
}

/* ---- verifying ---- */

static int
verify_head(struct verify *v, uint64_t id, const MDB_val *value)
{
    uint8_t key[DEFERRED_KEY_ROOM];
    struct deferred_place p;
    struct tree_item item;
    MDB_val found;
    bool whole = deferred_head_read(id, value->mv_data, value->mv_size,
                                    &item.head, &item.payload);
    int rc = v->piece ? v->piece(v, id, whole ? &item : NULL) : 0;

    v->heads++;
    if (rc || !whole) {
        return rc; /* a damaged one is set aside when it is taken */
    }
    v->keyed += *item.head.key != '\0';
    p = deferred_place_of(&item.head);
    rc = tree_get(v->w, key, deferred_place_key(&p, key), &found);
    v->unlisted += rc == MDB_NOTFOUND;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static void
verify_counts(struct verify *v, const MDB_val *key, const MDB_val *value)
{
    char policy[BIDE_NAME_MAX + 1];
    struct tree_counts c;
    size_t length = key->mv_size - 1;

    if (length <= BIDE_NAME_MAX &&
        seal_copy(key->mv_data, key->mv_size, value->mv_data, value->mv_size,
                  &c, sizeof(c))) {
        deferred_text((const uint8_t *)key->mv_data + 1, policy, length);
        c.waiting += c.leased + c.dead;
        v->counted += c.waiting;
        if (v->count) {
            v->count(v, policy, c.waiting);
        }
    }
}

static int
verify_record(void *arg, const MDB_val *key, const MDB_val *value)
{
    uint8_t kind = *(const uint8_t *)key->mv_data;
    struct verify *v = arg;
    size_t length;

    switch (kind) {
    case DEFERRED_HEAD:
        return verify_head(v, deferred_key_id(key->mv_data, key->mv_size),
                           value);
    case DEFERRED_PAYLOAD: /* its checksum is in its head */
    case DEFERRED_LOG:
        return 0;
    case DEFERRED_COUNTS:
        verify_counts(v, key, value);
    }
    v->places += kind == DEFERRED_INDEX;
    v->keys += kind == DEFERRED_BY_KEY;
    v->damaged += !seal_read(key->mv_data, key->mv_size, value->mv_data,
                             value->mv_size, &length);
    return 0;
}

int
tree_verify(struct work *w, struct verify *v)
{
    v->w = w;
    return tree_each(w, "", 0, verify_record, v);
}

/* ---- removing damaged work ---- */

static int
find_place_of_id(void *arg, const MDB_val *key, const MDB_val *value)
{
    struct deferred_place *wanted = arg, p;

    (void)value;
    if (!deferred_place_read(key->mv_data, key->mv_size, &p)) {
        return DEFERRED_REPAIR;
    }
    if (p.id != wanted->id) {
        return 0;
    }
    *wanted = p;
    return MDB_KEYEXIST;
}

int
tree_remove_damaged(struct work *w, uint64_t id,
                    char out_policy[BIDE_NAME_MAX + 1])
{
    const uint8_t all = DEFERRED_INDEX;
    struct deferred_place place = {.id = id};
    struct tree_counts counts;
    int rc = tree_each(w, &all, 1, find_place_of_id, &place);

    if (rc != MDB_KEYEXIST) {
        return rc ? rc : DEFERRED_REPAIR;
    }
    strcpy(out_policy, place.policy);
    rc = tree_counts(w, place.policy, &counts);
    counts.dropped++;
    if (!rc) {
        rc = tree_put_counts(w, place.policy, &counts);
    }
    if (!rc) {
        rc = tree_delete_records(w, id);
    }
    /* Its size and key are unknown, so counts and keys are rebuilt. */
    return rc ? rc : tree_repair(w);
}
