/* What the parts of pages.h share: pages.c, pages_tree.c, pages_check.c. */
#ifndef BIDE_STORE_PAGES_FILE_H
#define BIDE_STORE_PAGES_FILE_H

#include "page.h"
#include "pages.h"

/* Nothing of it changes once it is open. */
struct pages {
    int fd;
    char *path; /* absolute */
    uint64_t device, inode;
    uint32_t page_size;
};

/* Says why (pages_why) and gives BIDE_EDAMAGED. */
int pages_damaged(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
/* BIDE_EMISSING, BIDE_EPERM, BIDE_ENOMEM or BIDE_ESYS, with words. */
int pages_failed(const char *path, int error);

/* All of `length` bytes, or BIDE_EDAMAGED (the file is too short). */
int pages_read(const struct pages *f, uint64_t offset, void *out,
               size_t length);

/* As pages_begin, with the main tree and the list of free pages. */
int pages_begin_trees(struct pages *f, struct snapshot *out, struct tree *main,
                      struct tree *list);

/* ---- a way through a tree ---- */

/* Told of each run of pages that is used; false: one was used before. */
typedef bool path_claim_fn(void *arg, uint64_t first, uint64_t count);

struct level {
    uint8_t *page;
    unsigned index, count;
};

/* Where one stands in a tree: the pages from its root down to a leaf, each
 * checked, and checked to lie within its parent's range. */
struct path {
    const struct snapshot *snapshot;
    struct tree tree;
    bool numbers;
    bool on;             /* stands on a node */
    uint64_t pages_left; /* that the tree may still have */
    unsigned failed;     /* the depth of the page that was damaged */
    path_claim_fn *claim;
    void *claim_arg;
    struct level level[PAGE_DEPTH_MAX];
};

/* The path is to be closed whatever the result of what follows. */
void path_open(struct path *p, const struct snapshot *s,
               const struct tree *tree);
void path_close(struct path *p);

/* To the first node whose key is not below `key` (NULL: the first), or with
 * `backwards` to the last one whose key is below it (NULL: the last).  When
 * there is none, p->on is false afterwards.  BIDE_EDAMAGED ... */
int path_seek(struct path *p, const void *key, size_t key_length,
              bool backwards);
int path_step(struct path *p, bool backwards);
struct node path_node(const struct path *p);

/* The leaf one stands on. */
const uint8_t *path_leaf(const struct path *p);

/* The value of a NODE_BIG node, malloc'ed. */
int path_big(struct path *p, const struct node *n, void **out);

/* Where the named databases of a snapshot are: few, and asked for again and
 * again.  Begins as zeros. */
enum { TREES_MAX = 8 };
struct tree_cache {
    unsigned count;
    struct {
        char name[12];
        struct tree tree;
    } known[TREES_MAX];
};

/* Reads what a node of the main tree says of a named tree. */
int path_named(const struct snapshot *s, const struct node *n,
               struct tree *out);

#endif
