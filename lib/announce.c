#include "announce.h"

#include <stdlib.h>
#include <string.h>

#include "load.h"

struct gate_reading {
    const char *name;
    struct loaded loaded; /* policy NULL: nobody defined it */
};

static int
read_gate(void *arg, const struct snapshot *s)
{
    struct gate_reading *g = arg;
    uint64_t now = clock_realtime_ns();
    int rc;

    policy_free(g->loaded.policy); /* of a reading that was not whole */
    g->loaded = (struct loaded){0};
    rc = load_policy(s, g->name, now, &g->loaded);
    if (rc == BIDE_ENOPOLICY || rc == BIDE_ENOVERSION) {
        g->loaded.gate = load_missing_gate(s, now);
        return 0;
    }
    return rc;
}

/* A gate that cannot be read makes calls look for themselves. */
static uint32_t
tell(struct live *l, struct reader *r, struct cell *c, const char *name)
{
    struct gate_reading g = {.name = name};
    uint64_t txn;

    if (reader_read(r, read_gate, &g, &txn) == 0) {
        load_publish(c, txn, g.loaded.gate, g.loaded.limit_ms, g.loaded.policy);
    }
    policy_free(g.loaded.policy);
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

    /* Backwards too: what is there may be garbage; at worst somebody announces
     * once more. */
    while (old != txn && !atomic_compare_exchange_weak(told, &old, txn)) {
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
