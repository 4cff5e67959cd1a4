/* Reads and writes the records of deferred.mdb within a transaction.
 *
 * Example, after "mail" stored works 1 and 2 (key "order-9"), of which 1 is
 * leased until 5000:
 *   'a'                            -> crc, format 2, boot, next id 3
 *   'c' mail                       -> crc, stored 2, waiting 1, leased 1 ...
 *   'h' ...01                      -> head: leased
 *   'h' ...02                      -> head: waiting
 *   'i' mail 00 00 <due> ...02     -> crc
 *   'i' mail 00 01 <5000> ...01    -> crc
 *   'j'                            -> crc, id of the journal, 7: its batches
 *                                     up to 7 are included
 *   'k' mail 00 order-9            -> crc, 2 */
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/crc32c.h"
#include "store/file/seal.h"
#include "file.h"
#include "scan.h"

_Static_assert(sizeof(struct tree_counts) == 64, "no holes");

/* ---- sealed records ---- */

int
tree_put_sealed(struct work *w, const void *key, size_t length,
                const void *value, size_t value_length)
{
    uint8_t sealed[4 + sizeof(struct tree_counts)];

    return tree_put(w, key, length, sealed,
                    seal_write(key, length, value, value_length, sealed));
}

int
tree_get_sealed(struct work *w, const void *key, size_t length, void *out,
                size_t size)
{
    MDB_val v;
    int rc = tree_get(w, key, length, &v);

    if (rc) {
        return rc;
    }
    return seal_copy(key, length, v.mv_data, v.mv_size, out, size)
               ? 0
               : DEFERRED_REPAIR;
}

/* ---- counts ---- */

int
tree_counts(struct work *w, const char *policy, struct tree_counts *out)
{
    uint8_t key[DEFERRED_KEY_ROOM];
    int rc =
        tree_get_sealed(w, key, deferred_name_key(DEFERRED_COUNTS, policy, key),
                        out, sizeof(*out));

    if (rc == MDB_NOTFOUND) {
        *out = (struct tree_counts){0};
        rc = 0;
    }
    return rc;
}

int
tree_put_counts(struct work *w, const char *policy,
                const struct tree_counts *counts)
{
    uint8_t key[DEFERRED_KEY_ROOM];

    return tree_put_sealed(w, key,
                           deferred_name_key(DEFERRED_COUNTS, policy, key),
                           counts, sizeof(*counts));
}

static uint64_t *
count_for_state(struct tree_counts *c, enum deferred_state state)
{
    return state == DEFERRED_WAITING  ? &c->waiting
           : state == DEFERRED_LEASED ? &c->leased
                                      : &c->dead;
}

static int
add_to_counts(struct work *w, const struct deferred_place *p, size_t bytes)
{
    struct tree_counts counts;
    int rc = tree_counts(w, p->policy, &counts);

    counts.stored++;
    counts.bytes += bytes;
    ++*count_for_state(&counts, p->state);
    return rc ? rc : tree_put_counts(w, p->policy, &counts);
}

static int
add_policy(void *arg, const MDB_val *key, const MDB_val *value)
{
    struct tree_policies *policies = arg;
    size_t length = key->mv_size - 1;
    char *name;

    (void)value;
    if (length > BIDE_NAME_MAX) {
        return 0; /* the queue writes no such record */
    }
    name =
        array_add(&policies->list, &policies->count, sizeof(*policies->list));
    if (name) {
        memcpy(name, (const char *)key->mv_data + 1, length);
    }
    return name ? 0 : ENOMEM;
}

int
tree_policies(struct work *w, struct tree_policies *out)
{
    const uint8_t all = DEFERRED_COUNTS;

    out->count = 0;
    return tree_each(w, &all, 1, add_policy, out);
}

/* ---- places ---- */

static int
put_place(struct work *w, const struct deferred_place *p)
{
    uint8_t key[DEFERRED_KEY_ROOM];

    return tree_put_sealed(w, key, deferred_place_key(p, key), NULL, 0);
}

