/* Decides whether LMDB may open a file.  LMDB trusts the file: it follows page
 * numbers, moves nodes by their offsets and allocates pages from the list of
 * free pages, all without a check.  pages_check therefore walks every tree,
 * every node, every long value and the list of free pages, and verifies that
 * each page is used at most once and that no page is both used and free. */
#include "pages_file.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <bide.h>

enum { CHECK_TRIES = 20 };

struct check {
    const struct snapshot *snapshot;
    uint64_t pages;     /* complete pages in the file */
    uint8_t *used;      /* a bit for each of them */
    uint64_t free_past; /* free pages past the end of the file */
};

static int
report_fault(const struct check *c, const char *name, const char *what)
{
    return pages_damaged("%s: %s: %s", c->snapshot->file->path, name, what);
}

/* Marks pages as used; returns false if one was used before (path_claim_fn). */
static bool
claim_pages(void *arg, uint64_t first, uint64_t count)
{
    struct check *c = arg;

    for (; count; count--, first++) {
        uint8_t bit = (uint8_t)(1u << first % 8);

        if (first >= c->pages || c->used[first / 8] & bit) {
            return false;
        }
        c->used[first / 8] |= bit;
    }
    return true;
}

/* ---- the list of free pages ---- */

/* Returns the fault of one record of the list, or NULL: the number of pages,
 * then the pages in descending order, u64 each.  The record may be longer. */
static const char *
free_list_fault(struct check *c, const struct node *n)
{
    uint64_t txn, count, page, before = UINT64_MAX;

    assert(n->key_length == sizeof(txn)); /* page_fault */
    memcpy(&txn, n->key, sizeof(txn));
    if (!txn || txn > c->snapshot->meta.txn) {
        return "a list has the number of no transaction";
    }
    if (n->value_length < 8 || n->value_length % 8) {
        return "a list has a wrong length";
    }
    memcpy(&count, n->value, sizeof(count));
    if (count > n->value_length / 8 - 1) {
        return "a list is longer than its record";
    }
    for (uint64_t i = 1; i <= count; i++) {
        memcpy(&page, n->value + i * 8, sizeof(page));
        if (page < 2 || page > c->snapshot->meta.last_page || page >= before) {
            return "a list is out of order";
        }
        before = page;
        if (page >= c->pages) {
            c->free_past++;
        } else if (!claim_pages(c, page, 1)) {
            return "a page is free and in use";
        }
    }
    return NULL;
}

/* ---- trees ---- */

static int check_tree(struct check *c, const char *name,
                      const struct tree *tree, bool free_list, bool top);

static int
check_named(struct check *c, const struct node *n)
{
    char name[PAGE_KEY_MAX + 1];
    struct tree tree;
    int rc = path_named(c->snapshot, n, &tree);

    memcpy(name, n->key, n->key_length);
    name[n->key_length] = '\0';
    return rc ? rc : check_tree(c, name, &tree, false, false);
}

static int
check_node(struct check *c, struct path *p, const char *name, bool top)
{
    struct node n = path_node(p);
    const char *fault;
    void *big;
    int rc;

    p->seen.entries++;
    if (top) {
        return check_named(c, &n);
    }
    if (n.flags == NODE_TREE) {
        return report_fault(c, name, "a record is a tree");
    }
    rc = path_value(p, &n, &big);
    fault = !rc && p->numbers ? free_list_fault(c, &n) : NULL;
    free(big);
    return fault ? report_fault(c, "free pages", fault) : rc;
}

/* Checks the pages of a path for overlaps and gaps.  Call at
 * the first node of each leaf: a page is checked once, namely when all pages
 * below it are at their first node. */
static int
check_tight(struct check *c, const struct path *p, const char *name)
{
    for (unsigned d = p->tree.depth; d-- > 0;) {
        const char *what =
            page_tight(p->level[d].page, c->snapshot->file->page_size);

        if (what) {
            return report_fault(c, name, what);
        }
        if (d && p->level[d - 1].index) {
            break;
        }
    }
    return 0;
}

static int
check_tree(struct check *c, const char *name, const struct tree *tree,
           bool free_list, bool top)
{
    struct path p;
    int rc;

    path_open(&p, c->snapshot, tree);
    p.numbers = free_list;
    p.claim = claim_pages;
    p.claim_arg = c;
    rc = path_seek(&p, NULL, 0, false);
    while (!rc && p.on) {
        if (!p.level[tree->depth - 1].index) {
            rc = check_tight(c, &p, name);
        }
        rc = rc ? rc : check_node(c, &p, name, top);
        rc = rc ? rc : path_step(&p, false);
    }
    path_close(&p);
    if (!rc && (p.seen.entries != tree->entries ||
                p.seen.leaf_pages != tree->leaf_pages ||
                p.seen.branch_pages != tree->branch_pages ||
                p.seen.overflow_pages != tree->overflow_pages)) {
        rc = report_fault(c, name, "its tree does not have the stated sizes");
    }
    return rc;
}

static int
check_all(struct check *c)
{
    const struct meta *meta = &c->snapshot->meta;
    uint64_t past;
    int rc;

    c->used[0] |= 3; /* the meta pages */
    rc = check_tree(c, "names", &meta->main, false, true);
    rc = rc ? rc : check_tree(c, "free pages", &meta->free, true, false);
    /* LMDB does not write a page that one transaction allocated and freed. */
    past = meta->last_page + 1 > c->pages ? meta->last_page + 1 - c->pages : 0;
    if (!rc && past > c->free_past) {
        rc = report_fault(c, "file", "pages in use lie past its end");
    }
    return rc;
}

static int
check_snapshot(void *arg, const struct snapshot *s)
{
    struct check c = {.snapshot = s};
    struct stat st;
    int rc;

    (void)arg;
    if (fstat(s->file->fd, &st)) {
        return BIDE_ESYS;
    }
    c.pages = (uint64_t)st.st_size / s->file->page_size;
    if (c.pages > s->meta.last_page + 1) {
        c.pages =
            s->meta.last_page + 1; /* a failed transaction left the rest */
    }
    c.used = calloc(c.pages / 8 + 1, 1);
    if (!c.used) {
        return BIDE_ENOMEM;
    }
    rc = check_all(&c);
    free(c.used);
    return rc;
}

int
pages_check(struct pages *f)
{
    return pages_try(f, check_snapshot, NULL, CHECK_TRIES);
}
