/* Decides whether LMDB may open deferred.mdb (all pages verified), and reserves
 * disk space.  For the leader, with the file lock held. */
#ifndef BIDE_STORE_DEFERRED_CHECK_H
#define BIDE_STORE_DEFERRED_CHECK_H

#include "inside.h"

/* Bytes kept free, so that work can be given back on a full disk. */
enum { DEFERRED_KEPT = 256 << 10 };

/* Makes DIR/deferred.checked unless it exists.  Returns 0 or BIDE_E. */
int deferred_make_checked(const char *dir);
/* Reports whether `fd`, or `path` unless that is "", is that file. */
bool deferred_is_file(int fd, const char *path, uint64_t device,
                      uint64_t inode);
/* Reports whether a file beside deferred.mdb is open and still has its name. */
bool deferred_has_beside(const struct beside *b);
/* Opens it unless it is, for writing unless d->reading; `make` makes a missing
 * one.  Returns errno; 0, and b->fd is -1, if there is none and none can be
 * made. */
int deferred_open_beside(const struct deferred *d, struct beside *b,
                         int (*make)(const char *dir));
/* Closes it, unless the program closed it and the number may now belong to
 * another file. */
void deferred_close_beside(struct beside *b);
/* Sets d->check.next to the number below which all ids were given to work, as
 * deferred.checked says; 0: unknown.  Nothing is known of an earlier boot if
 * the journal is `intact`: a loss of power takes work that was not stored yet.
 */
void deferred_read_next(struct deferred *d, bool intact);
/* Stores that number. */
void deferred_write_next(struct deferred *d, uint64_t next);
/* Notes that all records of the file were verified. */
void deferred_check_read(struct deferred *d);
/* Closes deferred.checked and forgets the state of deferred.mdb. */
void deferred_check_close(struct deferred *d);
/* Verifies all pages of deferred.mdb, unless this state of the file was
 * verified before.  Returns 0 or BIDE_E, with a message from pages_why. */
int deferred_check(struct deferred *d);

/* Makes d->view the present commit.  Returns 0 or a result of LMDB. */
int deferred_view(struct deferred *d);
/* Reads a record of d->view; valid until the next call.  May return
 * MDB_NOTFOUND. */
int deferred_view_get(struct deferred *d, const MDB_val *key, MDB_val *out);
/* Maps a result of pages.h to one of LMDB. */
int deferred_from_pages(int rc);

/* Begins a transaction of LMDB that writes.  Returns a result of LMDB;
 * MDB_CORRUPTED also if another program has changed the file since it was
 * checked. */
int deferred_begin(struct deferred *d, MDB_txn **out);
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
bool deferred_may_grow(struct deferred *d, size_t bytes);

#endif
