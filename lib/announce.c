#include "announce.h"

#include <stdlib.h>
#include <string.h>

#include "load.h"

struct gate_reading {
    const char *name;
    uint32_t bits, limit_ms, version;
};

static int
read_gate(void *arg, const struct snapshot *s)
{
    struct gate_reading *g = arg;
    struct loaded loaded;
    int rc = load_policy(s, g->name, clock_realtime_ns(), &loaded);

    if (rc == BIDE_ENOPOLICY || rc == BIDE_ENOVERSION) {
        g->bits = GATE_MISSING;
        g->limit_ms = 0;
        g->version = 0;
        return 0;
    }
    if (rc) {
        return rc;
    }
    g->bits = load_gate(loaded.policy, &g->limit_ms);
    g->version = loaded.policy->version;
    policy_free(loaded.policy);
    return 0;
}

/* A gate that cannot be read makes calls look for themselves. */
static uint32_t
tell(struct live *l, struct reader *r, struct cell *c, const char *name)
{
    struct gate_reading g = {.name = name};
    uint64_t txn;

    (void)l;
    if (reader_read(r, read_gate, &g, &txn) == 0) {
        cell_set_gate(c, txn, g.bits, g.limit_ms);
        atomic_store_explicit(&c->version, g.version, memory_order_relaxed);
    }
    return cell_announce(l, c);
}

static int
compare(const void *key, const void *element)
{
    return strcmp(key, *(const char *const *)element);
}

static bool
is_touched(const struct touched *t, const char *name)
{
    return !t || (t->count &&
                  bsearch(name, t->names, t->count, sizeof *t->names, compare));
}

static bool
is_missing(const struct cell *c)
{
    return atomic_load_explicit(&c->gate, memory_order_relaxed) & GATE_MISSING;
}

/* Most often one policy without scopes was touched: it is told before the
 * others are looked through. */
static uint32_t
tell_first(struct live *l, struct reader *r, const struct touched *t,
           uint32_t *out_index)
{
    *out_index = UINT32_MAX;
    if (!t || t->count != 1 ||
        cell_find(l, t->names[0], "", false, out_index) != 0) {
        return 0;
    }
    return tell(l, r, cell_at(l, *out_index), t->names[0]);
}

uint64_t
announced(struct live *l)
{
    return atomic_load_explicit(&live_header(l)->told, memory_order_acquire);
}

static void
set_announced(struct live *l, uint64_t txn)
{
    _Atomic uint64_t *told = &live_header(l)->told;
    uint64_t old = atomic_load_explicit(told, memory_order_relaxed);

    while (old < txn && !atomic_compare_exchange_weak(told, &old, txn)) {
    }
}

uint32_t
announce(struct live *l, struct reader *r, const struct touched *t,
         uint64_t txn)
{
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];
    bool undefined_too = is_touched(t, "default");
    uint32_t first, i, count = cell_count(l), woken = 0;

    woken = tell_first(l, r, t, &first);
    for (i = 0; i < count; i++) {
        struct cell *c = i == first ? NULL : cell_at(l, i);

        if (!c || !cell_names(c, name, scope)) {
            continue;
        }
        if (is_touched(t, name) || (undefined_too && is_missing(c))) {
            woken += tell(l, r, c, name);
        }
    }
    live_ring(l);
    set_announced(l, txn);
    return woken;
}
