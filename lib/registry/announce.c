/* Announces a change.  First sets GATE_UNKNOWN in all cells of the changed
 * policies and wakes their calls, which then read the rules themselves.  So no
 * call waits while this process reads the registry to compute the final gates,
 * which are written last. */
#include "announce.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/lock.h"
#include "rule/budget.h"
#include "load.h"

struct gate_reading {
    const char *name;
    struct loaded loaded;
};

static int
read_gate(void *arg, const struct snapshot *s)
{
    struct gate_reading *g = arg;
    int rc = load_rules(s, g->name, &g->loaded);

    return load_is_missing(rc) ? 0 : rc;
}

/* Returns the number of threads woken. */
static uint32_t
wake_cell(struct reader *r, struct cell *c, uint64_t txn)
{
    uint64_t gate;

    load_drop_lost_gate(r, c, txn);
    gate = load_relaxed(&c->gate);
    cell_set_gate(c, txn,
                  GATE_UNKNOWN |
                      (GATE_BITS(gate) & (GATE_MISSING | GATE_INCARNATION)),
                  0);
    return cell_announce(c);
}

static bool
is_touched(const struct names *t, const char *name)
{
    return !t || names_have(t, name);
}

/* Wakes the changed policy, if it is only one, before all cells are searched:
 * most changes are of one policy without scopes. */
static uint32_t
wake_first(struct live *l, struct reader *r, const struct names *t,
           uint64_t txn)
{
    uint32_t index;

    if (!t || t->count != 1 ||
        cell_find(l, t->list[0], "", false, &index) != 0) {
        return 0;
    }
    return wake_cell(r, cell_at(l, index), txn);
}

uint64_t
announced(struct live *l)
{
    return load_acquire(&live_header(l)->announced_txn);
}

static void
set_announced(struct live *l, uint64_t txn)
{
    /* The number may become lower: the word may be garbage, and it does no harm
     * to announce a change twice. */
    atomic_store(&live_header(l)->announced_txn, txn);
    live_raise(&live_header(l)->newest_txn, txn);
}

bool
announce_is_older(struct live *l, struct reader *r)
{
    uint64_t newest = atomic_load(&live_header(l)->newest_txn);
    struct pages_stamp now;

    return reader_look(r, &now) == 0 && now.txn < newest;
}

struct announcement {
    struct live *live;
    struct reader *reader;
    const struct names *touched;
    const struct groups *used; /* announce_groups */
    bool undefined_too;
    uint64_t txn;
    uint32_t woken;
    uint32_t index;       /* of the cell that is visited */
    uint32_t incarnation; /* its GATE_INCARNATION while it has its name */
};

static void
each_touched_cell(struct announcement *t,
                  void (*visit)(struct announcement *t, struct cell *c,
                                const char *name))
{
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];
    uint32_t count = cell_count(t->live);

    for (uint32_t i = 0; i < count; i++) {
        struct cell *c = cell_at(t->live, i);

        t->incarnation = c ? atomic_load(&c->gate) & GATE_INCARNATION : 0;
        if (c && cell_names(c, name, scope) &&
            (is_touched(t->touched, name) ||
             (t->undefined_too && load_relaxed(&c->gate) & GATE_MISSING))) {
            t->index = i;
            visit(t, c, name);
        }
    }
}

/* Wakes a cell, unless wake_first did: it then has the gate of `txn`. */
static void
wake_touched(struct announcement *t, struct cell *c, const char *name)
{
    uint64_t gate = load_relaxed(&c->gate);

    (void)name;
    if (GATE_TXN(gate) != t->txn) {
        t->woken += wake_cell(t->reader, c, t->txn);
    }
}

/* Applies changed rules to the budget of a cell, if it was ever used, so that
 * it is refilled under the rules before up to now, and not up to its next use.
 * NULL: the policy does not use it. */
static void
follow_budget(struct announcement *t, uint32_t index,
              const struct budget_rules *r, uint64_t txn)
{
    struct cell *c = cell_at(t->live, index);
    struct load_guard g;
    struct pages_stamp now;

    if (!c || !atomic_load(&c->budget.size)) {
        return;
    }
    if (atomic_load(&c->budget.size_txn) > txn &&
        reader_look(t->reader, &now) == 0 && now.txn == txn) {
        atomic_store(&c->budget.size_txn, 0); /* an older registry was put back
                                               */
    }
    if (load_guard(t->live, index, NULL, &g) == 0) {
        g.guard.txn = txn;
        budget_follow(r, &g.guard, clock_monotonic_ns());
    }
}

