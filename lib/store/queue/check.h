/* Decides whether LMDB may open deferred.mdb (all pages verified), and reserves
 * disk space.  For the leader, with the file lock held. */
#ifndef BIDE_STORE_DEFERRED_CHECK_H
#define BIDE_STORE_DEFERRED_CHECK_H

#include "inside.h"

/* Bytes kept free, so that work can be given back on a full disk. */
enum { DEFERRED_KEPT = 256 << 10 };

/* Makes DIR/deferred.checked unless it exists.  Returns 0 or BIDE_E. */
int deferred_make_checked(const char *dir);
/* Closes deferred.checked and forgets the state of deferred.mdb. */
void deferred_check_close(struct deferred *d);
/* Verifies all pages of deferred.mdb, unless this state of the file was
 * verified before.  Returns 0 or BIDE_E, with a message from pages_why. */
int deferred_check(struct deferred *d);

/* Notes that a commit begins. */
void deferred_check_commit(struct deferred *d);
/* Notes the state of the file after a commit. */
void deferred_check_committed(struct deferred *d);
/* Notes the state of the file after its times changed, but no record. */
void deferred_check_touched(struct deferred *d);

/* Reserves disk space for `bytes` more, and for giving work back.  Returns 0 or
 * BIDE_E, with a message. */
int deferred_reserve(struct deferred *d, size_t bytes);
/* Reports whether the limit on file size lets the file grow by `bytes`. */
bool deferred_may_grow(const struct deferred *d, size_t bytes);

#endif
