/* Changes the registry, for operators.  There is one writer at a time on the
 * host: a lock with a time limit ensures it.  A writer belongs to the thread
 * and process that began it: in a forked child all functions but writer_end
 * return BIDE_EINVAL, and the parent's writer is not affected.
 *
 * Functions that return int return 0 or a BIDE_E code (place_why). */
#ifndef BIDE_STORE_WRITER_H
#define BIDE_STORE_WRITER_H

#include "store/file/place.h"
#include "record.h"

struct writer;

/* Draws the id of a new registry, and composes the path of its live file, which
 * is malloc'ed. */
int writer_identity(const char *live_dir, uint8_t out_id[REGISTRY_ID_SIZE],
                    char **out_live);
/* Makes a registry in `dir`, and `dir` itself if it is missing (place_make).
 * The path of the live file will be LIVE_DIR/<id>.live; live_dir is absolute
 * and is not made here.  An interrupted call leaves no registry.  `make_others`
 * (may be NULL) makes the other files of a registry; it is called under the
 * writers' lock, before registry.mdb gets its name.  Fails with BIDE_EEXIST if
 * registry.mdb exists, in any state. */
int writer_create(const char *dir, const char *live_dir,
                  int (*make_others)(const char *dir),
                  uint8_t out_id[REGISTRY_ID_SIZE]);

/* Takes the writers' lock (waits for wait_ms at most), checks the file unless
 * it was checked since it last changed, opens LMDB and begins a transaction.
 * `command` is shown to waiting processes.  Fails with BIDE_ELOCKED, also if
 * the same process holds the lock; the message then contains, for example,
 * "being written by pid 815 (bide apply, for 12 s)". */
int writer_begin(const char *dir, const char *command, unsigned wait_ms,
                 struct writer **out);

/* Commits the transaction durably and ends it; does nothing without a change.
 * Fails with BIDE_EFULL, BIDE_ESYS, or the code of an earlier writer_put that
 * failed halfway; after these nothing has changed.  Keeps the lock until
 * writer_end, so that changes are announced in the order of their commits. */
int writer_commit(struct writer *w);
/* Ends the writer; an uncommitted transaction is undone.  NULL: does nothing.
 */
void writer_end(struct writer *w);

/* Read within the transaction, its own changes included.  A deleted policy
 * gives its tombstone.  Visits return 0 to continue.  Fails with
 * BIDE_ENOPOLICY, BIDE_ENOVERSION, BIDE_EMISSING (a number that was left out),
 * BIDE_EDAMAGED, BIDE_EINVAL (after writer_commit). */
int writer_policy(struct writer *w, const char *name, struct record *out);
int writer_version(struct writer *w, const char *name, uint32_t version,
                   struct record *out);
int writer_each_policy(struct writer *w,
                       int (*visit)(void *arg, struct record *r), void *arg);
int writer_each_child(struct writer *w, const char *parent,
                      int (*visit)(void *arg, const char *name), void *arg);

/* Stores r as the next version of its name; sets its version, which is at least
 * the one before, and sequence; the other fields are the caller's.  `parent` is
 * the policy that it extends ("" or NULL: none), kept for writer_each_child.
 * BIDE_EINVAL: a field is too long or invalid (record_write), nothing is stored
 * and the transaction can continue.  Else it cannot be committed. */
int writer_put(struct writer *w, struct record *r, const char *parent);

/* Moves the versions of a policy up to `newest`, and their entries in the log,
 * to another name that has none of these numbers.  The caller then stores a
 * tombstone under the old name and the next version under the new one: until
 * then the transaction must not be committed. */
int writer_move_versions(struct writer *w, const char *from, const char *to,
                         uint32_t newest);

/* Sets a value of "meta".  `value` NULL: removes it. */
int writer_set(struct writer *w, const char *key, const void *value,
               size_t length);
/* Keeps that a policy was renamed. */
int writer_note_rename(struct writer *w, const struct record_rename *r);
/* Keeps that a fleet made a policy, or no longer; and reads that. */
int writer_mark(struct writer *w, const char *name, bool made);
bool writer_marked(struct writer *w, const char *name);

/* Returns the number of the transaction once it is committed; without a change,
 * the number of the last one. */
uint64_t writer_txn(const struct writer *w);

#endif
