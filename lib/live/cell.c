#include "inside.h"

#include <string.h>

#include "base/boot.h"
#include "policy/policy.h"
#include "chain.h"
#include "live/words/words.h"

enum {
    TAKE_TRIES = 10000,
    GATE_TRIES = 1000,
    MAKE_TRIES = 100,
    CELLS_OF_PROCESS = CELL_MAX / 8,
    TEXT = 8 * 8 + 1, /* size of a name read from a cell, see words_read */
};

static uint64_t
hash_names(const char *name, const char *scope)
{
    char both[2 * BIDE_NAME_MAX + 2];
    size_t length = strlen(name) + 1;

    memcpy(both, name, length);
    memcpy(both + length, scope, strlen(scope));
    return words_hash(both, length + strlen(scope));
}

/* ---- one cell ---- */

static bool
are_names_valid(const char *name, const char *scope)
{
    name += *name == '@'; /* the name of a budget group */
    return policy_name_ok(name) && (!*scope || policy_name_ok(scope) ||
                                    strcmp(scope, SCOPE_OTHERS) == 0);
}

void
cell_read_names(const struct cell *c, char name[TEXT], char scope[TEXT])
{
    words_read(c->name, 8, name);
    words_read(c->scope, 8, scope);
}

bool
cell_names(const struct cell *c, char name[BIDE_NAME_MAX + 1],
           char scope[BIDE_NAME_MAX + 1])
{
    /* The process that makes the cell stores the hash last, after the names. */
    uint64_t hash = atomic_load_explicit(&c->hash, memory_order_acquire);
    char a[TEXT], b[TEXT];

    cell_read_names(c, a, b);
    if (!hash || atomic_load(&c->gate) & GATE_FREED || !are_names_valid(a, b) ||
        hash_names(a, b) != hash) {
        return false;
    }
    a[BIDE_NAME_MAX] = '\0'; /* only a group's name, with its @, is longer */
    memcpy(name, a, BIDE_NAME_MAX + 1);
    memcpy(scope, b, BIDE_NAME_MAX + 1);
    return true;
}

bool
cell_has_identity(const struct cell *c, const struct cell_identity *id)
{
    char name[TEXT], scope[TEXT];

    if (atomic_load_explicit(&c->hash, memory_order_acquire) != id->hash) {
        return false;
    }
    cell_read_names(c, name, scope);
    return !strcmp(name, id->name) && !strcmp(scope, id->scope);
}

void
cell_write_identity(struct cell *c, const char *name, const char *scope,
                    uint64_t hash)
{
    words_write(c->name, 8, name);
    words_write(c->scope, 8, scope);
    atomic_store_explicit(&c->hash, hash, memory_order_release);
}

static _Atomic uint32_t *
cells_used(struct live *l)
{
    return &live_header(l)->cells_used;
}

uint32_t
cell_count(struct live *l)
{
    uint32_t used = atomic_load(cells_used(l));

    return used < l->cell_max ? used : l->cell_max;
}

/* Reports whether this process knows that the page of the cell is reserved. */
static bool
is_page_known(struct live *l, uint32_t index)
{
    return atomic_load_explicit(&l->cell_page[index / CELLS_IN_PAGE],
                                memory_order_relaxed);
}

static void
mark_page_known(struct live *l, uint32_t index)
{
    atomic_store_explicit(&l->cell_page[index / CELLS_IN_PAGE], 1,
                          memory_order_relaxed);
}

struct cell *
cell_at(struct live *l, uint32_t index)
{
    if (index >= cell_count(l)) {
        return NULL;
    }
    if (!is_page_known(l, index)) {
        if (!live_has(l, cell_offset(index))) {
            return NULL; /* the cell is not made yet, or cells_used is garbage
                          */
        }
        mark_page_known(l, index);
    }
    return live_map_cell(l, index);
}

/* ---- a new cell ---- */

/* Takes the next free index.  The page of the cell is reserved first, so that a
 * full filesystem uses up no indices. */
static int
reserve_cell(struct live *l, struct cell **out, uint32_t *out_index)
{
    for (int i = 0; i < TAKE_TRIES; i++) {
        uint32_t next = atomic_load(cells_used(l));
        struct cell *c;
        int rc;

        if (next >= l->cell_max) {
            return BIDE_EFULL;
        }
        if (!is_page_known(l, next)) {
            rc = live_reserve(l, cell_offset(next), sizeof(struct cell));
            if (rc) {
                return rc;
            }
            mark_page_known(l, next);
        }
        c = live_map_cell(l, next);
        if (!c) {
            return BIDE_ENOMEM;
        }
        /* A cell with a hash is in use, even if cells_used is garbage. */
        if (atomic_compare_exchange_strong(cells_used(l), &next, next + 1) &&
            !atomic_load(&c->hash)) {
            atomic_store(&c->gate, GATE_UNKNOWN);
            *out = c;
            *out_index = next;
            return 0;
        }
    }
    return BIDE_EFULL;
}

