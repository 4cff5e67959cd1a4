/* One page of an LMDB 0.9 file, in memory.  Pure: looks at bytes, never past
 * them, whatever they hold. */
#ifndef BIDE_STORE_PAGE_H
#define BIDE_STORE_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum page_kind {
    PAGE_BRANCH = 1,
    PAGE_LEAF = 2,
    PAGE_OVERFLOW = 4,
    PAGE_META = 8,
};

enum {
    PAGE_HEADER = 16,
    PAGE_META_SIZE = PAGE_HEADER + 136, /* header included */
    PAGE_SIZE_MIN = 512,
    PAGE_SIZE_MAX = 32768,
    PAGE_KEY_MAX = 511,
    PAGE_DEPTH_MAX = 32, /* LMDB's cursors are no deeper */
    PAGE_TREE_SIZE = 48,
};

#define PAGE_NONE UINT64_MAX /* the root of an empty tree */

/* A tree as its parent describes it (LMDB: MDB_db). */
struct tree {
    uint16_t flags, depth;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

struct meta {
    uint32_t magic, version, page_size;
    struct tree free, main;
    uint64_t last_page, txn;
};

enum { NODE_BIG = 1, NODE_TREE = 2 };

struct node {
    const uint8_t *key;
    size_t key_length;
    uint64_t page; /* of a branch: the child; with NODE_BIG: the first page */
    uint16_t flags;
    const uint8_t *value; /* NULL with NODE_BIG */
    size_t value_length;
};

/* How keys are ordered: by bytes, or (the list of free pages) as numbers. */
int page_compare(bool numbers, const void *a, size_t a_length, const void *b,
                 size_t b_length);

/* NULL when a branch or leaf page is whole: itself, of that kind, every node
 * within it, its keys in order.  Else what is wrong.  Only then may the
 * functions below be used. */
const char *page_fault(const uint8_t *page, uint32_t size, uint64_t number,
                       enum page_kind kind, bool numbers);
unsigned page_count(const uint8_t *page);
struct node page_node(const uint8_t *page, unsigned index);

/* The first node of a leaf whose key is not below `key`, or the count. */
unsigned page_find(const uint8_t *page, bool numbers, const void *key,
                   size_t key_length);
/* The node of a branch in whose range `key` lies. */
unsigned page_child(const uint8_t *page, bool numbers, const void *key,
                    size_t key_length);

/* NULL when no two nodes overlap, none is larger than LMDB makes them, and
 * there are no gaps: what LMDB relies on when it moves nodes about. */
const char *page_tight(const uint8_t *page, uint32_t size);

/* The header of a run of overflow pages: how many; 0 when it is none. */
uint32_t page_run(const uint8_t *header, uint64_t number);

void page_tree(const uint8_t *bytes, struct tree *out);
/* NULL when it can be walked in a file whose last page is `last_page`. */
const char *page_tree_fault(const struct tree *t, uint64_t last_page);

/* Reads PAGE_META_SIZE bytes; NULL when they are a meta page.  The fault is
 * page_other_version when that is all that is wrong. */
extern const char page_other_version[];
const char *page_meta(const uint8_t *page, uint64_t number, struct meta *out);

#endif
