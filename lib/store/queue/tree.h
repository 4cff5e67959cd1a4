/* The records of deferred.mdb in a transaction.  Functions return 0, a code of
 * LMDB or DEFERRED_REPAIR; MDB_NOTFOUND only where their comment names it. */
#ifndef BIDE_STORE_DEFERRED_TREE_H
#define BIDE_STORE_DEFERRED_TREE_H

#include "change.h"

/* The stored counts of a policy.  The first line counts events since the queue
 * was created; the second is the current state. */
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

/* Reads w->meta; ends all leases after a boot.  Unless w->direct, returns
 * DEFERRED_DIRECT if meta must be written first. */
int tree_begin(struct work *w);
/* Writes w->meta and, if w->direct, calls tree_put_mark(). */
int tree_end(struct work *w);
/* Records that deferred.mdb contains all batches of the journal. */
int tree_put_mark(struct work *w);
/* Reads w->meta, which stays unchanged on failure.  May return MDB_NOTFOUND. */
int tree_meta(struct work *w);

/* Write a sealed record, and read one.  May return MDB_NOTFOUND. */
int tree_put_sealed(struct work *w, const void *key, size_t length,
                    const void *value, size_t value_length);
int tree_get_sealed(struct work *w, const void *key, size_t length, void *out,
                    size_t size);
/* Reads the record of a place in the index; false: it is damaged. */
bool tree_read_place(const MDB_val *key, const MDB_val *value,
                     struct deferred_place *out);
int tree_counts(struct work *w, const char *policy, struct tree_counts *out);
int tree_put_counts(struct work *w, const char *policy,
                    const struct tree_counts *counts);

/* Read a head.  Missing: MDB_NOTFOUND; of work in the index DEFERRED_REPAIR. */
int tree_head(struct work *w, uint64_t id, struct tree_item *out);
int tree_listed_head(struct work *w, uint64_t id, struct tree_item *out);
/* Sets *out to a malloc'ed copy of the payload.  Returns ENOMEM, or
 * MDB_NOTFOUND if the payload is damaged. */
int tree_payload(struct work *w, struct tree_item *item, void **out);

/* Adds new work with its payload; updates index, key and counts. */
int tree_add(struct work *w, struct tree_item *item);
/* Writes a changed head whose place was `was`; updates index and counts. */
int tree_move(struct work *w, struct tree_item *item,
              const struct deferred_place *was);
/* Marks work with a damaged head as dead, so that it is not read again. */
int tree_set_aside(struct work *w, const struct deferred_place *was);
/* Deletes work; counts it as dropped if `dropped`, else as done. */
int tree_remove(struct work *w, struct tree_item *item, bool dropped);
/* Deletes the head and payload of work `id`; index and counts stay. */
int tree_delete_records(struct work *w, uint64_t id);

/* Adds work to the index, the keys and the counts. */
int tree_list(struct work *w, const struct deferred_item *head);

/* Finds a state's first place, by time, then id.  May return MDB_NOTFOUND. */
int tree_first(struct work *w, const char *policy, enum deferred_state state,
               struct deferred_place *out);
/* Moves *place to the next of its policy and state, or returns MDB_NOTFOUND. */
int tree_next(struct work *w, struct deferred_place *place);

/* ---- view.c: single records ---- */

/* Reads a record, valid until the next change, or returns MDB_NOTFOUND. */
int tree_get(struct work *w, const void *key, size_t length, MDB_val *out);
int tree_put(struct work *w, const void *key, size_t length, const void *value,
             size_t value_length);
/* Deletes a record, or returns MDB_NOTFOUND. */
int tree_delete(struct work *w, const void *key, size_t length);
/* Calls `visit` for each record whose key begins with the prefix.  Stops when
 * `visit` returns nonzero, and returns that.  `visit` writes nothing. */
typedef int tree_visit_fn(void *arg, const MDB_val *key, const MDB_val *value);
int tree_each(struct work *w, const void *prefix, size_t length,
              tree_visit_fn *visit, void *arg);
/* As tree_each, for the keys that are at least `from`. */
int tree_each_from(struct work *w, const void *prefix, size_t length,
                   const void *from, size_t from_length, tree_visit_fn *visit,
                   void *arg);

#endif