/* Reports whether this process has made as many cells as it may.  Counts again,
 * at most every LOOK_EVERY_NS, because cells may have been freed. */
static bool
has_its_share(struct live *l)
{
    uint64_t now = clock_monotonic_ns();
    uint32_t self = process_self().id, made = 0;

    if (live_is_private(l) || atomic_load(&l->made) < CELLS_OF_PROCESS) {
        return false;
    }
    if (now - atomic_load(&l->made_counted_ns) < LOOK_EVERY_NS) {
        return true;
    }
    atomic_store(&l->made_counted_ns, now);
    for (uint32_t i = cell_count(l); i-- > 0;) {
        const struct cell *c = cell_at(l, i);

        made += c && atomic_load(&c->hash) && atomic_load(&c->made_by) == self;
    }
    atomic_store(&l->made, made);
    return made >= CELLS_OF_PROCESS;
}

/* Makes a cell and enters it in the directory.  *out_made is false if it failed
 * or another process made the same cell first. */
static int
make_cell(struct live *l, const struct cell_identity *id,
          struct chain_found *out, bool *out_made)
{
    uint32_t index;
    struct cell *c = NULL;
    int rc;

    *out_made = false;
    if (has_its_share(l)) {
        atomic_fetch_add(&live_header(l)->shares_refused, 1);
        return BIDE_EFULL;
    }
    c = chain_take_free(l, &index);
    rc = c ? 0 : reserve_cell(l, &c, &index);
    if (rc) {
        return rc;
    }
    atomic_store(&c->begun, clock_realtime_ns());
    atomic_store(&c->made_by, process_self().id);
    cell_write_identity(c, id->name, id->scope, id->hash);
    for (int i = 0; i < MAKE_TRIES; i++) {
        rc = chain_search(l, id, out);
        if (rc != BIDE_ENOPOLICY) {
            break; /* another process made the same cell, or it is garbage */
        }
        if (chain_add(l, chain_head(l, id->hash), out->head, index)) {
            atomic_fetch_add(&l->made, 1);
            out->index = index;
            out->gate = atomic_load(&c->gate);
            *out_made = true;
            if (atomic_load(&live_header(l)->cells_refused)) {
                atomic_store(&live_header(l)->cells_refused, 0);
                atomic_store(&live_header(l)->shares_refused, 0);
            }
            return 0;
        }
        rc = BIDE_EFULL;
    }
    cell_write_identity(c, "", "", 0);
    chain_give_free(l, c, index);
    return rc;
}

static int
fill_identity(const char *name, const char *scope, struct cell_identity *out)
{
    *out = (struct cell_identity){name, scope ? scope : "", 0};
    if (!are_names_valid(name, out->scope)) {
        return BIDE_ENAME;
    }
    out->hash = hash_names(name, out->scope);
    return 0;
}

bool
cell_use(struct cell *c, uint32_t incarnation)
{
    uint64_t gate = atomic_load(&c->gate);

    for (int i = 0; i < GATE_TRIES; i++) {
        if ((gate ^ incarnation) & GATE_MOVED) {
            return false;
        }
        if (!(gate & GATE_RETIRED)) {
            return true;
        }
        atomic_store(&c->quiet_ns, 0);
        if (atomic_compare_exchange_weak(&c->gate, &gate,
                                         gate & ~(uint64_t)GATE_RETIRED)) {
            return true;
        }
    }
    return false;
}

/* Finds or makes a cell.  It is not retired then. */
static int
find_or_make_cell(struct live *l, const struct cell_identity *id,
                  struct chain_found *out, bool *out_made)
{
    int rc = BIDE_EFULL;

    *out_made = false;
    for (int i = 0; i < MAKE_TRIES; i++) {
        rc = chain_search(l, id, out);
        if (rc) {
            rc = rc == BIDE_ENOPOLICY ? make_cell(l, id, out, out_made) : rc;
            break;
        }
        if (cell_use(cell_at(l, out->index),
                     (uint32_t)out->gate & GATE_INCARNATION)) {
            break;
        }
    }
    if (rc == BIDE_EFULL) {
        atomic_fetch_add(&live_header(l)->cells_refused, 1);
    }
    return rc;
}

int
cell_find(struct live *l, const char *name, const char *scope, bool create,
          uint32_t *out)
{
    struct cell_identity id;
    struct chain_found found;
    bool made;
    int rc = fill_identity(name, scope, &id);

    if (rc) {
        return rc;
    }
    rc = create ? find_or_make_cell(l, &id, &found, &made)
                : chain_search(l, &id, &found);
    if (!rc) {
        *out = found.index;
    }
    return !create && rc == BIDE_EFULL ? BIDE_ENOPOLICY : rc;
}

