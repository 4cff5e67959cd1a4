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
    struct tree_ids ids;           /* of all readable heads */
    struct deferred_place *places; /* of the others */
    size_t place_count;
    uint64_t last;    /* the highest id */
    uint64_t counted; /* pieces by the old counts */
};

/* ---- finding all work ---- */

static int
match_place(void *arg, const MDB_val *key, const MDB_val *value)
{
    struct deferred_place *wanted = arg, p;

    if (!tree_read_place(key, value, &p) || p.id != wanted->id) {
        return 0;
    }
    *wanted = p;
    return MDB_KEYEXIST;
}

/* Finds work with an unreadable head in the index.  Returns MDB_NOTFOUND if it
 * is not there; *out has its id and the policy "" then. */
static int
find_place(struct work *w, uint64_t id, struct deferred_place *out)
{
    const uint8_t all = DEFERRED_INDEX;
    int rc;

    *out = (struct deferred_place){.id = id};
    rc = tree_each(w, &all, 1, match_place, out);
    return rc == MDB_KEYEXIST ? 0 : rc ? rc : MDB_NOTFOUND;
}

static int
note_unreadable(struct repair *r, uint64_t id)
{
    struct deferred_place *place =
        array_add(&r->places, &r->place_count, sizeof(*place));
    int rc = place ? find_place(r->w, id, place) : ENOMEM;

    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int
collect_head(void *arg, const MDB_val *key, const MDB_val *value)
{
    struct repair *r = arg;
    struct deferred_item item;
    struct deferred_payload payload;

    r->last = deferred_key_id(key->mv_data, key->mv_size);
    if (!r->last) {
        return MDB_CORRUPTED;
    }
    if (!deferred_head_read(r->last, value->mv_data, value->mv_size, &item,
                            &payload)) {
        return note_unreadable(r, r->last);
    }
    return array_put(&r->ids.list, &r->ids.count, &r->last, sizeof(r->last))
               ? 0
               : ENOMEM;
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

/* Keeps the total counts and sets the current ones to 0. */
static int
reset_counts(struct work *w, uint64_t *out_counted)
{
    struct tree_policies names = {0};
    int rc = tree_policies(w, &names);

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
index_all(struct repair *r)
{
    struct work *w = r->w;
    int rc = 0;

    for (size_t i = 0; i < r->ids.count && !rc; i++) {
        struct tree_item item;

        rc = tree_head(w, r->ids.list[i], &item);
        rc = rc ? rc : tree_list(w, &item.head);
    }
    for (size_t i = 0; i < r->place_count && !rc; i++) {
        struct deferred_item head = {.id = r->places[i].id,
                                     .state = DEFERRED_DEAD};

        strcpy(head.policy, r->places[i].policy);
        rc = tree_list(w, &head);
    }
    if (w->meta.next <= r->last) {
        w->meta.next = r->last + ID_JUMP;
    }
    return rc;
}

int
tree_repair(struct work *w)
{
    const uint8_t heads = DEFERRED_HEAD;
    struct repair r = {.w = w};
    int rc = tree_each(w, &heads, 1, collect_head, &r);
    uint64_t found = r.ids.count + r.place_count;

    w->changed = true;
    if (w->meta.format != DEFERRED_FORMAT && tree_meta(w)) {
        /* Leases are treated as leases of this boot: they expire. */
        w->meta = tree_new_meta(w);
    }
    tree_note_missing(w);
    rc = rc ? rc : delete_kind(w, DEFERRED_INDEX);
    rc = rc ? rc : delete_kind(w, DEFERRED_BY_KEY);
    rc = rc ? rc : reset_counts(w, &r.counted);
    rc = rc ? rc : index_all(&r);
    if (r.counted > found) {
        w->meta.lost += r.counted - found;
        w->meta.lost_ns = w->now.realtime_ns;
    }
    free(r.places);
    free(r.ids.list);
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
    if (rc) {
        return rc;
    }
    if (whole) {
        v->keyed += *item.head.key != '\0';
        p = deferred_place_of(&item.head);
        rc = tree_get(v->w, key, deferred_place_key(&p, key), &found);
    } else { /* it is set aside when it is taken */
        rc = find_place(v->w, id, &p);
    }
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
        key_text((const uint8_t *)key->mv_data + 1, policy, length);
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

int
tree_remove_damaged(struct work *w, uint64_t id,
                    char out_policy[BIDE_NAME_MAX + 1])
{
    struct deferred_place place;
    struct tree_counts counts;
    int rc = find_place(w, id, &place);

    if (rc) {
        return rc == MDB_NOTFOUND ? DEFERRED_REPAIR : rc;
    }
    strcpy(out_policy, place.policy);
    rc = tree_counts(w, place.policy, &counts);
    counts.dropped++;
    rc = rc ? rc : tree_put_counts(w, place.policy, &counts);
    rc = rc ? rc : tree_delete_records(w, id);
    /* Its size and key are unknown, so counts and keys are rebuilt. */
    return rc ? rc : tree_repair(w);
}