static int
delete_place(struct work *w, const struct deferred_place *p)
{
    uint8_t key[DEFERRED_KEY_ROOM];
    int rc = tree_delete(w, key, deferred_place_key(p, key));

    return rc == MDB_NOTFOUND ? DEFERRED_REPAIR : rc;
}

bool
tree_read_place(const MDB_val *key, const MDB_val *value,
                struct deferred_place *out)
{
    size_t length;

    return seal_read(key->mv_data, key->mv_size, value->mv_data, value->mv_size,
                     &length) &&
           deferred_place_read(key->mv_data, key->mv_size, out);
}

static int
read_first_place(void *arg, const MDB_val *key, const MDB_val *value)
{
    return tree_read_place(key, value, arg) ? MDB_KEYEXIST : DEFERRED_REPAIR;
}

int
tree_next(struct work *w, struct deferred_place *place)
{
    struct deferred_place from = *place;
    uint8_t key[DEFERRED_KEY_ROOM];
    size_t length;
    int rc;

    from.id++;
    length = deferred_place_key(&from, key);
    rc = tree_each_from(w, key, length - 2 * sizeof(uint64_t), key, length,
                        read_first_place, place);
    return rc == MDB_KEYEXIST ? 0 : rc ? rc : MDB_NOTFOUND;
}

int
tree_first(struct work *w, const char *policy, enum deferred_state state,
           struct deferred_place *out)
{
    *out = (struct deferred_place){.state = state}; /* before all of them */
    strcpy(out->policy, policy);
    return tree_next(w, out);
}

static int
add_id(void *arg, const MDB_val *key, const MDB_val *value)
{
    struct tree_ids *ids = arg;
    struct deferred_place p;

    if (!tree_read_place(key, value, &p)) {
        return DEFERRED_REPAIR;
    }
    if (ids->leased && p.state != DEFERRED_LEASED) {
        return 0;
    }
    return array_put(&ids->list, &ids->count, &p.id, sizeof(p.id)) ? 0 : ENOMEM;
}

int
tree_ids(struct work *w, const char *policy, struct tree_ids *out)
{
    uint8_t key[DEFERRED_KEY_ROOM] = {DEFERRED_INDEX};
    size_t length = 1;

    if (policy) {
        length = deferred_name_key(DEFERRED_INDEX, policy, key);
        key[length++] = '\0';
    }
    out->count = 0;
    return tree_each(w, key, length, add_id, out);
}

/* ---- heads and payloads ---- */

int
tree_head(struct work *w, uint64_t id, struct tree_item *out)
{
    uint8_t key[DEFERRED_KEY_ROOM];
    MDB_val v;
    int rc = tree_get(w, key, deferred_id_key(DEFERRED_HEAD, id, key), &v);

    if (!rc && !deferred_head_read(id, v.mv_data, v.mv_size, &out->head,
                                   &out->payload)) {
        rc = DEFERRED_UNREADABLE;
    }
    if (!rc && out->payload.bytes) {
        /* Copied: writing the head again can change these bytes in the map. */
        memcpy(out->kept, out->payload.bytes, out->head.length);
        out->payload.bytes = out->kept;
    }
    return rc;
}

int
tree_listed_head(struct work *w, uint64_t id, struct tree_item *out)
{
    int rc = tree_head(w, id, out);

    return rc == MDB_NOTFOUND ? DEFERRED_REPAIR : rc;
}

int
tree_payload(struct work *w, struct tree_item *item, void **out)
{
    size_t length = item->head.length;
    const void *bytes = item->payload.bytes;
    uint8_t key[DEFERRED_KEY_ROOM];
    void *copy;
    MDB_val v;
    int rc;

    if (!bytes) {
        rc = tree_get(
            w, key, deferred_id_key(DEFERRED_PAYLOAD, item->head.id, key), &v);
        if (rc || v.mv_size != length) {
            return rc ? rc : MDB_NOTFOUND;
        }
        bytes = v.mv_data;
    }
    if (crc32c(0, bytes, length) != item->payload.crc) {
        return MDB_NOTFOUND;
    }
    copy = malloc(length + 1); /* with a NUL, for printing */
    if (!copy) {
        return ENOMEM;
    }
    memcpy(copy, bytes, length);
    ((char *)copy)[length] = '\0';
    *out = copy;
    return 0;
}

