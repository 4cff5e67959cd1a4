/* Reads the registry: no LMDB, no lock, read permission only (pages.h).  For
 * services and for commands that change nothing.  Thread-safe.
 *
 * Functions that return int return 0 or a BIDE_E code, and on failure leave
 * their outputs unchanged; pages_why has the message. */
#ifndef BIDE_STORE_READER_H
#define BIDE_STORE_READER_H

#include "store/pages/pages.h"
#include "record.h"

struct reader;

/* Opens DIR/registry.mdb and reads its meta.  Fails with BIDE_EMISSING,
 * BIDE_EPERM, BIDE_EFORMAT, BIDE_EDAMAGED, BIDE_ENOMEM, BIDE_ESYS. */
int reader_open(const char *dir, struct reader **out);
void reader_close(struct reader *r);

void reader_keep(struct reader *r); /* pages_keep */

const uint8_t *reader_id(const struct reader *r); /* REGISTRY_ID_SIZE bytes */
const char *reader_live_path(const struct reader *r);
bool reader_journal(const struct reader *r); /* changes go to the journal */
/* Returns the directory of the registry that this one is a copy of, if that one
 * still exists: the copy then has a live file of its own.  NULL: not a copy. */
const char *reader_original(const struct reader *r);

/* Reads the stamp of the file, as pages_look: it changes with each commit. */
int reader_look(struct reader *r, struct pages_stamp *out);

/* Reads any number of records of one commit: calls `body` with a snapshot, and
 * again if a writer overwrote some of it meanwhile, so `body` must start from
 * the beginning each time.  Returns the result of `body`, or BIDE_ELOCKED after
 * 100 tries. out_txn (may be NULL) is the number of the commit. */
typedef int reader_body_fn(void *arg, const struct snapshot *s);
int reader_read(struct reader *r, reader_body_fn *body, void *arg,
                uint64_t *out_txn);

/* The functions below are called by a `body`.
 *
 * Read the newest or a given version of a policy.  A deleted policy gives its
 * tombstone.  BIDE_ENOPOLICY: the name was never used.  Also fails with
 * BIDE_ENOVERSION. */
int reader_policy(const struct snapshot *s, const char *name,
                  struct record *out);
int reader_version(const struct snapshot *s, const char *name, uint32_t version,
                   struct record *out);
/* Reads what is in force at a time: the newest version, without the layers that
 * have ended by then. */
int reader_in_force(const struct snapshot *s, const char *name,
                    uint64_t realtime_ns, struct record *out);

/* Returns "floor" (record.h), 0 without one. */
uint32_t reader_floor(const struct snapshot *s);
/* Reads what a fleet's agent applied last; zeros if there is none. */
void reader_fleet(const struct snapshot *s, struct record_fleet *out);

/* Visits return 0 to continue; any other value ends the walk and is its result.
 * The record is freed after the visit, which may take it over and leave zeros.
 */
typedef int reader_visit_fn(void *arg, struct record *r);
int reader_each_policy(const struct snapshot *s, reader_visit_fn *visit,
                       void *arg); /* as reader_policy, by name; then
                                      BIDE_EDAMAGED if any was damaged */
int reader_each_version(const struct snapshot *s, const char *name,
                        reader_visit_fn *visit, void *arg); /* newest first */
int reader_each_change(const struct snapshot *s, reader_visit_fn *visit,
                       void *arg); /* the log, newest first */
/* Reads a rename, from 1 on in the order of time; BIDE_ENOPOLICY: no more. */
int reader_rename(const struct snapshot *s, unsigned number,
                  struct record_rename *out);

#endif
