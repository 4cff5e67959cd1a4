/* A snapshot that is kept while the file does not change, with the pages that
 * were read: for a writer that reads under its own lock and must not read from
 * a mapped file, because a file that is cut short would end it (SIGBUS). */
#ifndef BIDE_STORE_PAGES_VIEW_H
#define BIDE_STORE_PAGES_VIEW_H

#include "pages_file.h"

enum { PAGES_KEPT = 64, PAGE_KEPT_SIZE = 4096 };

/* Pages that were checked, each in the place number % PAGES_KEPT. */
struct page_cache {
    struct {
        uint64_t number; /* 0: none */
        unsigned kind;   /* that it was checked as */
    } known[PAGES_KEPT];
    uint8_t bytes[PAGES_KEPT][PAGE_KEPT_SIZE];
};

/* Begins as zeros. */
struct pages_view {
    struct pages_stamp stamp; /* of the snapshot; zeros: none */
    struct snapshot snapshot;
    struct tree_cache trees;
    struct page_cache pages;
    void *value; /* malloc'ed, or NULL; the caller sets it */
};

/* Makes the snapshot of the commit with this stamp, unless it is that already.
 * Fails as pages_begin, or with BIDE_EDAMAGED if the file has another commit.
 */
int pages_view(struct pages_view *v, struct pages *f,
               const struct pages_stamp *stamp);
/* Forgets the snapshot. */
void pages_view_reset(struct pages_view *v);

/* Keeps pages from one pages_try to the next as long as the file does not
 * change: of a file that only one thread reads.  Does nothing without memory.
 */
void pages_keep(struct pages *f);

#endif
