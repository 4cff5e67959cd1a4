/* Moves through a tree, reading pages one by one.  Each page is checked before
 * it is used: by itself (page_fault), and by its place in the tree (its keys
 * must lie in the range that its parent allows).  The number of pages and the
 * depth are bounded by the tree's header.  A page number that leads back up or
 * into another tree is therefore detected and not followed. */
#include "pages_view.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>

static int
tree_damaged(const struct path *p, uint64_t number, const char *fault)
{
    return pages_damaged("%s: page %llu: %s", p->snapshot->file->path,
                         (unsigned long long)number, fault);
}

void
path_open(struct path *p, const struct snapshot *s, const struct tree *tree)
{
    memset(p, 0, sizeof(*p));
    p->snapshot = s;
    p->tree = *tree;
}

void
path_close(struct path *p)
{
    for (unsigned i = 0; i < PAGE_DEPTH_MAX; i++) {
        free(p->level[i].page);
    }
}

/* Returns a fault if a key of the page lies outside the range that the pages
 * above it allow: from the key of its node on, below the key of the next node.
 */
static const char *
range_fault(const struct path *p, unsigned depth)
{
    const uint8_t *page = p->level[depth].page;
    bool leaf = depth + 1u == p->tree.depth;
    unsigned count = page_count(page), first = leaf ? 0 : 1, d;
    bool low = false, high = false;
    struct node bound, n;

    if (count <= first) {
        return NULL; /* it has no keys that are used */
    }
    for (d = depth; d-- > 0 && !(low && high);) {
        const struct level *up = &p->level[d];

        if (!low && up->index > 0) {
            low = true;
            bound = page_node(up->page, up->index);
            n = page_node(page, first);
            if (page_compare(p->numbers, n.key, n.key_length, bound.key,
                             bound.key_length) < 0) {
                return "a key is below its range";
            }
        }
        if (!high && up->index + 1 < up->count) {
            high = true;
            bound = page_node(up->page, up->index + 1);
            n = page_node(page, count - 1);
            if (page_compare(p->numbers, n.key, n.key_length, bound.key,
                             bound.key_length) >= 0) {
                return "a key is above its range";
            }
        }
    }
    return NULL;
}

/* Reads a page and checks it by itself. */
static int
read_page(const struct path *p, uint64_t number, unsigned kind, uint8_t *out)
{
    const struct snapshot *s = p->snapshot;
    struct page_cache *c =
        s->file->page_size == PAGE_KEPT_SIZE ? s->pages : NULL;
    const uint64_t at = number % PAGES_KEPT;
    const char *fault;
    int rc;

    if (c && c->known[at].number == number && c->known[at].kind == kind) {
        memcpy(out, c->bytes[at], PAGE_KEPT_SIZE);
        return 0;
    }
    rc = pages_read(s->file, number * s->file->page_size, out,
                    s->file->page_size);
    if (rc) {
        return rc;
    }
    fault = page_fault(out, s->file->page_size, number, kind, p->numbers);
    if (fault) {
        return tree_damaged(p, number, fault);
    }
    if (c) {
        c->known[at].number = number;
        c->known[at].kind = kind;
        memcpy(c->bytes[at], out, PAGE_KEPT_SIZE);
    }
    return 0;
}

/* Reads page `number` into the path at `depth` and checks it. */
static int
load_page(struct path *p, unsigned depth, uint64_t number)
{
    const struct snapshot *s = p->snapshot;
    struct level *l = &p->level[depth];
    bool leaf = depth + 1u == p->tree.depth;
    const char *fault;
    int rc;

    p->failed = depth;
    if (!l->page) {
        l->page = malloc(s->file->page_size);
        if (!l->page) {
            return BIDE_ENOMEM;
        }
    }
    if (number < 2 || number > s->meta.last_page) {
        return tree_damaged(p, number, "it is outside the file");
    }
    if (p->seen.leaf_pages + p->seen.branch_pages >=
        p->tree.leaf_pages + p->tree.branch_pages) {
        return tree_damaged(p, number, "its tree has too many pages");
    }
    p->seen.leaf_pages += leaf;
    p->seen.branch_pages += !leaf;
    rc = read_page(p, number, leaf ? PAGE_LEAF : PAGE_BRANCH, l->page);
    if (rc) {
        return rc;
    }
    fault = range_fault(p, depth);
    if (!fault && p->claim && !p->claim(p->claim_arg, number, 1)) {
        fault = "it is used twice";
    }
    if (fault) {
        return tree_damaged(p, number, fault);
    }
    l->count = page_count(l->page);
    return 0;
}

/* Moves from the current node of the branch at `depth` - 1 down to the first or
 * last node of its leaves. */
static int
descend_to_leaf(struct path *p, unsigned depth, bool to_last)
{
    int rc = 0;

    for (; depth < p->tree.depth && !rc; depth++) {
        const struct level *up = &p->level[depth - 1];

        rc = load_page(p, depth, page_node(up->page, up->index).page);
        if (!rc) {
            p->level[depth].index = to_last ? p->level[depth].count - 1 : 0;
        }
    }
    p->on = !rc;
    return rc;
}

