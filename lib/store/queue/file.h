/* deferred.mdb itself: makes, opens and locks it, and closes it after a fork.
 */
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

/* Returns the BIDE_E of a result of LMDB, with a message. */
int deferred_from_lmdb(const struct deferred *d, int rc);

/* Adds d to the queues that a forked child resets.  Returns false if the
 * process cannot handle forks. */
bool deferred_register(struct deferred *d);
void deferred_unregister(struct deferred *d);

#endif
