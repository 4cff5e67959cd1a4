/* deferred.mdb itself: makes, opens and locks it, closes it after a fork, and
 * waits for the disk. */
#ifndef BIDE_STORE_DEFERRED_FILE_H
#define BIDE_STORE_DEFERRED_FILE_H

#include "inside.h"

/* Takes the file lock, checks the file, opens it and reads what others have
 * written.  For the leader.  Returns 0 or BIDE_E with a message; after BIDE_E
 * no lock is held. */
int deferred_lock(struct deferred *d);
void deferred_unlock(struct deferred *d);
/* Closes the LMDB environment and opens it again, with the file lock held.  0
 * or BIDE_E, with a message. */
int deferred_reopen(struct deferred *d);
/* Closes all files of the queue.  Waits for threads that sync them. */
void deferred_file_close(struct deferred *d);

/* Makes the file if it is missing but the registry is not: the registry is
 * older than deferred work, or the file was lost.  Defined in make.c. */
int deferred_make_missing(struct deferred *d);

/* Returns the first bytes of the id of the registry; 0: it cannot be read.
 * Defined in open.c. */
uint64_t deferred_registry(const struct deferred *d);
/* Makes a queue without its files; `reading`: nothing is made or written.  The
 * caller closes *out, also after a failure.  Defined in open.c. */
int deferred_new(const char *dir, bool reading, struct deferred **out);

/* Returns the BIDE_E of a result of LMDB, with a message. */
int deferred_from_lmdb(const struct deferred *d, int rc);

/* Adds d to the queues that a forked child resets.  Returns false if the
 * process cannot handle forks. */
bool deferred_register(struct deferred *d);
void deferred_unregister(struct deferred *d);

/* ---- sync.c ---- */

/* Syncs one descriptor.  0 or errno; a negative fd: does nothing. */
int deferred_sync_fd(int fd);

/* Syncs journal_fd and file_fd (-1: not this one), together with other threads.
 * 0 or errno; a failure is noted for the next leader.  Called with d->mutex
 * held, which is released while it waits. */
int deferred_flush(struct deferred *d, int journal_fd, int file_fd);
/* Syncs the journal.  For the leader.  0 or errno. */
int deferred_flush_journal(struct deferred *d);
/* Waits until no thread uses our descriptors in deferred_flush. */
void deferred_wait_flushed(struct deferred *d);

/* Syncs the commits of deferred.mdb.  For the leader.  0, errno or a result of
 * LMDB. */
int deferred_sync_commits(struct deferred *d);
/* After a failed sync of deferred.mdb, writes its meta pages again and syncs
 * them; else does nothing.  For the leader, before anything relies on the last
 * commit.  Returns 0, or errno or a result of LMDB if the commit is still not
 * on the disk. */
int deferred_retry_sync(struct deferred *d);

#endif
