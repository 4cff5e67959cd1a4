/* A skip list.  Nodes are removed only when trials are kept or undone, so a
 * pointer to a node is valid within a transaction. */
#include "recent.h"

#include <endian.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEIGHT = 10,
    PAGE = 4096,
    IN_LEAF = 2000, /* LMDB gives larger values pages of their own */
    NODE = 32,      /* bytes of a record beside key and value */
};

struct trial {
    struct recent_node *node;
    struct recent_value *before;
};

struct recent {
    struct recent_node *first[HEIGHT];
    struct trial *trials;
    size_t trial_count, trial_room;
    struct recent_totals totals;
    uint32_t random;
    struct recent *abandoned;
};

/* Lists that were abandoned: still reachable, so that they are no leak. */
static _Atomic(struct recent *) abandoned;

struct recent *
recent_new(void)
{
    struct recent *r = calloc(1, sizeof(*r));

    if (r) {
        r->random = 0x9e3779b9;
    }
    return r;
}

static void
free_node(struct recent_node *n)
{
    free(n->value);
    free(n);
}

void
recent_free(struct recent *r)
{
    struct recent_node *n, *next;

    if (!r) {
        return;
    }
    recent_undo(r);
    for (n = r->first[0]; n; n = next) {
        next = n->next[0];
        free_node(n);
    }
    free(r->trials);
    free(r);
}

void
recent_abandon(struct recent *r)
{
    if (r) {
        r->abandoned = atomic_exchange(&abandoned, r);
    }
}

/* ---- order ---- */

static uint64_t
read_be64(const uint8_t *bytes)
{
    uint64_t be;

    memcpy(&be, bytes, sizeof(be));
    return be64toh(be);
}

/* Compares eight bytes at a time: keys are short and compared often. */
int
recent_compare(const void *a, size_t a_length, const void *b, size_t b_length)
{
    size_t left = a_length < b_length ? a_length : b_length;
    const uint8_t *p = a, *q = b;

    for (; left >= 8; left -= 8, p += 8, q += 8) {
        uint64_t x = read_be64(p), y = read_be64(q);

        if (x != y) {
            return x < y ? -1 : 1;
        }
    }
    for (; left; left--, p++, q++) {
        if (*p != *q) {
            return *p < *q ? -1 : 1;
        }
    }
    return (a_length > b_length) - (a_length < b_length);
}

/* Finds on each level the link to the first node that is not below the key, and
 * returns the last of these nodes. */
static struct recent_node *
find_links(struct recent *r, const void *key, size_t length,
           struct recent_node **links[HEIGHT])
{
    struct recent_node **next = r->first, *n = NULL;
    int level;

    for (level = HEIGHT - 1; level >= 0; level--) {
        while ((n = next[level]) &&
               recent_compare(n->key, n->key_length, key, length) < 0) {
            next = n->next;
        }
        links[level] = &next[level];
    }
    return n;
}

const struct recent_node *
recent_seek(const struct recent *r, const void *key, size_t length)
{
    struct recent_node **links[HEIGHT];

    return find_links((struct recent *)(uintptr_t)r, key, length, links);
}

static bool
has_key(const struct recent_node *n, const void *key, size_t length)
{
    return n && !recent_compare(n->key, n->key_length, key, length);
}

const struct recent_node *
recent_find(const struct recent *r, const void *key, size_t length)
{
    const struct recent_node *n = recent_seek(r, key, length);

    return has_key(n, key, length) && n->value ? n : NULL;
}

/* ---- changing ---- */

/* Adds the bytes of a node to the totals, or subtracts them. */
static void
weigh_node(struct recent *r, const struct recent_node *n, bool add)
{
    const struct recent_value *v = n->value;
    size_t bytes = 2 * (n->key_length + (size_t)NODE);

    if (!v) {
        return;
    }
    if (v->kind == RECENT_HERE) {
        bytes += v->length <= IN_LEAF ? 2 * (size_t)v->length
                                      : (v->length / PAGE + 2) * PAGE;
        r->totals.bytes += add ? bytes : -bytes;
    }
    if (v->kind == RECENT_GONE) {
        r->totals.gone += add ? 1 : (size_t)-1;
    }
}

