/* An open queue, and which thread may touch which part of it.
 *
 * The threads of a process share it.  A thread that wants a change adds it to
 * `wanted`.  One thread at a time is the leader: it takes the file lock and
 * makes the changes that wait (batch.c).
 *   fixed   set by deferred_open, only read after that
 *   mutex   touched with d->mutex held
 *   leader  touched by the leader; and by deferred_open, deferred_close and a
 *           forked child, which are alone
 *   atomic  touched by all threads */
#ifndef BIDE_STORE_DEFERRED_INSIDE_H
#define BIDE_STORE_DEFERRED_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/file/env.h"
#include "store/pages/pages_view.h"
#include "journal.h"
#include "queue.h"

/* Results in addition to the results of LMDB. */
enum {
    DEFERRED_REPAIR = 1000000, /* damaged, but the heads tell the rest */
    DEFERRED_DIRECT, /* the change must go into deferred.mdb, not the journal */
    DEFERRED_UNREADABLE, /* a head is damaged: tree_head */
};

struct change;

/* The verified state of the pages; see check.c. */
enum check_state {
    CHECK_UNKNOWN,    /* nothing */
    CHECK_WHOLE,      /* `stamp` is a state that was found whole */
    CHECK_COMMITTING, /* also the state after it, from our own commit */
};

struct deferred {
    /* fixed */
    char *dir, *path;
    bool reading;     /* by deferred_survey: nothing is made or written */
    unsigned wait_ms; /* how long to wait for the file lock */
    uint64_t boot;    /* a hash of the boot id; 0: unknown */
    void (*now)(void *arg, struct deferred_now *out);
    void *now_arg;
    struct deferred *next; /* the list of all queues of this process: file.c */

    pthread_mutex_t mutex;
    struct { /* mutex; batch.c */
        struct change *first, **end;
        bool led; /* there is a leader */
    } wanted;
    struct { /* mutex; sync.c */
        pthread_cond_t done;
        struct flush *first;
        bool running;     /* a thread is waiting for the disk */
        unsigned threads; /* that use our descriptors outside of the mutex */
    } flush;

    struct { /* leader; batch.c */
        struct deferred_now since;
        bool wrote_journal, wrote_file; /* to be synced */
    } leader;
    struct {                 /* leader; deferred.mdb, file.c */
        struct pages *pages; /* its descriptor carries the file lock */
        _Atomic int lock_fd; /* atomic: a forked child closes it; -1: none */
        uint64_t device, inode;
        MDB_env *env;
        MDB_dbi dbi;
        uint64_t reserved;   /* bytes of the file that have disk blocks */
        _Atomic bool failed; /* atomic: a sync failed, or may have; sync.c */
    } file;
    struct { /* leader; deferred.checked, check.c */
        struct beside file;
        enum check_state state;
        struct pages_stamp stamp;
        bool unread;   /* its records were not verified yet */
        uint64_t next; /* all ids below it were given; 0: unknown */
    } check;
    struct pages_view view; /* leader: deferred.mdb, read without LMDB */
    struct journal journal; /* leader */
    struct recent *recent;  /* leader: the records that the journal holds */
};

/* Stores the current times in *out.  Defined in open.c. */
void deferred_time(const struct deferred *d, struct deferred_now *out);

#endif
