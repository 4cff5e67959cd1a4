/* Frees cells that nobody uses.  If a recorder is killed in between, the next
 * one goes on: a cell with GATE_FREED and a hash is not free yet. */
#include "chain.h"

#include <stdlib.h>
#include <string.h>

#include "inside.h"

#define UNUSED_NS UINT64_C(86400000000000)      /* a day */
#define UNUSED_SHORT_NS UINT64_C(3600000000000) /* an hour: few are left */

struct unused {
    struct live *live;
    uint64_t now_ns, wait_ns;
    uint8_t awaited[CELL_MAX / 8]; /* a bit for each cell with sleepers */
};

static int
note_sleeper(void *arg, const struct sleeper *s)
{
    struct unused *u = arg;

    if (s->cell < CELL_MAX) {
        u->awaited[s->cell / 8] |= (uint8_t)(1u << s->cell % 8);
    }
    return 0;
}

/* Gives back the place of a scope in its policy (claim_scope). */
static void
return_scope(struct live *l, const struct cell_identity *id)
{
    uint32_t index, seen;
    struct cell *policy;

    if (!*id->scope || !strcmp(id->scope, SCOPE_OTHERS) ||
        cell_find(l, id->name, "", false, &index)) {
        return;
    }
    policy = cell_at(l, index);
    seen = atomic_load(&policy->scopes);
    while (seen &&
           !atomic_compare_exchange_weak(&policy->scopes, &seen, seen - 1)) {
    }
}

static void
clear_words(_Atomic uint64_t *words, size_t size)
{
    for (size_t i = 0; i < size / sizeof(*words); i++) {
        atomic_store(&words[i], 0);
    }
}

/* Removes a freed cell from the directory, clears it, and makes it free. */
static void
finish_freeing(struct live *l, uint32_t index, struct cell *c)
{
    char name[8 * 8 + 1], scope[8 * 8 + 1];
    struct cell_identity id = {name, scope, atomic_load(&c->hash)};

    if (!chain_remove(l, chain_head(l, id.hash), index)) {
        return;
    }
    cell_read_names(c, name, scope);
    return_scope(l, &id);
    cell_clear(l, index);
    atomic_store(&c->limit, 0);
    clear_words((void *)&c->budget, sizeof(c->budget) + sizeof(c->breaker));
    atomic_store(&c->asked_by, 0);
    clear_words((void *)&c->asked_program,
                offsetof(struct cell, next) -
                    offsetof(struct cell, asked_program));
    cell_write_identity(c, "", "", 0);
    chain_give_free(l, c, index);
}

/* Reports whether a cell may be freed once nobody uses it. */
static bool
is_freeable(const struct cell *c)
{
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];

    return cell_names(c, name, scope) && *name != '@' &&
           (*scope ||
            (atomic_load(&c->gate) & GATE_MISSING && !atomic_load(&c->scopes)));
}

/* Takes the next step with one cell. */
static void
free_if_unused(struct unused *u, uint32_t index, struct cell *c)
{
    uint64_t gate = atomic_load(&c->gate);
    uint64_t quiet = atomic_load(&c->quiet_ns);
    uint32_t incarnation =
        (GATE_BITS(gate) + GATE_NEXT_INCARNATION) & GATE_INCARNATION;

    if (gate & GATE_FREED && atomic_load(&c->hash)) {
        finish_freeing(u->live, index, c);
    } else if (!is_freeable(c) || u->awaited[index / 8] & 1u << index % 8) {
        atomic_store(&c->quiet_ns, 0);
    } else if (quiet == 0 || quiet > u->now_ns) {
        atomic_store(&c->quiet_ns, u->now_ns);
    } else if (u->now_ns - quiet < u->wait_ns) {
        return;
    } else if (!(gate & GATE_RETIRED)) {
        atomic_store(&c->quiet_ns, u->now_ns);
        atomic_compare_exchange_strong(&c->gate, &gate, gate | GATE_RETIRED);
    } else if (incarnation && /* the last one stays */
               atomic_compare_exchange_strong(&c->gate, &gate,
                                              GATE_UNKNOWN | GATE_RETIRED |
                                                  GATE_FREED | incarnation)) {
        finish_freeing(u->live, index, c);
    }
}

/* Returns the time without use after which a cell is retired. */
static uint64_t
choose_wait_ns(struct live *l)
{
    uint32_t used = 0;

    for (uint32_t i = cell_count(l); i-- > 0;) {
        const struct cell *c = cell_at(l, i);

        used += c && atomic_load(&c->hash);
    }
    return used > l->cell_max / 4 * 3 ? UNUSED_SHORT_NS : UNUSED_NS;
}

void
cell_free_unused(struct live *l, uint64_t wait_ns)
{
    struct unused *u = calloc(1, sizeof(*u));
    uint32_t count = cell_count(l);

    if (!u) {
        return; /* the next recording tries again */
    }
    u->live = l;
    u->now_ns = clock_monotonic_ns();
    u->wait_ns = wait_ns ? wait_ns : choose_wait_ns(l);
    sleeper_each(l, u->now_ns, note_sleeper, u);
    for (uint32_t i = 0; i < count; i++) {
        struct cell *c = cell_at(l, i);

        if (c) {
            free_if_unused(u, i, c);
        }
    }
    free(u);
}
