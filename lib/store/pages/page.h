/* One page of an LMDB 0.9 file, in memory.  Pure: reads only within the page,
 * whatever its bytes hold. */
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
    PAGE_SIZE_MIN = 512,
    PAGE_SIZE_MAX = 32768,
    PAGE_KEY_MAX = 511,
    PAGE_DEPTH_MAX = 32, /* LMDB's cursors are no deeper */
};

#define PAGE_NONE UINT64_MAX /* the root of an empty tree */
/* A tree as its parent describes it, as in the file (LMDB: MDB_db). */
struct tree {
    uint32_t page_size; /* only in the list of free pages */
    uint16_t flags, depth;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

/* A meta page after its header, as in the file (LMDB: MDB_meta). */
struct meta {
    uint32_t magic, version;
    uint64_t address, map_size;
    struct tree free, main;
    uint64_t last_page, txn;
};
enum { PAGE_META_SIZE = PAGE_HEADER + sizeof(struct meta) };

enum { NODE_BIG = 1, NODE_TREE = 2 };

struct node {
    const uint8_t *key;
    size_t key_length;
    uint64_t page; /* of a branch: the child; with NODE_BIG: the first page */
    uint16_t flags;
    const uint8_t *value; /* NULL with NODE_BIG */
    size_t value_length;
};

/* Compares two keys as memcmp does, or with `numbers` (the list of free pages)
 * as numbers. */
int page_compare(bool numbers, const void *a, size_t a_length, const void *b,
                 size_t b_length);

/* Returns NULL if the page is whole: it has this number and kind, every node
 * lies within it, its keys are in order.  Otherwise returns the fault, as the
 * end of a sentence.  The functions below are for whole pages only. */
const char *page_fault(const uint8_t *page, uint32_t size, uint64_t number,
                       enum page_kind kind, bool numbers);
unsigned page_count(const uint8_t *page); /* the number of nodes */
/* Returns a node; its pointers lead into `page`. */
struct node page_node(const uint8_t *page, unsigned index);

/* Returns the first node from `low` on not below `key`, or the count. */
unsigned page_find(const uint8_t *page, bool numbers, unsigned low,
                   const void *key, size_t key_length);
/* Returns the node of a branch that has `key` in its range. */
unsigned page_child(const uint8_t *page, bool numbers, const void *key,
                    size_t key_length);

/* Returns NULL if no two nodes overlap, none is larger than LMDB makes them and
 * they leave no gaps, as LMDB expects when it moves nodes; or the fault. */
const char *page_tight(const uint8_t *page, uint32_t size);

/* Returns the number of pages in a run of overflow pages, from the header of
 * the first; 0 if it is not such a header. */
uint32_t page_run(const uint8_t *header, uint64_t number);

/* Returns NULL, or why the tree cannot be walked with this last page. */
const char *page_tree_fault(const struct tree *t, uint64_t last_page);

/* Reads the PAGE_META_SIZE bytes of a meta page.  Returns NULL or the fault,
 * which is page_other_version if only the version is wrong. */
extern const char page_other_version[];
const char *page_meta(const uint8_t *page, uint64_t number, struct meta *out);

#endif