/* Moves to the next or previous leaf, if there is one. */
static int
step_to_next_leaf(struct path *p, bool backwards)
{
    p->on = false;
    for (unsigned d = p->tree.depth - 1u; d-- > 0;) {
        struct level *l = &p->level[d];

        if (backwards ? l->index > 0 : l->index + 1 < l->count) {
            l->index = backwards ? l->index - 1 : l->index + 1;
            return descend_to_leaf(p, d + 1, backwards);
        }
    }
    return 0;
}

/* Moves past the page that could not be read and all pages below it; *rc is the
 * result of reading what follows.  Returns false if nothing follows. */
static bool
skip_damage(struct path *p, int *rc)
{
    unsigned d = p->failed;

    while (d-- > 0) {
        struct level *l = &p->level[d];

        if (l->index + 1 < l->count) {
            l->index++;
            *rc = descend_to_leaf(p, d + 1, false);
            return true;
        }
    }
    return false;
}

int
path_step(struct path *p, bool backwards)
{
    struct level *leaf = &p->level[p->tree.depth - 1];

    assert(p->on);
    if (backwards ? leaf->index > 0 : leaf->index + 1 < leaf->count) {
        leaf->index = backwards ? leaf->index - 1 : leaf->index + 1;
        return 0;
    }
    return step_to_next_leaf(p, backwards);
}

int
path_seek(struct path *p, const void *key, size_t key_length, bool backwards)
{
    const char *fault = page_tree_fault(&p->tree, p->snapshot->meta.last_page);
    unsigned d, i;
    int rc;

    p->on = false;
    if (fault) {
        return tree_damaged(p, p->tree.root, fault);
    }
    if (p->tree.root == PAGE_NONE) {
        return 0;
    }
    rc = load_page(p, 0, p->tree.root);
    for (d = 0; d + 1u < p->tree.depth && !rc; d++) {
        struct level *l = &p->level[d];

        l->index = key ? page_child(l->page, p->numbers, key, key_length)
                   : backwards ? l->count - 1
                               : 0;
        rc = load_page(p, d + 1, page_node(l->page, l->index).page);
    }
    if (rc) {
        return rc;
    }
    i = key ? page_find(p->level[d].page, p->numbers, 0, key, key_length)
        : backwards ? p->level[d].count
                    : 0;
    /* The node may be in the next or previous leaf. */
    if (backwards) {
        p->level[d].index = i ? i - 1 : 0;
        p->on = i > 0;
    } else {
        p->on = i < p->level[d].count;
        p->level[d].index = p->on ? i : p->level[d].count - 1;
    }
    return p->on ? 0 : step_to_next_leaf(p, backwards);
}

const uint8_t *
path_leaf(const struct path *p)
{
    return p->level[p->tree.depth - 1].page;
}

struct node
path_node(const struct path *p)
{
    assert(p->on);
    return page_node(path_leaf(p), p->level[p->tree.depth - 1].index);
}

/* Reads the value of a NODE_BIG node, malloc'ed. */
static int
read_long_value(struct path *p, const struct node *n, void **out)
{
    const struct snapshot *s = p->snapshot;
    uint8_t header[PAGE_HEADER];
    uint64_t run;
    void *bytes;
    int rc;

    if (n->page < 2 || n->page > s->meta.last_page) {
        return tree_damaged(p, n->page, "it is outside the file");
    }
    rc = pages_read(s->file, n->page * s->file->page_size, header,
                    sizeof(header));
    if (rc) {
        return rc;
    }
    run = page_run(header, n->page);
    if (!run || run > s->meta.last_page - n->page + 1 ||
        PAGE_HEADER + n->value_length > run * s->file->page_size) {
        return tree_damaged(p, n->page, "it does not begin a long value");
    }
    if (p->claim && !p->claim(p->claim_arg, n->page, run)) {
        return tree_damaged(p, n->page, "it is used twice");
    }
    p->seen.overflow_pages += run;
    /* Reads the last byte before it allocates memory, because the length may
     * be damaged. */
    rc = pages_read(s->file, (n->page + run) * s->file->page_size - 1, header,
                    1);
    if (rc) {
        return rc;
    }
    bytes = malloc(n->value_length ? n->value_length : 1);
    if (!bytes) {
        return BIDE_ENOMEM;
    }
    rc = pages_read(s->file, n->page * s->file->page_size + PAGE_HEADER, bytes,
                    n->value_length);
    if (rc) {
        free(bytes);
        return rc;
    }
    *out = bytes;
    return 0;
}

int
path_value(struct path *p, struct node *out, void **out_big)
{
    int rc = 0;

    *out = path_node(p);
    *out_big = NULL;
    if (out->flags == NODE_TREE) {
        return tree_damaged(p, p->tree.root, "a record is a tree");
    }
    if (out->flags == NODE_BIG) {
        rc = read_long_value(p, out, out_big);
        out->value = *out_big;
    }
    return rc;
}