static void
replace_value(struct recent *r, struct recent_node *n, struct recent_value *v)
{
    weigh_node(r, n, false);
    n->value = v;
    weigh_node(r, n, true);
}

/* Draws a height: 1 for three of four nodes, 2 for three of four others, and so
 * on. */
static uint8_t
draw_height(struct recent *r)
{
    uint8_t height = 1;
    uint32_t bits;

    r->random ^= r->random << 13;
    r->random ^= r->random >> 17;
    r->random ^= r->random << 5;
    for (bits = r->random; height < HEIGHT && !(bits & 3); bits >>= 2) {
        height++;
    }
    return height;
}

static struct recent_node *
insert_node(struct recent *r, const void *key, size_t length)
{
    uint8_t height = draw_height(r);
    size_t links_size = height * sizeof(struct recent_node *);
    struct recent_node **links[HEIGHT], *n;
    int level;

    n = calloc(1, sizeof(*n) + links_size + length);
    if (!n) {
        return NULL;
    }
    n->height = height;
    n->key_length = (uint16_t)length;
    n->key = (const uint8_t *)(n->next + height);
    memcpy(n->next + height, key, length);
    find_links(r, key, length, links);
    for (level = 0; level < height; level++) {
        n->next[level] = *links[level];
        *links[level] = n;
    }
    r->totals.count++;
    return n;
}

static bool
grow_trials(struct recent *r)
{
    size_t room = r->trial_room ? 2 * r->trial_room : 64;
    struct trial *more;

    if (r->trial_count < r->trial_room) {
        return true;
    }
    more = realloc(r->trials, room * sizeof(*more));
    if (more) {
        r->trials = more;
        r->trial_room = room;
    }
    return more != NULL;
}

static struct recent_value *
new_value(enum recent_kind kind, const void *bytes, size_t length)
{
    struct recent_value *v = malloc(sizeof(*v) + length);

    if (v) {
        v->kind = kind;
        v->length = (uint32_t)length;
        if (length) {
            memcpy(v->bytes, bytes, length);
        }
    }
    return v;
}

int
recent_set(struct recent *r, const void *key, size_t length,
           enum recent_kind kind, const void *value, size_t value_length)
{
    struct recent_node *n = (struct recent_node *)recent_seek(r, key, length);
    struct recent_value *v = new_value(kind, value, value_length), *before;

    if (!v || !grow_trials(r)) {
        free(v);
        return ENOMEM;
    }
    if (!has_key(n, key, length)) {
        n = insert_node(r, key, length);
        if (!n) {
            free(v);
            return ENOMEM;
        }
    }
    before = n->value;
    replace_value(r, n, v);
    if (n->changed) {
        free(before);
        return 0;
    }
    n->changed = true;
    r->trials[r->trial_count++] = (struct trial){n, before};
    return 0;
}

/* ---- trials ---- */

size_t
recent_changes(const struct recent *r)
{
    return r->trial_count;
}

const struct recent_node *
recent_change(const struct recent *r, size_t index)
{
    return r->trials[index].node;
}

static void
remove_node(struct recent *r, struct recent_node *n)
{
    struct recent_node **links[HEIGHT];
    int level;

    find_links(r, n->key, n->key_length, links);
    for (level = 0; level < n->height; level++) {
        *links[level] = n->next[level];
    }
    r->totals.count--;
    free_node(n);
}

static bool
is_deleted_everywhere(const struct recent_node *n)
{
    return !n->value || n->value->kind == RECENT_NOWHERE;
}

static void
end_trials(struct recent *r)
{
    for (size_t i = 0; i < r->trial_count; i++) {
        struct recent_node *n = r->trials[i].node;

        n->changed = false;
        if (is_deleted_everywhere(n)) {
            remove_node(r, n);
        }
    }
    r->trial_count = 0;
}

void
recent_keep(struct recent *r)
{
    for (size_t i = 0; i < r->trial_count; i++) {
        free(r->trials[i].before);
    }
    end_trials(r);
}

void
recent_undo(struct recent *r)
{
    for (size_t i = r->trial_count; i-- > 0;) {
        struct recent_value *v = r->trials[i].node->value;

        replace_value(r, r->trials[i].node, r->trials[i].before);
        free(v);
    }
    end_trials(r);
}

struct recent_totals
recent_totals(const struct recent *r)
{
    return r->totals;
}