bool
cell_is_found(struct live *l, uint32_t index)
{
    const struct cell *c = cell_at(l, index);
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];
    uint32_t found;

    return c && cell_names(c, name, scope) &&
           !cell_find(l, name, scope, false, &found) && found == index;
}

/* ---- scopes ---- */

/* Claims one of the SCOPES_MAX places of a policy.  If the process is killed
 * before it uses or returns the place, the policy has one place less. */
static bool
claim_scope(struct cell *policy)
{
    uint32_t seen = atomic_load(&policy->scopes);

    do {
        if (seen >= SCOPES_MAX) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&policy->scopes, &seen, seen + 1));
    return true;
}

static int
take_scope_cell(struct live *l, const struct cell_identity *id,
                struct chain_found *out)
{
    struct cell_identity whole = {id->name, "", hash_names(id->name, "")};
    struct cell_identity others = {id->name, SCOPE_OTHERS,
                                   hash_names(id->name, SCOPE_OTHERS)};
    struct cell *policy;
    bool made;
    int rc = find_or_make_cell(l, &whole, out, &made);

    if (rc) {
        return rc;
    }
    policy = cell_at(l, out->index);
    if (!policy) {
        return BIDE_ENOMEM;
    }
    if (!claim_scope(policy)) {
        atomic_fetch_add(&policy->scopes_refused, 1);
        return find_or_make_cell(l, &others, out, &made);
    }
    rc = find_or_make_cell(l, id, out, &made);
    if (!made) {
        atomic_fetch_sub(&policy->scopes, 1);
    } else if (atomic_load(&policy->scopes_refused)) {
        atomic_store(&policy->scopes_refused, 0);
    }
    return rc;
}

int
cell_take(struct live *l, const char *name, const char *scope, uint32_t *out,
          uint32_t *out_incarnation)
{
    struct cell_identity id;
    struct chain_found found;
    bool made;
    int rc = fill_identity(name, scope, &id);

    rc = rc ? rc
         : !*id.scope || !chain_search(l, &id, &found)
             ? find_or_make_cell(l, &id, &found, &made)
             : take_scope_cell(l, &id, &found);
    if (!rc) {
        *out = found.index;
        *out_incarnation = (uint32_t)found.gate & GATE_INCARNATION;
    }
    return rc;
}

/* ---- the process that looked up the policy ---- */

void
cell_ask(struct cell *c)
{
    struct process self = process_self();

    if (!c || (atomic_load(&c->asked_by) == self.pid &&
               atomic_load(&c->asked_space) == self.space)) {
        return;
    }
    who_write(c->asked_program);
    atomic_store(&c->asked_space, self.space);
    atomic_store(&c->asked_by, self.pid);
}

bool
cell_asked(const struct cell *c, struct who *out)
{
    uint32_t pid = atomic_load(&c->asked_by);

    if (!pid || pid > INT32_MAX) {
        return false;
    }
    who_read(pid, atomic_load(&c->asked_space), c->asked_program, out);
    return true;
}

/* ---- the gate ---- */

/* Writes the time limit. Its word contains the low 32 bits of the commit, so
 * that the slower of two writers does not write an old limit below a new
 * gate. */
static void
write_limit(struct cell *c, uint64_t txn, uint32_t limit_ms)
{
    uint64_t seen = atomic_load(&c->limit);

    for (int i = 0; i < GATE_TRIES; i++) {
        if ((int32_t)((uint32_t)txn - (uint32_t)(seen >> 32)) < 0 ||
            atomic_compare_exchange_weak(&c->limit, &seen,
                                         txn << 32 | limit_ms)) {
            return;
        }
    }
}

void
cell_discard_gate(struct cell *c, uint64_t seen)
{
    if (atomic_compare_exchange_strong(&c->gate, &seen,
                                       GATE_UNKNOWN | (seen & GATE_KEPT))) {
        atomic_store(&c->limit, 0);
    }
}

void
cell_set_gate(struct cell *c, uint64_t txn, uint32_t bits, uint32_t limit_ms)
{
    uint64_t seen = atomic_load(&c->gate);

    txn &= TXN_MASK;
    for (int i = 0; i < GATE_TRIES; i++) {
        if (GATE_TXN(seen) > txn || (seen ^ bits) & GATE_MOVED) {
            return;
        }
        if (atomic_compare_exchange_weak(&c->gate, &seen,
                                         GATE_WORD(txn, bits) |
                                             (seen & GATE_RETIRED))) {
            write_limit(c, txn, limit_ms);
            return;
        }
    }
}
