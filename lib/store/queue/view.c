/* Reads and writes single records.  With w->direct in deferred.mdb; else a
 * record in memory (d->recent) replaces the one in deferred.mdb. */
#include "tree.h"

#include <string.h>

#include "recent.h"

static bool
has_prefix(const MDB_val *key, const void *prefix, size_t length)
{
    return key->mv_size >= length && !memcmp(key->mv_data, prefix, length);
}

int
tree_get(struct work *w, const void *key, size_t length, MDB_val *out)
{
    const struct recent_node *n =
        w->direct ? NULL : recent_find(w->d->recent, key, length);
    MDB_val k = lmdb_val(key, length);

    if (!n) {
        return mdb_get(w->txn, w->d->file.dbi, &k, out);
    }
    *out = lmdb_val(n->value->bytes, n->value->length);
    return n->value->kind == RECENT_HERE ? 0 : MDB_NOTFOUND;
}

int
tree_put(struct work *w, const void *key, size_t length, const void *value,
         size_t value_length)
{
    MDB_val k = lmdb_val(key, length), v = lmdb_val(value, value_length);

    w->changed = true;
    return w->direct ? mdb_put(w->txn, w->d->file.dbi, &k, &v, 0)
                     : recent_set(w->d->recent, key, length, RECENT_HERE, value,
                                  value_length);
}

int
tree_delete(struct work *w, const void *key, size_t length)
{
    MDB_val k = lmdb_val(key, length), v;
    int rc;

    w->changed = true;
    if (w->direct) {
        return mdb_del(w->txn, w->d->file.dbi, &k, NULL);
    }
    rc = tree_get(w, key, length, &v);
    if (rc) {
        return rc;
    }
    rc = mdb_get(w->txn, w->d->file.dbi, &k, &v);
    if (rc && rc != MDB_NOTFOUND) {
        return rc;
    }
    return recent_set(w->d->recent, key, length,
                      rc ? RECENT_NOWHERE : RECENT_GONE, NULL, 0);
}

/* ---- walking in order of keys ---- */

/* A walk over file and memory side by side.  If both have a key, the record in
 * memory counts. */
struct walk {
    const void *prefix;
    size_t length;
    MDB_cursor *cursor;
    const struct recent_node *node; /* the next in memory; NULL: none */
    bool in_file;                   /* key and value: the next in the file */
    MDB_val key, value;
};

static int
step_file(struct walk *walk, MDB_cursor_op op)
{
    int rc = mdb_cursor_get(walk->cursor, &walk->key, &walk->value, op);

    walk->in_file = !rc && has_prefix(&walk->key, walk->prefix, walk->length);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static void
set_node(struct walk *walk, const struct recent_node *n)
{
    MDB_val k = {0};

    while (n && !n->value) {
        n = n->next[0];
    }
    k = n ? lmdb_val(n->key, n->key_length) : k;
    walk->node = n && has_prefix(&k, walk->prefix, walk->length) ? n : NULL;
}

/* Compares the next keys.  Below 0: the file's key comes first; 0: both have
 * it. */
static int
compare_next(const struct walk *walk)
{
    if (!walk->node) {
        return -1;
    }
    return walk->in_file
               ? recent_compare(walk->key.mv_data, walk->key.mv_size,
                                walk->node->key, walk->node->key_length)
               : 1;
}

static int
walk_records(struct walk *walk, tree_visit_fn *visit, void *arg)
{
    int rc = 0;

    while (!rc && (walk->in_file || walk->node)) {
        const struct recent_node *n = walk->node;
        int first = compare_next(walk);

        if (first < 0) {
            rc = visit(arg, &walk->key, &walk->value);
        } else if (n->value->kind == RECENT_HERE) {
            MDB_val k = lmdb_val(n->key, n->key_length);
            MDB_val v = lmdb_val(n->value->bytes, n->value->length);

            rc = visit(arg, &k, &v);
        }
        if (first >= 0) {
            set_node(walk, n->next[0]);
        }
        if (!rc && first <= 0) {
            rc = step_file(walk, MDB_NEXT);
        }
    }
    return rc;
}

int
tree_each_from(struct work *w, const void *prefix, size_t length,
               const void *from, size_t from_length, tree_visit_fn *visit,
               void *arg)
{
    struct walk walk = {.prefix = prefix, .length = length};
    int rc = mdb_cursor_open(w->txn, w->d->file.dbi, &walk.cursor);

    if (rc) {
        return rc;
    }
    walk.key = lmdb_val(from, from_length);
    rc = step_file(&walk, MDB_SET_RANGE);
    if (!rc && !w->direct) {
        set_node(&walk, recent_seek(w->d->recent, from, from_length));
    }
    rc = rc ? rc : walk_records(&walk, visit, arg);
    mdb_cursor_close(walk.cursor);
    return rc;
}

int
tree_each(struct work *w, const void *prefix, size_t length,
          tree_visit_fn *visit, void *arg)
{
    return tree_each_from(w, prefix, length, prefix, length, visit, arg);
}

/* ---- the last key ---- */

/* Finds the last key in the file below `key`, of any kind. */
static int
last_in_file(struct work *w, const uint8_t *key, size_t length, MDB_val *out)
{
    MDB_val v;
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(w->txn, w->d->file.dbi, &cursor);

    if (rc) {
        return rc;
    }
    *out = lmdb_val(key, length);
    rc = mdb_cursor_get(cursor, out, &v, MDB_SET_RANGE);
    rc = mdb_cursor_get(cursor, out, &v, rc ? MDB_LAST : MDB_PREV);
    mdb_cursor_close(cursor);
    return rc;
}

int
tree_last(struct work *w, uint8_t kind, uint8_t *key, size_t *out_length)
{
    size_t length = 1;

    key[0] = (uint8_t)(kind + 1);
    for (;;) {
        const struct recent_node *n =
            w->direct ? NULL : recent_before(w->d->recent, key, length);
        MDB_val k;
        int rc = last_in_file(w, key, length, &k);

        if (rc && (rc != MDB_NOTFOUND || !n)) {
            return rc;
        }
        if (rc || (n && recent_compare(n->key, n->key_length, k.mv_data,
                                       k.mv_size) >= 0)) {
            k = lmdb_val(n->key, n->key_length);
        } else {
            n = NULL;
        }
        if (k.mv_size > DEFERRED_KEY_ROOM ||
            *(const uint8_t *)k.mv_data != kind) {
            return k.mv_size > DEFERRED_KEY_ROOM ? MDB_CORRUPTED : MDB_NOTFOUND;
        }
        memcpy(key, k.mv_data, k.mv_size);
        length = *out_length = k.mv_size;
        if (!n || (n->value && n->value->kind == RECENT_HERE)) {
            return 0;
        }
    }
}
