/* The records of deferred.mdb within a transaction.  Unless a comment says
 * otherwise, results are those of LMDB, or DEFERRED_REPAIR; MDB_NOTFOUND is
 * returned only where it is named. */
#ifndef BIDE_STORE_DEFERRED_TREE_H
#define BIDE_STORE_DEFERRED_TREE_H

#include "change.h"

/* The counts of a policy as stored: the first four since the queue was made,
 * the others now. */
struct tree_counts {
    uint64_t stored, done, dropped, died;
    uint64_t waiting, leased, dead, bytes;
};

/* Must not be copied: `payload` can point to `kept`. */
struct tree_item {
    struct deferred_item head;
    struct deferred_payload payload;
    uint8_t kept[DEFERRED_SHORT];
};

/* Reads w->meta; after a boot ends all leases.  DEFERRED_DIRECT: too much
 * changes for the journal. */
int tree_begin(struct work *w);
/* Writes w->meta, and with w->direct the mark. */
int tree_end(struct work *w);
/* Writes that deferred.mdb includes all batches of the journal. */
int tree_put_mark(struct work *w);
/* Reads w->meta, which stays unchanged on failure.  MDB_NOTFOUND. */
int tree_meta(struct work *w);

int tree_counts(struct work *w, const char *policy, struct tree_counts *out);
int tree_put_counts(struct work *w, const char *policy,
                    const struct tree_counts *counts);

/* Reads a head.  *out_damaged: it is there, but unreadable.  MDB_NOTFOUND. */
int tree_head(struct work *w, uint64_t id, struct tree_item *out,
              bool *out_damaged);
/* Stores a malloc'ed copy of the payload.  ENOMEM; MDB_NOTFOUND: damaged. */
int tree_payload(struct work *w, struct tree_item *item, void **out);

/* Adds new work, with its payload; index, key and counts as well. */
int tree_add(struct work *w, struct tree_item *item);
/* Writes a changed head whose place was `was`; index and counts as well. */
int tree_move(struct work *w, struct tree_item *item,
              const struct deferred_place *was);
/* Files work with a damaged head as dead, so that the rest goes on. */
int tree_set_aside(struct work *w, const struct deferred_place *was);
/* Deletes work, and counts it as dropped or done. */
int tree_remove(struct work *w, struct tree_item *item, bool dropped);
/* Deletes the head and payload of work `id`; index and counts stay. */
int tree_delete_records(struct work *w, uint64_t id);

/* Finds the first place of a state, by time, then id.  MDB_NOTFOUND. */
int tree_first(struct work *w, const char *policy, enum deferred_state state,
               struct deferred_place *out);
/* Moves *place to the next of the same policy and state.  MDB_NOTFOUND. */
int tree_next(struct work *w, struct deferred_place *place);

/* ---- view.c: single records ---- */

/* *out is valid until the next change.  MDB_NOTFOUND. */
int tree_get(struct work *w, const void *key, size_t length, MDB_val *out);
int tree_put(struct work *w, const void *key, size_t length, const void *value,
             size_t value_length);
/* MDB_NOTFOUND. */
int tree_delete(struct work *w, const void *key, size_t length);
/* Calls `visit` for each record whose key begins with the prefix, until it
 * returns another result than 0, which is returned.  `visit` writes nothing. */
typedef int tree_visit_fn(void *arg, const MDB_val *key, const MDB_val *value);
int tree_each(struct work *w, const void *prefix, size_t length,
              tree_visit_fn *visit, void *arg);
/* As tree_each, from the first key that is not below `from`. */
int tree_each_from(struct work *w, const void *prefix, size_t length,
                   const void *from, size_t from_length, tree_visit_fn *visit,
                   void *arg);
/* Stores the last key that begins with that byte in key[DEFERRED_KEY_ROOM].
 * MDB_NOTFOUND. */
int tree_last(struct work *w, uint8_t kind, uint8_t *key, size_t *out_length);

/* ---- repair.c ---- */
/* Makes the index, the keys and the current counts again from the heads. */
int tree_repair(struct work *w);
/* Drops work whose head is damaged; its policy is taken from the index. */
int tree_remove_damaged(struct work *w, uint64_t id,
                        char out_policy[BIDE_NAME_MAX + 1]);

#endif
