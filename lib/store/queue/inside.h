/* What the parts of deferred.h share. */
#ifndef BIDE_STORE_DEFERRED_INSIDE_H
#define BIDE_STORE_DEFERRED_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/file/env.h"
#include "journal.h"
#include "record.h"

/* Beside LMDB's results. */
enum {
    DEFERRED_REPAIR = 1000000, /* what the heads tell is damaged: made anew */
    DEFERRED_DIRECT,           /* not by way of the journal */
};

enum {
    DEFERRED_MODE = 0660,
    DEFERRED_KEPT = 256 << 10, /* room for giving back, on a full disk */
};

struct change;
struct flush;
struct recent;

struct deferred {
    char *dir, *path, *checked_path, *journal_path;
    unsigned wait_ms; /* for other processes */
    uint64_t boot;
    void (*now)(void *arg, struct deferred_now *out);
    void *now_arg;

    pthread_mutex_t mutex; /* of the next ones */
    pthread_cond_t synced;
    struct change *wanted, **wanted_end;
    bool led;              /* a thread is at it */
    unsigned syncing;      /* threads that wait for the disk, with our files */
    struct flush *flushes; /* that want the journal on the disk */
    bool flushing;         /* a thread is at it */

    /* The leader's. */
    struct pages *pages; /* its descriptor carries the lock */
    _Atomic int lock_fd; /* the same, for a forked child to close; -1 */
    uint64_t device, inode;
    MDB_env *env;
    MDB_dbi dbi;
    struct journal journal;
    struct recent *recent;          /* what the journal says */
    struct deferred_now led_at;     /* since it has the lock */
    bool wrote_journal, wrote_file; /* by this leader: to be waited for */
    _Atomic bool file_failed;       /* a wait for it, or may be: to be mended */
    int checked_fd;                 /* -1 */
    uint64_t checked_device, checked_inode;
    bool known;     /* `stamp` is a state that was found whole */
    bool in_flight; /* or the one after it is there, by a commit of ours */
    struct pages_stamp stamp;
    uint64_t reserved;     /* bytes of the file that have their blocks */
    struct deferred *next; /* all of this process */
};

/* One thing to be done, on the stack of who wants it.  `apply` gives an LMDB
 * result, which spoils the transaction, or 0 and its own in `rc`; it may be
 * called again when the transaction was spoiled.  It checks before it writes:
 * what fails in `rc` has changed nothing. */
struct work;
struct change {
    int (*apply)(struct work *w, struct change *c);
    uint64_t boottime_ns; /* of the call */
    bool durable;         /* wait for the disk */
    size_t grows;         /* by so many bytes at most; 0: it does not */
    int rc;
    bool done;
    pthread_cond_t turn; /* it is done, or its thread may lead */
    char why[300];
    struct change *next;
};

/* A transaction. */
struct work {
    struct deferred *d;
    MDB_txn *txn;
    struct deferred_now now;
    struct deferred_meta meta;
    bool direct; /* txn writes; else it only reads, and memory is written */
    bool changed;
};

/* ---- deferred_put.c ---- */

uint64_t deferred_later(uint64_t time_ns, uint64_t by_ns); /* or the end */
int deferred_check_policy(const char *policy); /* BIDE_ENAME, with words */

/* ---- deferred_file.c ---- */

void deferred_file_close(struct deferred *d);
void deferred_wait_synced(struct deferred *d);
void deferred_lose(struct deferred *d); /* its environment, unclosed */
/* Takes the lock, looks whether the file is whole, opens it.  BIDE_E. */
int deferred_lock(struct deferred *d);
void deferred_unlock(struct deferred *d);
int deferred_reopen(struct deferred *d); /* with the lock held */
/* Waits for the disk: 0 or errno.  Negative: nothing is done. */
int deferred_sync_file(int fd);
bool deferred_is_ours(const struct deferred *d, int fd);
/* After a wait for deferred.mdb failed: 0 when it is on the disk again.  Before
 * anything relies on that. */
int deferred_mend(struct deferred *d);
int deferred_sync_commits(struct deferred *d); /* for the leader: 0 or errno */
/* What a result of LMDB's is. */
int deferred_failed(const struct deferred *d, int rc);
int deferred_damaged(const struct deferred *d, const char *what);
/* BIDE_ENOWORK or BIDE_EDAMAGED of one piece: c->rc, with words.  Gives 0. */
int deferred_refuse(struct change *c, int rc, uint64_t id);

/* ---- deferred_follow.c ---- */

/* Brings d->recent up to what others have written. */
int deferred_follow(struct deferred *d);

/* ---- deferred_fold.c ---- */

/* Brings deferred.mdb up to date; the journal is empty then. */
int deferred_fold(struct deferred *d);
/* Commits, and sees to what is known of the file. */
int deferred_commit(struct deferred *d, MDB_txn *txn);
void deferred_forget_recent(struct deferred *d); /* a new one, or NULL */

/* ---- deferred_check.c ---- */

int deferred_make_checked(const char *dir);
void deferred_checked_close(struct deferred *d);
int deferred_check(struct deferred *d);
/* Room for so many bytes more and for giving back what is there.  BIDE_E. */
int deferred_reserve(struct deferred *d, size_t bytes);
bool deferred_may_grow(const struct deferred *d, size_t bytes);
/* Before a commit, and after whatever was done to the file. */
void deferred_commits(struct deferred *d);
void deferred_committed(struct deferred *d);
void deferred_touched(struct deferred *d); /* its times have changed */

/* ---- deferred_open.c ---- */

/* In between no child is forked. */
void deferred_hold_forks(void);
void deferred_let_forks(void);
void deferred_time(const struct deferred *d, struct deferred_now *out);

/* ---- deferred_batch.c ---- */

/* Does it, with whatever other threads want; its rc. */
int deferred_do(struct deferred *d, struct change *c);
/* For the leader: 0 or errno. */
int deferred_flush_journal(struct deferred *d);

#endif
