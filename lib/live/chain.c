#include "chain.h"

#include "inside.h"

enum {
    STEPS = 1024, /* far more than any chain has, unless it is garbage */
    SEARCHES = 16,
    TRIES = 1000,
};

static uint64_t
next_head(uint64_t seen, uint32_t first)
{
    return ((seen >> 32) + 1) << 32 | first;
}

_Atomic uint64_t *
chain_head(struct live *l, uint64_t hash)
{
    _Atomic uint64_t *words = (void *)(l->memory + LIVE_DIRECTORY);

    return &words[hash % DIRECTORY_WORDS];
}

/* Searches once, from head->out.  Returns as chain_search. */
static int
search_once(struct live *l, const struct cell_identity *id,
            struct chain_found *out)
{
    uint32_t at = (uint32_t)out->head;

    for (int i = 0; i < STEPS; i++) {
        struct cell *c = at ? cell_at(l, at - 1) : NULL;

        if (!c) {
            return BIDE_ENOPOLICY; /* an index that is garbage ends a chain */
        }
        out->index = at - 1;
        out->gate = atomic_load_explicit(&c->gate, memory_order_acquire);
        if (!(out->gate & GATE_FREED) && cell_has_identity(c, id)) {
            return 0;
        }
        at = atomic_load_explicit(&c->next, memory_order_acquire);
    }
    return BIDE_EFULL;
}

int
chain_search(struct live *l, const struct cell_identity *id,
             struct chain_found *out)
{
    _Atomic uint64_t *head = chain_head(l, id->hash);
    int rc = BIDE_EFULL;

    for (int i = 0; i < SEARCHES; i++) {
        out->head = atomic_load_explicit(head, memory_order_acquire);
        rc = search_once(l, id, out);
        if (!rc ||
            atomic_load_explicit(head, memory_order_acquire) == out->head) {
            return rc;
        }
    }
    return rc;
}

bool
chain_add(struct live *l, _Atomic uint64_t *head, uint64_t seen, uint32_t index)
{
    atomic_store(&live_map_cell(l, index)->next, (uint32_t)seen);
    return atomic_compare_exchange_strong(head, &seen,
                                          next_head(seen, index + 1));
}

/* Lets the cell before `c` in a chain lead past it. */
static void
bypass_cell(struct live *l, uint64_t head, uint32_t index, const struct cell *c)
{
    uint32_t at = (uint32_t)head;

    for (int i = 0; i < STEPS && at; i++) {
        struct cell *before = cell_at(l, at - 1);

        at = before ? atomic_load(&before->next) : 0;
        if (at == index + 1) {
            atomic_store(&before->next, atomic_load(&c->next));
            return;
        }
    }
}

bool
chain_remove(struct live *l, _Atomic uint64_t *head, uint32_t index)
{
    const struct cell *c = live_map_cell(l, index);

    for (int i = 0; c && i < TRIES; i++) {
        uint64_t seen = atomic_load(head);
        uint32_t first = (uint32_t)seen;

        if (first == index + 1) {
            first = atomic_load(&c->next);
        } else {
            bypass_cell(l, seen, index, c);
        }
        if (atomic_compare_exchange_strong(head, &seen,
                                           next_head(seen, first))) {
            return true;
        }
    }
    return false;
}

struct cell *
chain_take_free(struct live *l, uint32_t *out_index)
{
    _Atomic uint64_t *head = &live_header(l)->free;

    for (int i = 0; i < TRIES; i++) {
        uint64_t seen = atomic_load(head);
        uint32_t index = (uint32_t)seen - 1;
        struct cell *c = (uint32_t)seen ? cell_at(l, index) : NULL;
        uint64_t gate = c ? atomic_load(&c->gate) : 0;
        bool free = gate & GATE_FREED && !atomic_load(&c->hash);

        if (!(uint32_t)seen) {
            return NULL;
        }
        /* If another process took it first, the head has changed.  Otherwise
         * the chain is garbage, and is given up. */
        if (atomic_compare_exchange_strong(
                head, &seen,
                next_head(seen, free ? atomic_load(&c->next) : 0)) &&
            free &&
            atomic_compare_exchange_strong(
                &c->gate, &gate, GATE_UNKNOWN | (gate & GATE_INCARNATION))) {
            *out_index = index;
            return c;
        }
    }
    return NULL;
}

void
chain_give_free(struct live *l, struct cell *c, uint32_t index)
{
    _Atomic uint64_t *head = &live_header(l)->free;

    atomic_fetch_or(&c->gate, GATE_FREED);
    for (int i = 0; i < TRIES; i++) {
        if (chain_add(l, head, atomic_load(head), index)) {
            return;
        }
    }
}
