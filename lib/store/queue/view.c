/* Reads and writes single records.  With w->direct by LMDB in deferred.mdb;
 * else a record in memory (d->recent) replaces the one in deferred.mdb, which
 * is read without LMDB (d->view). */
#include "tree.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "recent.h"

static bool
has_prefix(const MDB_val *key, const void *prefix, size_t length)
{
    return key->mv_size >= length && !memcmp(key->mv_data, prefix, length);
}

static int
get_from_file(struct work *w, MDB_val *key, MDB_val *out)
{
    return w->direct ? mdb_get(w->txn, w->d->file.dbi, key, out)
                     : deferred_view_get(w->d, key, out);
}

int
tree_get(struct work *w, const void *key, size_t length, MDB_val *out)
{
    const struct recent_node *n =
        w->direct ? NULL : recent_find(w->d->recent, key, length);
    MDB_val k = lmdb_val(key, length);

    if (!n) {
        return get_from_file(w, &k, out);
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
    rc = get_from_file(w, &k, &v);
    if (rc && rc != MDB_NOTFOUND) {
        return rc;
    }
    return recent_set(w->d->recent, key, length,
                      rc ? RECENT_NOWHERE : RECENT_GONE, NULL, 0);
}

/* ---- walking in order of keys ---- */

/* A position in the file. */
struct place_in_file {
    MDB_cursor *cursor; /* NULL: path is used */
    struct path path;
    void *big; /* the value at path, if it is a long one */
};

static int
open_place(struct work *w, struct place_in_file *p)
{
    struct tree tree;
    int rc;

    *p = (struct place_in_file){.big = NULL};
    if (w->direct) {
        return mdb_cursor_open(w->txn, w->d->file.dbi, &p->cursor);
    }
    rc = path_database(&w->d->view.snapshot, "work", &tree);
    if (!rc) {
        path_open(&p->path, &w->d->view.snapshot, &tree);
    }
    return deferred_from_pages(rc);
}

static void
close_place(struct place_in_file *p)
{
    if (p->cursor) {
        mdb_cursor_close(p->cursor);
        return;
    }
    free(p->big);
    path_close(&p->path);
}

/* Reads the node at p->path. */
static int
read_node(struct place_in_file *p, MDB_val *key, MDB_val *value)
{
    struct node n;
    int rc;

    free(p->big);
    p->big = NULL;
    if (!p->path.on) {
        return MDB_NOTFOUND;
    }
    rc = path_value(&p->path, &n, &p->big);
    *key = lmdb_val(n.key, n.key_length);
    *value = lmdb_val(n.value, n.value_length);
    return deferred_from_pages(rc);
}

/* Moves to the first record from *key on, or to the next one.  May return
 * MDB_NOTFOUND. */
static int
move_in_file(struct place_in_file *p, bool next, MDB_val *key, MDB_val *value)
{
    int rc;

    if (p->cursor) {
        return mdb_cursor_get(p->cursor, key, value,
                              next ? MDB_NEXT : MDB_SET_RANGE);
    }
    rc = next ? path_step(&p->path, false)
              : path_seek(&p->path, key->mv_data, key->mv_size, false);
    return rc ? deferred_from_pages(rc) : read_node(p, key, value);
}

/* A walk over file and memory side by side.  If both have a key, the record in
 * memory counts. */
struct walk {
    const void *prefix;
    size_t length;
    struct place_in_file place;
    const struct recent *recent;
    size_t at;
    const struct recent_node *node; /* the next in memory; NULL: none */
    bool in_file;                   /* key and value: the next in the file */
    MDB_val key, value;
};

static int
step_file(struct walk *walk, bool next)
{
    int rc = move_in_file(&walk->place, next, &walk->key, &walk->value);

    walk->in_file = !rc && has_prefix(&walk->key, walk->prefix, walk->length);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Sets walk->node to the first one from `at` on. */
static void
set_node(struct walk *walk, size_t at)
{
    const struct recent_node *n = recent_at(walk->recent, at);
    MDB_val k = {0};

    while (n && !n->value) {
        n = recent_at(walk->recent, ++at);
    }
    k = n ? lmdb_val(n->key, n->key_length) : k;
    walk->at = at;
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
            set_node(walk, walk->at + 1);
        }
        if (!rc && first <= 0) {
            rc = step_file(walk, true);
        }
    }
    return rc;
}

int
tree_each_from(struct work *w, const void *prefix, size_t length,
               const void *from, size_t from_length, tree_visit_fn *visit,
               void *arg)
{
    struct walk walk = {
        .prefix = prefix, .length = length, .recent = w->d->recent};
    int rc = open_place(w, &walk.place);

    if (rc) {
        return rc;
    }
    walk.key = lmdb_val(from, from_length);
    rc = step_file(&walk, false);
    if (!rc && !w->direct) {
        set_node(&walk, recent_seek(walk.recent, from, from_length));
    }
    rc = rc ? rc : walk_records(&walk, visit, arg);
    close_place(&walk.place);
    return rc;
}

int
tree_each(struct work *w, const void *prefix, size_t length,
          tree_visit_fn *visit, void *arg)
{
    return tree_each_from(w, prefix, length, prefix, length, visit, arg);
}
