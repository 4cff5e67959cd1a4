/* Reading the registry: no LMDB, no lock, read permission only (pages.h).
 * For services and for every command that changes nothing.  Thread-safe. */
#ifndef BIDE_STORE_READER_H
#define BIDE_STORE_READER_H

#include "store/pages/pages.h"
#include "record.h"

struct reader;

/* Opens DIR/registry.mdb and reads its meta.  BIDE_EMISSING, BIDE_EPERM,
 * BIDE_EFORMAT, BIDE_EDAMAGED, BIDE_ENOMEM, BIDE_ESYS. */
int reader_open(const char *dir, struct reader **out);
void reader_close(struct reader *r);

const uint8_t *reader_id(const struct reader *r); /* REGISTRY_ID_SIZE bytes */
const char *reader_live_path(const struct reader *r);

/* Cheap: has anything been committed, or the file replaced, since `stamp`? */
int reader_look(struct reader *r, struct pages_stamp *out);

/* One consistent reading of any number of records: `body` runs between begin
 * and end, and again if a writer got in between (so it must start afresh each
 * time), until it is whole; BIDE_ELOCKED after 100 times.  Its result is the
 * result. */
typedef int reader_body_fn(void *arg, const struct snapshot *s);
int reader_read(struct reader *r, reader_body_fn *body, void *arg,
                uint64_t *out_txn);

/* Within a reading.  BIDE_ENOPOLICY: the name was never used (a deleted policy
 * gives its tombstone).  BIDE_ENOVERSION. */
int reader_policy(const struct snapshot *s, const char *name,
                  struct record *out);
int reader_version(const struct snapshot *s, const char *name, uint32_t version,
                   struct record *out);
/* What holds at that time: follows until_ns/back_to (at most 100 deep). */
int reader_in_force(const struct snapshot *s, const char *name,
                    uint64_t realtime_ns, struct record *out);
/* The same, had `version` (0: it has) remained the newest. */
int reader_of_version(const struct snapshot *s, const char *name,
                      uint32_t version, uint64_t realtime_ns,
                      struct record *out);

/* Visits return 0 to go on; the record lives during the visit only. */
typedef int reader_visit_fn(void *arg, const struct record *r);
int reader_each_policy(const struct snapshot *s, reader_visit_fn *visit,
                       void *arg); /* by name, tombstones included */
int reader_each_version(const struct snapshot *s, const char *name,
                        reader_visit_fn *visit, void *arg); /* newest first */
int reader_each_change(const struct snapshot *s, reader_visit_fn *visit,
                       void *arg); /* the log, newest first */
/* Names of the policies that extend `parent` directly. */
int reader_each_child(const struct snapshot *s, const char *parent,
                      int (*visit)(void *arg, const char *name), void *arg);

#endif
