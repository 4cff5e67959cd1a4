/* Reads the live state for operators. */
#include "live.h"

#include <stdlib.h>
#include <string.h>

#include "base/failure.h"
#include "live/live.h"
#include "record/past.h"
#include "registry/announce.h"
#include "registry/stats.h"
#include "inside.h"

bool
admin_has_live(struct admin *a)
{
    return past_live(&a->past, false) != NULL;
}

int
admin_live_failed(const struct admin *a)
{
    return a->past.live_rc;
}

void
admin_repair(struct admin *a)
{
    if (past_live(&a->past, false)) {
        announce_repair(a->past.live, a->past.reader);
    }
}

static void
fill_cell(const struct cell *c, const struct cell_reading *r,
          struct admin_cell *out)
{
    uint64_t gate = atomic_load_explicit(&c->gate, memory_order_relaxed);
    uint32_t version = atomic_load_explicit(&c->version, memory_order_relaxed);

    out->missing = (gate & GATE_MISSING) != 0;
    out->scopes = atomic_load_explicit(&c->scopes, memory_order_relaxed);
    out->scopes_refused =
        atomic_load_explicit(&c->scopes_refused, memory_order_relaxed);
    if (!cell_asked(c, &out->asked_by, &out->elsewhere, out->program)) {
        out->asked_by = 0;
        out->program[0] = '\0';
    }
    out->only_scopes = out->scopes > 0 && out->asked_by == 0;
    stats_from(r, version, &out->stats);
    /* The same layout: name and count. */
    out->outcomes = (const struct admin_outcome *)(const void *)r->outcome;
    out->outcome_count = r->outcome_count;
    out->succeeded = r->succeeded;
    out->failed = r->failed;
}
_Static_assert(sizeof(ADMIN_OTHERS) == sizeof(SCOPE_OTHERS), "others");
_Static_assert(sizeof(struct admin_outcome) == sizeof(struct cell_outcome),
               "fill_cell");

int
admin_each_cell(struct admin *a, const char *name,
                int (*visit)(void *arg, const struct admin_cell *c), void *arg)
{
    struct live *l = past_live(&a->past, false);
    struct cell_declared declared;
    struct cell_reading *r;
    uint32_t i, count;
    int rc = 0;

    if (!l) {
        return 0;
    }
    r = malloc(sizeof(*r));
    if (!r) {
        return failure_plain(BIDE_ENOMEM);
    }
    count = cell_count(l);
    for (i = 0; i < count && rc == 0; i++) {
        struct admin_cell out = {0};
        const struct cell *c = cell_at(l, i);

        if (!c || !cell_names(c, out.name, out.scope) || *out.name == '@' ||
            (name && strcmp(name, out.name) != 0)) {
            continue;
        }
        cell_read(l, i, r);
        fill_cell(c, r, &out);
        if (out.missing && cell_declared(l, i, &declared)) {
            out.declared = &declared;
        }
        rc = visit(arg, &out);
    }
    free(r);
    return rc;
}

struct sleeper_visit {
    struct live *live;
    uint64_t now_ns;
    int (*visit)(void *arg, const struct admin_sleeper *s);
    void *arg;
};

static int
visit_sleeper(void *arg, const struct sleeper *s)
{
    struct sleeper_visit *v = arg;
    const struct cell *c = cell_at(v->live, s->cell);
    struct admin_sleeper out = {
        .pid = s->pid,
        .elsewhere = s->elsewhere,
        .attempts = s->attempts,
        .allowed = s->allowed,
        .wakes_in_ns = s->wake_ns > v->now_ns ? s->wake_ns - v->now_ns : 0,
    };

    if (!c || !cell_names(c, out.name, out.scope)) {
        return 0;
    }
    memcpy(out.outcome, s->outcome, sizeof(out.outcome));
    memcpy(out.program, s->program, sizeof(out.program));
    return v->visit(v->arg, &out);
}

int
admin_each_sleeper(struct admin *a,
                   int (*visit)(void *arg, const struct admin_sleeper *s),
                   void *arg)
{
    struct sleeper_visit v = {past_live(&a->past, false), clock_monotonic_ns(),
                              visit, arg};

    return v.live ? sleeper_each(v.live, v.now_ns, visit_sleeper, &v) : 0;
}

int
admin_trouble(struct admin *a, uint64_t *out_when_ns)
{
    struct live *l = past_live(&a->past, false);
    uint32_t trouble;

    if (!l) {
        return 0;
    }
    trouble =
        atomic_load_explicit(&live_header(l)->trouble, memory_order_relaxed);
    if (trouble == 0 || trouble > 100) {
        return 0;
    }
    *out_when_ns =
        atomic_load_explicit(&live_header(l)->trouble_ns, memory_order_relaxed);
    return -(int)trouble;
}
