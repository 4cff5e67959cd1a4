/* A change of the queue, and how to have it made. */
#ifndef BIDE_STORE_DEFERRED_CHANGE_H
#define BIDE_STORE_DEFERRED_CHANGE_H

#include "inside.h"
#include "record.h"

/* One transaction, as a change sees it. */
struct work {
    struct deferred *d;
    MDB_txn *txn;
    struct deferred_now now;
    struct deferred_meta meta;
    bool direct;  /* reads and writes through txn; else reads d->view and writes
                     d->recent */
    bool changed; /* something was written */
    uint64_t logged; /* the number of the last record of log.c; 0: not known */
};

/* One change, on the stack of the calling thread.  `apply` returns a result of
 * LMDB, which aborts the transaction, or 0 and its own result in `rc`; a
 * negative `rc` means that it wrote nothing.  It can be called again when the
 * transaction was aborted. */
struct change {
    int (*apply)(struct work *w, struct change *c);
    uint64_t boottime_ns; /* when deferred_submit was called */
    bool durable;         /* return when the change is on the disk */
    size_t grows; /* upper bound on file growth, in bytes; 0: no growth */
    int rc;
    int disk; /* 0, or why the sync failed: the change was made, and a loss of
                 power may undo it.  `why` has the message. */
    bool done;
    pthread_cond_t turn; /* signalled when done, or when this may lead */
    char why[300];       /* the message for a negative rc, or for `disk` */
    struct change *next;
};

/* Makes the change, together with the changes of other threads, and returns
 * c->rc. */
int deferred_submit(struct deferred *d, struct change *c);

/* Sets c->rc to rc, BIDE_ENOWORK or BIDE_EDAMAGED, with a message about work
 * `id`.  Returns 0. */
int deferred_refuse(struct change *c, int rc, uint64_t id);

/* Returns 0, or BIDE_ENAME with a message if `policy` is not a valid name. */
int deferred_check_policy(const char *policy);

/* Returns the meta of an empty queue.  Defined in tree.c. */
struct deferred_meta tree_new_meta(const struct work *w);

/* Adds to w->meta.lost if ids were given to work that is not here. */
void tree_note_missing(struct work *w);

/* Lists the ids of the work of a policy (NULL: all), or all policies with
 * counts.  Replaces *out, whose list the caller frees, also after a failure. */
struct tree_ids {
    bool leased; /* only work that is leased */
    size_t count;
    uint64_t *list;
};
int tree_ids(struct work *w, const char *policy, struct tree_ids *out);
struct tree_policies {
    size_t count;
    char (*list)[BIDE_NAME_MAX + 1];
};
int tree_policies(struct work *w, struct tree_policies *out);

/* ---- repair.c ---- */
/* Rebuilds the index, the keys and the current counts from the heads; adds what
 * is missing to w->meta.lost. */
int tree_repair(struct work *w);
/* Reads all records, and counts what must agree. */
struct tree_item;
struct verify {
    struct work *w;
    uint64_t heads, places, counted, keyed, keys, unlisted, damaged;
    /* NULL, or called for each piece (`item` NULL: its head is damaged) and for
     * the number of pieces of each policy. */
    int (*piece)(struct verify *v, uint64_t id, struct tree_item *item);
    void (*count)(struct verify *v, const char *policy, uint64_t pieces);
    void *arg;
};
int tree_verify(struct work *w, struct verify *v);
/* Deletes work whose head is damaged; gets its policy from the index. */
int tree_remove_damaged(struct work *w, uint64_t id,
                        char out_policy[BIDE_NAME_MAX + 1]);

#endif