static int
put_head(struct work *w, struct tree_item *item)
{
    uint8_t key[DEFERRED_KEY_ROOM], head[DEFERRED_HEAD_ROOM];
    size_t length = deferred_head_write(&item->head, &item->payload, head);

    return tree_put(w, key, deferred_id_key(DEFERRED_HEAD, item->head.id, key),
                    head, length);
}

/* ---- work ---- */

int
tree_list(struct work *w, const struct deferred_item *head)
{
    struct deferred_place place = deferred_place_of(head);
    uint8_t key[DEFERRED_KEY_ROOM];
    int rc = put_place(w, &place);

    if (!rc && *head->key) {
        rc = tree_put_sealed(w, key,
                             deferred_work_key(head->policy, head->key, key),
                             &head->id, sizeof(head->id));
    }
    return rc ? rc : add_to_counts(w, &place, head->length);
}

int
tree_add(struct work *w, struct tree_item *item)
{
    struct deferred_item *head = &item->head;
    uint8_t key[DEFERRED_KEY_ROOM];
    int rc = 0;

    item->payload.crc = crc32c(0, item->payload.bytes, head->length);
    if (head->length > DEFERRED_SHORT) {
        rc = tree_put(w, key, deferred_id_key(DEFERRED_PAYLOAD, head->id, key),
                      item->payload.bytes, head->length);
        item->payload.bytes = NULL;
    }
    rc = rc ? rc : put_head(w, item);
    return rc ? rc : tree_list(w, head);
}

static int
move_place(struct work *w, const struct deferred_place *from,
           const struct deferred_place *to)
{
    struct tree_counts counts;
    int rc = delete_place(w, from);

    rc = rc ? rc : put_place(w, to);
    if (rc || from->state == to->state) {
        return rc;
    }
    rc = tree_counts(w, to->policy, &counts);
    if (rc || !*count_for_state(&counts, from->state)) {
        return rc ? rc : DEFERRED_REPAIR;
    }
    --*count_for_state(&counts, from->state);
    ++*count_for_state(&counts, to->state);
    counts.died += to->state == DEFERRED_DEAD;
    return tree_put_counts(w, to->policy, &counts);
}

int
tree_move(struct work *w, struct tree_item *item,
          const struct deferred_place *was)
{
    struct deferred_place place = deferred_place_of(&item->head);
    int rc = move_place(w, was, &place);

    return rc ? rc : put_head(w, item);
}

int
tree_set_aside(struct work *w, const struct deferred_place *was)
{
    struct deferred_place place = *was;

    place.state = DEFERRED_DEAD;
    place.time_ns = 0;
    return move_place(w, was, &place);
}

int
tree_delete_records(struct work *w, uint64_t id)
{
    uint8_t key[DEFERRED_KEY_ROOM];
    int rc = tree_delete(w, key, deferred_id_key(DEFERRED_PAYLOAD, id, key));

    return rc && rc != MDB_NOTFOUND
               ? rc
               : tree_delete(w, key, deferred_id_key(DEFERRED_HEAD, id, key));
}

int
tree_remove(struct work *w, struct tree_item *item, bool dropped)
{
    const struct deferred_item *head = &item->head;
    struct deferred_place place = deferred_place_of(head);
    uint8_t key[DEFERRED_KEY_ROOM];
    struct tree_counts counts;
    int rc = tree_counts(w, head->policy, &counts);

    if (!rc && (!*count_for_state(&counts, head->state) ||
                counts.bytes < head->length)) {
        rc = DEFERRED_REPAIR;
    }
    rc = rc ? rc : delete_place(w, &place);
    if (!rc && *head->key) {
        rc = tree_delete(w, key,
                         deferred_work_key(head->policy, head->key, key));
        rc = rc == MDB_NOTFOUND ? DEFERRED_REPAIR : rc;
    }
    rc = rc ? rc : tree_delete_records(w, head->id);
    --*count_for_state(&counts, head->state);
    counts.bytes -= head->length;
    counts.dropped += dropped;
    counts.done += !dropped;
    return rc ? rc : tree_put_counts(w, head->policy, &counts);
}

