/* deferred.journal: the changes since the last update of deferred.mdb, so that
 * a change needs one short write and one wait for the disk; see journal.c.
 * Hold the file lock for all functions; they return a code of LMDB, errno or
 * inside.h. */
#ifndef BIDE_STORE_DEFERRED_JOURNAL_H
#define BIDE_STORE_DEFERRED_JOURNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/file/env.h"
#include "store/pages/pages.h"

struct deferred;

enum {
    JOURNAL_SIZE = 256 << 10,
    JOURNAL_START = 64,
    JOURNAL_STEP = 64, /* batches begin at multiples of it */
    JOURNAL_BATCH_MAX = 64 << 10,
    JOURNAL_SLOW = 24 << 10, /* takes 0.1 ms to read */
};

/* See journal.c for the transitions. */
enum journal_state {
    JOURNAL_UNREAD,   /* d->recent may lack batches of the journal */
    JOURNAL_UNUSABLE, /* none, or not writable: changes go to deferred.mdb */
    JOURNAL_FOREIGN, /* belongs to another deferred.mdb; a fresh id is needed */
    JOURNAL_READY,   /* d->recent holds all of it; changes may be added */
    JOURNAL_UNSOUND, /* a batch in the middle is unreadable: repair */
};

/* A file beside deferred.mdb; see check.h. */
struct beside {
    char *path;     /* fixed */
    _Atomic int fd; /* -1: none */
    uint64_t device, inode;
};

struct journal {
    struct beside file;
    enum journal_state state;
    uint64_t id;   /* deferred.mdb holds it too: these two belong together */
    uint64_t next; /* number of the next batch */
    size_t at;     /* where the next batch goes */
    uint64_t cut;  /* steps that the file lacks: it was cut, batches with it */
    bool slow;     /* long to read: fold it, new processes must read it */
    _Atomic bool failed;     /* a sync failed: fold it.  Set by any thread. */
    struct pages_stamp base; /* the state of deferred.mdb below d->recent */
    uint8_t *buffer;         /* JOURNAL_BATCH_MAX bytes */
};

/* Returns a random number, not 0: the id of a journal, or a lease. */
uint64_t deferred_draw(void);
/* Makes DIR/deferred.journal unless it exists.  Returns 0 or BIDE_E, with a
 * message. */
int deferred_journal_make(const char *dir);
void deferred_journal_close(struct deferred *d);
void deferred_journal_abandon(struct deferred *d); /* in a forked child */
void deferred_journal_set_state(struct deferred *d, enum journal_state to);
/* Writes a fresh id into a JOURNAL_FOREIGN one, so that the other deferred.mdb
 * does not use later batches; journal.id stays 0 if the write fails. */
void deferred_journal_take_over(struct deferred *d);
/* Appends the records on trial in d->recent and keeps them.  Returns
 * DEFERRED_DIRECT, with nothing changed, if they do not fit or cannot be
 * written. */
int deferred_journal_append(struct deferred *d);
/* Writes the content again, after a failed sync.  Does not sync. */
int deferred_journal_rewrite(struct deferred *d);

/* Reads the batches of other processes into d->recent.  Defined in follow.c. */
int deferred_follow(struct deferred *d);
/* Replaces d->recent by an empty one; NULL if out of memory.  In follow.c. */
void deferred_forget_recent(struct deferred *d);

/* Brings deferred.mdb up to date; the journal is empty after that.  Defined in
 * fold.c. */
int deferred_fold(struct deferred *d);
/* Commits txn and notes the new state of deferred.mdb.  Frees txn.  In fold.c.
 */
int deferred_commit(struct deferred *d, MDB_txn *txn);

#endif
