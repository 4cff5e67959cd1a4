/* Reads an LMDB 0.9 file without LMDB: by pread, checking every page and offset
 * before it is used.  A reader therefore takes no lock and no reader slot, so a
 * stopped reader blocks nobody.  It needs read permission only, and a damaged
 * or truncated file causes no crash, no hang and no SIGBUS. */
#ifndef BIDE_STORE_PAGES_H
#define BIDE_STORE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "page.h"

struct pages;

/* Opens a file and reads its meta pages.  Fails with BIDE_EMISSING, BIDE_EPERM,
 * BIDE_EDAMAGED, BIDE_EFORMAT, BIDE_ENOMEM, BIDE_ESYS. */
int pages_open(const char *path, struct pages **out);
void pages_close(struct pages *f); /* NULL: does nothing */

/* Identifies a commit of a file: equal stamps mean that nothing has changed. */
struct pages_stamp {
    uint64_t device, inode, size, changed_ns, txn;
};

/* Reads the stamp of the file as it is now: stat and both meta pages, about a
 * microsecond.  Fails with BIDE_EMISSING if the file was removed or replaced.
 */
int pages_look(struct pages *f, struct pages_stamp *out);

/* One commit of the file.  Its pages may be overwritten after two further
 * commits; pages_end reports this.  A snapshot is the caller's memory; any
 * number of threads may each have their own. */
struct tree_cache;
struct page_cache;
struct snapshot {
    struct pages *file;
    struct tree_cache *cache; /* the caller's, or NULL: the named databases
                                 found so far, pages_file.h */
    struct page_cache *pages; /* the same, for pages: pages_view.h */
    struct meta meta;
};

/* Makes a snapshot of the newest commit. */
int pages_begin(struct pages *f, struct snapshot *out);

/* Returns 0 if everything that was read belongs to the snapshot, PAGES_AGAIN if
 * a writer may have overwritten some of it.  After PAGES_AGAIN begin again,
 * even if the reading returned BIDE_EDAMAGED. */
#define PAGES_AGAIN 1
int pages_end(const struct snapshot *s);

/* Reads a record of a named database; the value is malloc'ed, never NULL.
 * Fails with BIDE_ENOPOLICY if there is no such key or database, BIDE_EDAMAGED,
 * BIDE_ENOMEM. */
int pages_get(const struct snapshot *s, const char *db, const void *key,
              size_t key_length, void **out, size_t *out_length);

/* Walks a database in order of keys, from the first key >= `from` (NULL: the
 * first), or backwards from the last key < `from` (NULL: the last).  `visit`
 * returns 0 to continue, anything else to end the walk with that result; its
 * arguments are valid during the visit only.  BIDE_ENOPOLICY: no such database;
 * BIDE_EDAMAGED (databases with duplicate keys included: bide makes none),
 * BIDE_ENOMEM.
 *
 * With `damaged`, a walk forwards skips damage: adds 1 for each damaged page,
 * skipped with all pages below it, and for each damaged long value.
 * BIDE_EDAMAGED: the database itself cannot be found.  NULL: damage ends the
 * walk.  One without `from` then also compares the number of records with the
 * number in the tree's header, and returns BIDE_EDAMAGED if they differ. */
typedef int pages_visit_fn(void *arg, const void *key, size_t key_length,
                           const void *value, size_t value_length);
int pages_walk(const struct snapshot *s, const char *db, const void *from,
               size_t from_length, bool backwards, pages_visit_fn *visit,
               void *arg, uint64_t *damaged);

/* Decides whether LMDB may open the file: walks every page in use, the list of
 * free pages included, and checks everything that LMDB relies on.
 * BIDE_EDAMAGED: pages_why says where. */
int pages_check(struct pages *f);

/* Returns the message of this thread's last failure of a function of pages.h,
 * "" if there was none.  BIDE_ENOMEM and BIDE_ELOCKED may have none. */
const char *pages_why(void);
/* Returns 0 for the format that is known, else BIDE_EFORMAT with a message. */
int pages_format(const char *path, unsigned found, unsigned known);
/* Reports whether the message is of a file that a newer bide wrote. */
bool pages_newer(void);

#endif
