/* Waits for the disk. */
#ifndef BIDE_STORE_DEFERRED_SYNC_H
#define BIDE_STORE_DEFERRED_SYNC_H

#include "inside.h"

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
