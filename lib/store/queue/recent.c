/* An array in order of keys.  Nodes are removed only when trials are kept or
 * undone, so a pointer to a node is valid within a transaction.  A journal
 * holds at most a few thousand records: to move their pointers takes less time
 * than to compare two keys in another part of memory. */
#include "recent.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "store/file/seal.h"

enum {
    PAGE = 4096,
    IN_LEAF = 2000, /* LMDB gives larger values pages of their own */
    NODE = 32,      /* bytes of a record beside key and value */
};

struct trial {
    struct recent_node *node;
    struct recent_value *before;
};

struct recent {
    struct recent_node **nodes; /* totals.count of them */
    struct trial *trials;
    size_t trial_count;
    struct recent_totals totals;
    struct recent *abandoned;
};

/* Lists that were abandoned: still reachable, so that they are no leak. */
static _Atomic(struct recent *) abandoned;

struct recent *
recent_new(void)
{
    return calloc(1, sizeof(struct recent));
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
    if (!r) {
        return;
    }
    recent_undo(r);
    for (size_t i = 0; i < r->totals.count; i++) {
        free_node(r->nodes[i]);
    }
    free(r->nodes);
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

/* Compares eight bytes at a time: keys are short and compared often. */
int
recent_compare(const void *a, size_t a_length, const void *b, size_t b_length)
{
    size_t left = a_length < b_length ? a_length : b_length;
    const uint8_t *p = a, *q = b;

    for (; left >= 8; left -= 8, p += 8, q += 8) {
        uint64_t x = key_get(p, 8), y = key_get(q, 8);

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

size_t
recent_seek(const struct recent *r, const void *key, size_t length)
{
    size_t low = 0, high = r->totals.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct recent_node *n = r->nodes[middle];

        if (recent_compare(n->key, n->key_length, key, length) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct recent_node *
recent_at(const struct recent *r, size_t index)
{
    return index < r->totals.count ? r->nodes[index] : NULL;
}

/* Returns the node of that key, which may be at `index`. */
static struct recent_node *
node_with_key(const struct recent *r, size_t index, const void *key,
              size_t length)
{
    struct recent_node *n = index < r->totals.count ? r->nodes[index] : NULL;

    return n && !recent_compare(n->key, n->key_length, key, length) ? n : NULL;
}

const struct recent_node *
recent_find(const struct recent *r, const void *key, size_t length)
{
    const struct recent_node *n =
        node_with_key(r, recent_seek(r, key, length), key, length);

    return n && n->value ? n : NULL;
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

static struct recent_node *
insert_node(struct recent *r, size_t index, const void *key, size_t length)
{
    struct recent_node *n = calloc(1, sizeof(*n) + length), **nodes;
    size_t after = r->totals.count - index;

    if (!n || !array_add(&r->nodes, &r->totals.count, sizeof(*r->nodes))) {
        free(n);
        return NULL;
    }
    n->key_length = (uint16_t)length;
    memcpy(n->key, key, length);
    nodes = r->nodes + index;
    memmove(nodes + 1, nodes, after * sizeof(*nodes));
    *nodes = n;
    return n;
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
    size_t index = recent_seek(r, key, length);
    struct recent_node *n = node_with_key(r, index, key, length);
    struct recent_value *v = new_value(kind, value, value_length), *before;
    struct trial *trial =
        array_add(&r->trials, &r->trial_count, sizeof(*trial));

    if (v && trial && !n) {
        n = insert_node(r, index, key, length);
    }
    if (!v || !n || !trial) {
        r->trial_count -= trial != NULL;
        free(v);
        return ENOMEM;
    }
    before = n->value;
    replace_value(r, n, v);
    if (n->changed) {
        r->trial_count--;
        free(before);
        return 0;
    }
    n->changed = true;
    *trial = (struct trial){n, before};
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
    size_t index = recent_seek(r, n->key, n->key_length);
    struct recent_node **nodes = r->nodes + index;

    memmove(nodes, nodes + 1, (--r->totals.count - index) * sizeof(*nodes));
    free_node(n);
}

static void
end_trials(struct recent *r)
{
    for (size_t i = 0; i < r->trial_count; i++) {
        struct recent_node *n = r->trials[i].node;

        n->changed = false;
        if (!n->value || n->value->kind == RECENT_NOWHERE) {
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