static void
follow_budgets(struct announcement *t, const struct policy *p, uint64_t txn)
{
    char group[BIDE_NAME_MAX + 2];
    uint32_t index;

    follow_budget(t, t->index,
                  p && strcmp(p->budget.group, "own") == 0 ? &p->budget : NULL,
                  txn);
    if (p && group_of(p, GROUP_BUDGET)) {
        snprintf(group, sizeof(group), "@%s", p->budget.group);
        if (cell_find(t->live, group, "", false, &index) == 0) {
            follow_budget(t, index, &p->budget, txn);
        }
    }
}

static void
publish_touched(struct announcement *t, struct cell *c, const char *name)
{
    struct gate_reading g = {.name = name};
    const struct policy *p;
    uint64_t txn;

    (void)c;
    if (reader_read(t->reader, read_gate, &g, &txn) == 0) {
        p = g.loaded.registered ? g.loaded.policy : NULL;
        load_publish(t->reader, t->live, t->index, txn,
                     g.loaded.gate | t->incarnation, g.loaded.limit_ms, p);
        /* Undefined names may use other rules: those of `default`, or of the
         * program.  The first call that uses them applies them. */
        if (p || (t->touched && is_touched(t->touched, name))) {
            load_follow_breaker(t->live, t->index, p);
            follow_budgets(t, p, txn);
        }
    }
    policy_free(g.loaded.policy);
}

uint32_t
announce(struct live *l, struct reader *r, const struct names *touched,
         uint64_t txn)
{
    struct announcement t = {
        .live = l,
        .reader = r,
        .touched = touched,
        .undefined_too = is_touched(touched, "default"),
        .txn = txn,
    };

    t.woken = wake_first(l, r, touched, txn);
    if (t.woken) {
        /* The woken thread may be queued on this CPU: it goes first, since the
         * rest of the announcement is less urgent. */
        sched_yield();
    }
    each_touched_cell(&t, wake_touched);
    live_ring(l);
    set_announced(l, txn);
    each_touched_cell(&t, publish_touched);
    return t.woken;
}

/* ---- repair ---- */

struct wrong_gates {
    struct announcement all;
    struct gate_reading known; /* of the last name */
    char name[BIDE_NAME_MAX + 1], *first;
    int rc;
    uint32_t count;
};

/* With GATE_UNKNOWN or GATE_ENDS calls ask the rules, so that is never wrong.
 */
static void
check_gate(struct announcement *t, struct cell *c, const char *name)
{
    struct wrong_gates *w = (struct wrong_gates *)t;
    const struct loaded *l = &w->known.loaded;
    uint64_t gate = atomic_load(&c->gate);

    if (*name == '@' || gate & (GATE_UNKNOWN | GATE_ENDS)) {
        return;
    }
    if (strcmp(w->name, name) != 0) {
        strcpy(w->name, name);
        w->known.name = w->name;
        w->rc = reader_read(t->reader, read_gate, &w->known, NULL);
    }
    if (w->rc == 0 &&
        (l->gate & GATE_UNKNOWN || (gate ^ l->gate) & GATE_RULES ||
         atomic_load(&c->limit_ms) != l->limit_ms)) {
        strcpy(w->first, name);
        w->count++;
    }
}

uint32_t
announce_wrong_gates(struct live *l, struct reader *r,
                     char first[BIDE_NAME_MAX + 1])
{
    struct wrong_gates w = {.all = {.live = l, .reader = r}, .first = first};

    each_touched_cell(&w.all, check_gate);
    policy_free(w.known.loaded.policy);
    return w.count;
}

void
announce_repair(struct live *l, struct reader *r)
{
    char name[BIDE_NAME_MAX + 1];
    struct pages_stamp now;

    if (reader_look(r, &now) == 0 &&
        (announced(l) != now.txn || announce_wrong_gates(l, r, name) > 0)) {
        announce(l, r, NULL, now.txn);
    }
}

static void
switch_off_unused(struct announcement *t, struct cell *c, const char *name)
{
    (void)c;
    if (*name == '@' && !groups_find(t->used, GROUP_BUDGET, name + 1)) {
        follow_budget(t, t->index, NULL, t->txn);
    }
}

void
announce_groups(struct live *l, struct reader *r, const struct groups *used,
                uint64_t txn)
{
    struct announcement t = {.live = l, .reader = r, .used = used, .txn = txn};

    each_touched_cell(&t, switch_off_unused);
}
