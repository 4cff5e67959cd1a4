/* Changing the registry, for operators: the only user of LMDB.  One writer at a
 * time on the host, by a lock with a time limit.  A writer belongs to the
 * thread and the process that began it: in a forked child everything but
 * writer_end gives BIDE_EINVAL, and the parent's writer is not disturbed. */
#ifndef BIDE_STORE_WRITER_H
#define BIDE_STORE_WRITER_H

#include "record.h"

struct writer;

/* Makes a registry in `dir` (made as well, 2750): registry.mdb with its meta.
 * Its live file will be LIVE_DIR/<id>.live; live_dir is absolute, and is not
 * made here.  A half-made one never looks like a registry.  `make_others` (may
 * be NULL) makes the files that belong to it; it is called under the writers'
 * lock, before the registry is there.  BIDE_EEXIST when there is one, whatever
 * its state. */
int writer_create(const char *dir, const char *live_dir,
                  int (*make_others)(const char *dir),
                  uint8_t out_id[REGISTRY_ID_SIZE]);

/* Takes the writers' lock (at most wait_ms), checks the file unless it was
 * checked since it last changed, opens LMDB and begins a transaction.
 * `command` is shown to those who wait.  BIDE_ELOCKED, in the same process too:
 * writer_why has "being written by pid 815 (bide apply, for 12 s)". */
int writer_begin(const char *dir, const char *command, unsigned wait_ms,
                 struct writer **out);

/* Makes it durable and ends; 0: it is on the disk.  Without a change: does
 * nothing.  BIDE_EFULL, BIDE_ESYS, or what an earlier writer_put came to that
 * failed halfway: nothing has changed.  The lock is kept until writer_end, so
 * that announcing happens in the order of the commits. */
int writer_commit(struct writer *w);
/* Ends; what was not committed is undone.  NULL: does nothing. */
void writer_end(struct writer *w);

/* Within the transaction, its own changes included.  BIDE_ENOPOLICY (a deleted
 * policy gives its tombstone), BIDE_ENOVERSION, BIDE_EDAMAGED, BIDE_EINVAL
 * (after writer_commit). */
int writer_policy(struct writer *w, const char *name, struct record *out);
int writer_version(struct writer *w, const char *name, uint32_t version,
                   struct record *out);
int writer_each_policy(struct writer *w,
                       int (*visit)(void *arg, const struct record *r),
                       void *arg);
int writer_each_child(struct writer *w, const char *parent,
                      int (*visit)(void *arg, const char *name), void *arg);

/* Stores r (name, deleted, when_ns, until_ns, back_to, who, note, text are the
 * caller's) as the next version of its name; fills version and sequence.
 * `parent` is what it extends ("" or NULL: nothing), kept for
 * writer_each_child.  BIDE_EINVAL: not stored (record_write says what is too
 * long), the transaction goes on.  After any other failure it cannot be
 * committed. */
int writer_put(struct writer *w, struct record *r, const char *parent);

/* The transaction's number once committed; without a change, the number of
 * the last one. */
uint64_t writer_txn(const struct writer *w);
const uint8_t *writer_id(const struct writer *w);
const char *writer_live_path(const struct writer *w);

/* This thread's last failure in words ("" if none): what happened and, after
 * a newline where it is known, what to do. */
const char *writer_why(void);

#endif