/* ---- named databases ---- */

int
path_named(const struct snapshot *s, const struct node *n, struct tree *out)
{
    const char *fault;

    if (n->flags != NODE_TREE || n->value_length != sizeof(*out)) {
        return pages_damaged("%s: its main tree holds a record", s->file->path);
    }
    memcpy(out, n->value, sizeof(*out));
    fault = out->flags ? "a database is not one of bide's"
                       : page_tree_fault(out, s->meta.last_page);
    return fault ? pages_damaged("%s: %s", s->file->path, fault) : 0;
}

/* Moves to the node with exactly this key, or returns BIDE_ENOPOLICY. */
static int
seek_exact(struct path *p, const void *key, size_t key_length, struct node *out)
{
    int rc = path_seek(p, key, key_length, false);

    if (rc) {
        return rc;
    }
    if (!p->on) {
        return BIDE_ENOPOLICY;
    }
    *out = path_node(p);
    if (page_compare(p->numbers, out->key, out->key_length, key, key_length)) {
        return BIDE_ENOPOLICY;
    }
    return 0;
}

static bool
find_cached_tree(const struct snapshot *s, const char *db, struct tree *out)
{
    const struct tree_cache *c = s->cache;

    for (unsigned i = 0; c && i < c->count; i++) {
        if (strcmp(c->known[i].name, db) == 0) {
            *out = c->known[i].tree;
            return true;
        }
    }
    return false;
}

/* Caches all trees of the current leaf, usually all trees of the file. */
static void
cache_leaf(const struct snapshot *s, const struct path *p)
{
    const uint8_t *leaf = path_leaf(p);
    struct tree_cache *c = s->cache;

    for (unsigned i = 0; i < page_count(leaf) && c->count < TREES_MAX; i++) {
        struct node n = page_node(leaf, i);
        char *name = c->known[c->count].name;

        if (n.key_length < sizeof(c->known->name) &&
            path_named(s, &n, &c->known[c->count].tree) == 0) {
            memset(name, 0, sizeof(c->known->name));
            memcpy(name, n.key, n.key_length);
            c->count++;
        }
    }
}

int
path_database(const struct snapshot *s, const char *db, struct tree *out)
{
    struct path p;
    struct node n;
    int rc;

    if (find_cached_tree(s, db, out)) {
        return 0;
    }
    path_open(&p, s, &s->meta.main);
    rc = seek_exact(&p, db, strlen(db), &n);
    rc = rc ? rc : path_named(s, &n, out);
    if (!rc && s->cache && !s->cache->count) {
        cache_leaf(s, &p);
    }
    path_close(&p);
    return rc;
}

int
pages_get(const struct snapshot *s, const char *db, const void *key,
          size_t key_length, void **out, size_t *out_length)
{
    struct tree tree;
    struct path p;
    struct node n;
    void *value = NULL;
    int rc = path_database(s, db, &tree);

    if (rc) {
        return rc;
    }
    path_open(&p, s, &tree);
    rc = seek_exact(&p, key, key_length, &n);
    rc = rc ? rc : path_value(&p, &n, &value);
    if (!rc && !value) {
        value = malloc(n.value_length ? n.value_length : 1);
        rc = value ? 0 : BIDE_ENOMEM;
        if (value && n.value_length) {
            memcpy(value, n.value, n.value_length);
        }
    }
    path_close(&p);
    if (!rc) {
        *out = value;
        *out_length = n.value_length;
    }
    return rc;
}

static int
visit_node(struct path *p, pages_visit_fn *visit, void *arg)
{
    struct node n;
    void *big;
    int rc = path_value(p, &n, &big);

    rc = rc ? rc : visit(arg, n.key, n.key_length, n.value, n.value_length);
    free(big);
    return rc;
}

int
pages_walk(const struct snapshot *s, const char *db, const void *from,
           size_t from_length, bool backwards, pages_visit_fn *visit, void *arg,
           uint64_t *damaged)
{
    uint64_t visited = 0;
    struct tree tree;
    struct path p;
    int rc = path_database(s, db, &tree);

    if (rc) {
        return rc;
    }
    path_open(&p, s, &tree);
    rc = path_seek(&p, from, from_length, backwards);
    do {
        while (!rc && p.on) {
            visited++;
            rc = visit_node(&p, visit, arg);
            if (damaged && rc == BIDE_EDAMAGED) {
                *damaged += 1; /* only this value */
                rc = 0;
            }
            rc = rc ? rc : path_step(&p, backwards);
        }
        if (damaged && rc == BIDE_EDAMAGED) {
            *damaged += 1;
        }
    } while (damaged && rc == BIDE_EDAMAGED && skip_damage(&p, &rc));
    if (damaged) {
        rc = rc == BIDE_EDAMAGED ? 0 : rc;
    } else if (!rc && !from && visited != tree.entries) {
        rc = tree_damaged(&p, tree.root, "its tree has lost records");
    }
    path_close(&p);
    return rc;
}
