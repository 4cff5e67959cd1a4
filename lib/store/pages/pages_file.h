/* Shared by the files of pages.h: pages.c, pages_tree.c, pages_check.c. */
#ifndef BIDE_STORE_PAGES_FILE_H
#define BIDE_STORE_PAGES_FILE_H

#include "pages.h"

/* Immutable once open, except `kept`. */
struct pages {
    int fd;
    char *path; /* absolute */
    uint64_t device, inode;
    uint32_t page_size;
    struct pages_view *kept; /* of pages_keep, while no reading uses it */
};

/* Keeps a message for pages_why and returns BIDE_EDAMAGED. */
int pages_damaged(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
/* Maps an errno about `path` to a BIDE_E code; keeps a message. */
int pages_failed(const char *path, int error);

/* Reads all of `length` bytes.  BIDE_EDAMAGED: the file is too short. */
int pages_read(const struct pages *f, uint64_t offset, void *out,
               size_t length);
/* Calls `body` with a snapshot, and again if a writer overwrote some of it, so
 * `body` must start anew each time.  BIDE_ELOCKED: `tries` were too few. */
typedef int pages_body_fn(void *arg, const struct snapshot *s);
int pages_try(struct pages *f, pages_body_fn *body, void *arg, int tries);

/* ---- a position in a tree ---- */

/* Receives each run of pages in use; false: one of them was used before. */
typedef bool path_claim_fn(void *arg, uint64_t first, uint64_t count);

struct level {
    uint8_t *page;
    unsigned index, count;
};

/* A position in a tree: the pages from its root down to a leaf.  Each page was
 * checked, and its keys lie within its parent's range. */
struct path {
    const struct snapshot *snapshot;
    struct tree tree;
    bool numbers;
    bool on;          /* at a node; otherwise past the first or last one */
    struct tree seen; /* the numbers of pages that were read */
    unsigned failed;  /* the depth of the page that was read last */
    path_claim_fn *claim;
    void *claim_arg;
    struct level level[PAGE_DEPTH_MAX];
};

/* Begins a path of a snapshot that outlives it; path_close it. */
void path_open(struct path *p, const struct snapshot *s,
               const struct tree *tree);
void path_close(struct path *p);

/* Moves to the first node whose key is not below `key` (NULL: the first), or
 * with `backwards` to the last one whose key is below it (NULL: the last).  If
 * there is none, p->on is false afterwards.  Fails with BIDE_EDAMAGED,
 * BIDE_ENOMEM, BIDE_ESYS. */
int path_seek(struct path *p, const void *key, size_t key_length,
              bool backwards);
/* Moves to the next or previous node; sets p->on as path_seek. */
int path_step(struct path *p, bool backwards);
/* Return the current node and leaf; p->on must be true. */
struct node path_node(const struct path *p);
const uint8_t *path_leaf(const struct path *p);
/* Reads the current node with its value; a long value is *out_big, which the
 * caller frees, even after a failure. */
int path_value(struct path *p, struct node *out, void **out_big);

/* The trees of a snapshot's named databases.  Begins as zeros. */
enum { TREES_MAX = 8 };
struct tree_cache {
    unsigned count;
    struct {
        char name[12];
        struct tree tree;
    } known[TREES_MAX];
};

/* Read a named tree: the one that a node of the main tree describes, or by
 * name (BIDE_ENOPOLICY: there is none). */
int path_named(const struct snapshot *s, const struct node *n,
               struct tree *out);
int path_database(const struct snapshot *s, const char *db, struct tree *out);

#endif
