/* The records within a transaction.  These give LMDB's results, or
 * DEFERRED_REPAIR; MDB_NOTFOUND where a caller may be told so. */
#ifndef BIDE_STORE_DEFERRED_TREE_H
#define BIDE_STORE_DEFERRED_TREE_H

#include "change.h"

/* Of a policy, as stored: the first four ever, the others now. */
struct tree_counts {
    uint64_t stored, done, dropped, died;
    uint64_t waiting, leased, dead, bytes;
};

/* Not to be copied: a short payload is within. */
struct tree_item {
    struct deferred_item head;
    struct deferred_payload payload;
    uint8_t kept[DEFERRED_SHORT];
};

/* Reads meta; after a boot gives back what was leased before it. */
int tree_begin(struct work *w);
int tree_end(struct work *w);
int tree_put_mark(struct work *w);
int tree_meta(struct work *w); /* reads it; else w->meta stays */

/* ---- deferred_view.c ---- */

int tree_get(struct work *w, const void *key, size_t length, MDB_val *out);
int tree_put(struct work *w, const void *key, size_t length, const void *value,
             size_t value_length);
int tree_delete(struct work *w, const void *key, size_t length);
/* Walks keys that begin with a prefix; visit gives 0 to go on, and writes
 * nothing. */
typedef int tree_visit_fn(void *arg, const MDB_val *key, const MDB_val *value);
int tree_each(struct work *w, const void *prefix, size_t length,
              tree_visit_fn *visit, void *arg);
/* From the first key that is not below `from`. */
int tree_each_from(struct work *w, const void *prefix, size_t length,
                   const void *from, size_t from_length, tree_visit_fn *visit,
                   void *arg);
/* The last key that begins with that byte, DEFERRED_KEY_ROOM; MDB_NOTFOUND. */
int tree_last(struct work *w, uint8_t kind, uint8_t *key, size_t *out_length);

/* ---- deferred_tree.c ---- */

int tree_counts(struct work *w, const char *policy, struct tree_counts *out);
int tree_put_counts(struct work *w, const char *policy,
                    const struct tree_counts *counts);

/* MDB_NOTFOUND: no such id.  *out_damaged: its head can not be read. */
int tree_head(struct work *w, uint64_t id, struct tree_item *out,
              bool *out_damaged);
/* A copy of its payload, malloc'ed; ENOMEM; MDB_NOTFOUND: damaged. */
int tree_payload(struct work *w, struct tree_item *item, void **out);

/* A new one, payload included. */
int tree_add(struct work *w, struct tree_item *item);
/* Writes a head anew that stood at `was`; index and counts follow. */
int tree_move(struct work *w, struct tree_item *item,
              const struct deferred_place *was);
/* One whose head is damaged, out of the way of the others. */
int tree_set_aside(struct work *w, const struct deferred_place *was);
/* All of it.  `dropped`: else done. */
int tree_remove(struct work *w, struct tree_item *item, bool dropped);
/* Deletes the head and payload of work `id`; index and counts stay. */
int tree_delete_records(struct work *w, uint64_t id);

/* ---- deferred_repair.c ---- */

int tree_repair(struct work *w);
/* One whose head can not be read; only its policy is known. */
int tree_remove_damaged(struct work *w, uint64_t id,
                        char out_policy[BIDE_NAME_MAX + 1]);

/* The first place in order of time, then id; MDB_NOTFOUND. */
int tree_first(struct work *w, const char *policy, enum deferred_state state,
               struct deferred_place *out);
/* The one after it, of the same policy and state; MDB_NOTFOUND. */
int tree_next(struct work *w, struct deferred_place *place);

#endif
