/* Reads an LMDB 0.9 file without LMDB: by pread, every page and offset checked
 * before it is used.  So a reader holds no lock and no slot that a stopped
 * process could keep from others, needs read permission only, and can neither
 * crash nor hang on a damaged or truncated file, nor get SIGBUS. */
#ifndef BIDE_STORE_PAGES_H
#define BIDE_STORE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pages;

/* BIDE_EMISSING, BIDE_EPERM, BIDE_EDAMAGED, BIDE_EFORMAT, BIDE_ENOMEM,
 * BIDE_ESYS. */
int pages_open(const char *path, struct pages **out);
void pages_close(struct pages *f); /* NULL: does nothing */

/* Which file and which commit of it; equal stamps: nothing has changed. */
struct pages_stamp {
    uint64_t device, inode, size, changed_ns, txn;
};

/* One look at the file as it is now, about a microsecond: stat and both meta
 * pages.  BIDE_EMISSING when it has been removed or replaced. */
int pages_look(struct pages *f, struct pages_stamp *out);

/* A reading of one commit.  Pages of a commit may be written over once two
 * further commits have been made: pages_end tells.  A snapshot is the
 * caller's memory; any number of threads may each have their own. */
struct tree_cache;
struct snapshot {
    struct pages *file;
    struct tree_cache *cache; /* the caller's, or NULL: named databases that
                                 were found once, pages_file.h */
    uint64_t txn, last_page, main_root, main_entries;
    uint64_t main_branches, main_leaves;
    uint32_t page_size;
    uint16_t main_depth;
};

int pages_begin(struct pages *f, struct snapshot *out);

/* 0 when all that was read belongs to the snapshot; PAGES_AGAIN when a writer
 * got in between (begin again, whatever the reading said, "damaged"
 * included). */
#define PAGES_AGAIN 1
int pages_end(const struct snapshot *s);

/* A record of a named database; the value is malloc'ed (never NULL).
 * BIDE_ENOPOLICY when there is no such key (or database), BIDE_EDAMAGED,
 * BIDE_ENOMEM. */
int pages_get(const struct snapshot *s, const char *db, const void *key,
              size_t key_length, void **out, size_t *out_length);

/* Walks a database in order of keys, from the first key >= `from` (NULL: the
 * first), or backwards from the last key < `from` (NULL: the last).  `visit`
 * returns 0 to go on, anything else to end the walk with that result; its
 * arguments live during the visit only.  A walk of all of it also counts: 0 is
 * only returned when as many entries were seen as were ever put in.
 * BIDE_ENOPOLICY: no such database; BIDE_EDAMAGED (databases with duplicates
 * included: bide makes none), BIDE_ENOMEM. */
typedef int pages_visit_fn(void *arg, const void *key, size_t key_length,
                           const void *value, size_t value_length);
int pages_walk(const struct snapshot *s, const char *db, const void *from,
               size_t from_length, bool backwards, pages_visit_fn *visit,
               void *arg);

/* The same forwards, of as much as is whole: what is damaged (a page with all
 * below it, a long value) is passed over, and counted.  BIDE_EDAMAGED: the
 * database itself can not be found. */
int pages_walk_whole(const struct snapshot *s, const char *db, const void *from,
                     size_t from_length, pages_visit_fn *visit, void *arg,
                     uint64_t *damaged);

/* Walks every page of the file that is in use, free lists included, and checks
 * all that LMDB relies on, so that LMDB may be let at it afterwards.
 * BIDE_EDAMAGED: pages_why says where. */
int pages_check(struct pages *f);

/* This thread's last BIDE_EDAMAGED or BIDE_ESYS in words, "" if none. */
const char *pages_why(void);

#endif