/* ---- a transaction ---- */

static const uint8_t meta_key = DEFERRED_META;

static int
end_lease(struct work *w, uint64_t id)
{
    struct deferred_place was;
    struct tree_item item;
    int rc = tree_listed_head(w, id, &item);

    if (rc) {
        return rc == DEFERRED_UNREADABLE ? 0 : rc;
    }
    was = deferred_place_of(&item.head);
    item.head.state = DEFERRED_WAITING;
    item.head.due_ns = w->now.realtime_ns;
    item.head.lease = item.head.lease_ends_ns = 0;
    return tree_move(w, &item, &was);
}

/* Ends all leases of an earlier boot: their holders and their clock are gone.
 */
static int
end_leases(struct work *w)
{
    struct tree_ids ids = {.leased = true};
    int rc = tree_ids(w, NULL, &ids);

    for (size_t i = 0; i < ids.count && !rc; i++) {
        rc = end_lease(w, ids.list[i]);
    }
    free(ids.list);
    return rc;
}

struct deferred_meta
tree_new_meta(const struct work *w)
{
    return (struct deferred_meta){.format = DEFERRED_FORMAT,
                                  .boot = w->now.boot,
                                  .next = 1,
                                  .registry = deferred_registry(w->d)};
}

int
tree_meta(struct work *w)
{
    const uint8_t *value;
    uint32_t format;
    size_t length;
    MDB_val v;
    int rc = tree_get(w, &meta_key, 1, &v);

    if (rc) {
        return rc;
    }
    value = seal_read(&meta_key, 1, v.mv_data, v.mv_size, &length);
    if (!value || length < sizeof(format)) {
        return DEFERRED_REPAIR;
    }
    /* First of all: the meta of another format may have another size. */
    memcpy(&format, value, sizeof(format));
    if (pages_format(w->d->path, format, DEFERRED_FORMAT)) {
        return MDB_VERSION_MISMATCH;
    }
    if (length != sizeof(w->meta)) {
        return DEFERRED_REPAIR;
    }
    memcpy(&w->meta, value, length);
    return 0;
}

/* Reports whether meta is of this boot.  Returns true without a boot id,
 * because such a process must not end the leases of others. */
static bool
is_this_boot(const struct work *w)
{
    return !w->now.boot || w->meta.boot == w->now.boot;
}

void
tree_note_missing(struct work *w)
{
    uint64_t next = w->d->check.next;

    next = next ? next : w->meta.next + w->d->journal.cut;
    if (w->meta.next < next) {
        w->meta.lost += next - w->meta.next;
        w->meta.lost_ns = w->now.realtime_ns;
        w->meta.next = next;
    }
}

int
tree_begin(struct work *w)
{
    int rc = tree_meta(w);

    if (!w->direct && (rc == MDB_NOTFOUND || (!rc && !is_this_boot(w)))) {
        return DEFERRED_DIRECT; /* may be too much for the journal */
    }
    if (rc == MDB_NOTFOUND) {
        MDB_stat st;

        /* A new file is empty; otherwise meta was lost. */
        rc = mdb_stat(w->txn, w->d->file.dbi, &st);
        w->meta = tree_new_meta(w);
        tree_note_missing(w);
        return rc ? rc : st.ms_entries ? DEFERRED_REPAIR : 0;
    }
    if (rc) {
        return rc;
    }
    tree_note_missing(w);
    if (!is_this_boot(w)) {
        w->meta.boot = w->now.boot;
        w->changed = true;
        rc = end_leases(w);
    }
    return rc;
}

int
tree_put_mark(struct work *w)
{
    const uint8_t key = DEFERRED_JOURNAL;
    struct journal_mark mark = {w->d->journal.id, w->d->journal.next - 1};

    return tree_put_sealed(w, &key, 1, &mark, sizeof(mark));
}

int
tree_end(struct work *w)
{
    int rc = tree_put_sealed(w, &meta_key, 1, &w->meta, sizeof(w->meta));

    if (rc || !w->direct) {
        return rc;
    }
    deferred_journal_take_over(w->d);
    return w->d->journal.id ? tree_put_mark(w) : 0;
}
