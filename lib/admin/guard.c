#include "guard.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/failure.h"
#include "policy/rules.h"
#include "record/past.h"
#include "registry/load.h"
#include "rule/breaker.h"
#include "rule/budget.h"
#include "rule/hint.h"
#include "rule/place.h"
#include "inside.h"

/* Finds the cell of a name and scope; of a group, which has no scope, if
 * `group` is one. */
static int
find_cell(struct admin *a, const char *group, const char *name,
          const char *scope, struct live **out, uint32_t *out_index)
{
    char shared[BIDE_NAME_MAX + 2];

    snprintf(shared, sizeof(shared), "@%s", group);
    if (strcmp(group, "own") != 0) {
        name = shared;
        scope = "";
    }
    *out = past_live(&a->past, false);
    return *out ? cell_find(*out, name, scope, false, out_index)
                : BIDE_ENOPOLICY;
}

/* Finds a guard: to look at it with `rings`, or to change it. */
static int
find_guard(struct admin *a, const char *group, const char *name,
           const char *scope, struct guard_rings *rings, struct load_guard *out)
{
    struct live *l;
    uint32_t index;
    int rc = find_cell(a, group, name, scope, &l, &index);

    return rc ? rc : load_guard(l, index, rings, out);
}

static void
view_breaker(const struct policy *p, const struct guard *g, uint64_t now_ns,
             struct admin_guard *out)
{
    enum breaker_state to;
    uint64_t until, when;

    out->damaged = !breaker_is_sound(g->breaker, now_ns);
    if (p->breaker.mode == BREAKER_ON) {
        out->state = breaker_look(&p->breaker, g->breaker, now_ns, &until);
        out->open_for_ns = until > now_ns ? until - now_ns : 0;
        out->held = breaker_held(&p->breaker, g->breaker, now_ns);
    }
    out->opened = atomic_load(&g->rings->opened);
    while (out->transitions < TRANSITIONS &&
           breaker_transition(g->rings, out->transitions, &to, &when)) {
        out->transition[out->transitions].to = to;
        out->transition[out->transitions++].realtime_ns = when;
    }
}

static void
view_budget(const struct policy *p, const struct guard *g, uint64_t now_ns,
            struct admin_guard *out)
{
    out->budget_damaged = !budget_is_sound(g->budget);
    out->budget_level = budget_level(&p->budget, g, now_ns);
    out->budget_refused = atomic_load(&g->budget_rings->budget_refused);
}

/* Reads the limits of a cell; zeros if nothing has used it. */
static void
read_limits(struct admin *a, const char *group, const char *name,
            const char *scope, struct limits *out)
{
    struct live *l;
    uint32_t index;

    memset(out, 0, sizeof(*out));
    if (find_cell(a, group, name, scope, &l, &index) == 0) {
        cell_limits_read(l, index, out);
    }
}

bool
admin_has_limits(const struct policy *p)
{
    return strcmp(p->limit.group, "none") != 0 ||
           strcmp(p->rate.group, "none") != 0 ||
           p->hint.holds == HINT_HOLDS_ALL || p->hedge.ns != DURATION_NONE ||
           p->hedge.quantile > 0;
}

/* Reads the totals of a policy with a limit, a rate, a wait for all calls, or
 * hedges. */
static void
view_totals(struct admin *a, const struct policy *p, const char *name,
            const char *scope, struct admin_guard *out)
{
    struct cell_reading r;
    struct live *l;
    uint32_t index;

    out->has_limits = admin_has_limits(p);
    if (out->has_limits && find_cell(a, "own", name, scope, &l, &index) == 0) {
        cell_read(l, index, &r);
        out->by_limit = r.counter[COUNTER_BY_LIMIT];
        out->by_rate = r.counter[COUNTER_BY_RATE];
        out->by_hint = r.counter[COUNTER_BY_HINT];
        out->asked = r.counter[COUNTER_ASKED];
        out->hedges = r.counter[COUNTER_HEDGES];
        out->hedges_won = r.counter[COUNTER_HEDGES_WON];
    }
}

static void
view_rate(struct admin *a, const struct policy *p, const char *name,
          const char *scope, struct admin_guard *out)
{
    uint64_t now = clock_monotonic_ns(), until;
    struct limits limits;

    if (strcmp(p->limit.group, "none") != 0) {
        read_limits(a, p->limit.group, name, scope, &limits);
        out->places_used = place_used(limits.slot);
    }
    out->has_rate = strcmp(p->rate.group, "none") != 0;
    if (out->has_rate) {
        read_limits(a, p->rate.group, name, scope, &limits);
        out->rate = rate_look(&p->rate, &limits.rate, now);
    }
    if (p->hint.holds == HINT_HOLDS_ALL) {
        read_limits(a, "own", name, scope, &limits);
        until = hint_until(&limits.hint, now, p->hint.max_ns);
        out->held_ns = until > now ? until - now : 0;
    }
    view_totals(a, p, name, scope, out);
}

void
admin_guard(struct admin *a, const struct policy *p, const char *name,
            const char *scope, struct admin_guard *out)
{
    uint64_t now = clock_monotonic_ns();
    struct guard_rings rings;
    struct load_guard g;

    *out = (struct admin_guard){.mode = p->breaker.mode};
    out->has_budget = strcmp(p->budget.group, "none") != 0;
    if (p->breaker.mode != BREAKER_OFF &&
        find_guard(a, "own", name, scope, &rings, &g) == 0) {
        view_breaker(p, &g.guard, now, out);
    }
    if (out->has_budget) {
        out->budget_level = 1;
        if (find_guard(a, p->budget.group, name, scope, &rings, &g) == 0) {
            view_budget(p, &g.guard, now, out);
        }
    }
    view_rate(a, p, name, scope, out);
}

/* Returns 0 if the live state can be reset, or the failure. */
static int
check_reset(struct admin *a, int rc, const char *name, const char *scope)
{
    struct failure *f;

    if (!rc && past_live_shared(&a->past, false)) {
        return 0;
    }
    if (!rc) {
        failure_deny(reader_live_path(a->past.reader));
        return failure_of_store(BIDE_EPERM, failure_denied(), "");
    }
    f = failure_begin(FAILURE_UNUSED, rc, name);
    snprintf(f->scope, sizeof(f->scope), "%s", scope);
    return rc;
}

int
admin_reset_breaker(struct admin *a, const char *name, const char *scope)
{
    struct load_guard g;
    int rc = check_reset(a, find_guard(a, "own", name, scope, NULL, &g), name,
                         scope);

    if (!rc && !g.guard.rings) {
        rc = check_reset(a, BIDE_EFULL, name, scope);
    }
    if (rc) {
        return rc;
    }
    breaker_reset(&g.guard, clock_monotonic_ns());
    cell_announce(g.cell);
    live_ring(g.live);
    return 0;
}

int
admin_reset_budget(struct admin *a, const struct policy *p, const char *name,
                   const char *scope)
{
    struct load_guard g;
    int rc = check_reset(
        a, find_guard(a, p->budget.group, name, scope, NULL, &g), name, "");

    if (!rc) {
        budget_reset(&g.guard);
    }
    return rc;
}

int
admin_reset_limit(struct admin *a, const struct policy *p, const char *name,
                  const char *scope)
{
    struct limits *limits;
    struct live *l;
    uint32_t index;
    int rc = find_cell(a, p->limit.group, name, scope, &l, &index);

    limits = rc ? NULL : cell_limits(l, index);
    rc = check_reset(a, rc || limits ? rc : BIDE_EFULL, name, scope);
    if (!rc) {
        place_reset(&limits->places, limits->slot);
        cell_announce(cell_at(l, index));
        live_ring(l);
    }
    return rc;
}

int
admin_reset_rate(struct admin *a, const struct policy *p, const char *name,
                 const char *scope)
{
    const char *const groups[] = {p->rate.group, "own"};
    int rc = BIDE_ENOPOLICY;

    for (size_t i = 0; i < 2; i++) {
        struct limits *limits;
        struct live *l;
        uint32_t index;

        if (find_cell(a, groups[i], name, scope, &l, &index) != 0) {
            continue;
        }
        limits = cell_limits(l, index);
        rc = check_reset(a, limits ? 0 : BIDE_EFULL, name, scope);
        if (rc) {
            break;
        }
        if (i == 0) {
            memset(&limits->rate, 0, sizeof(limits->rate));
        } else {
            atomic_store(&limits->hint.until, 0);
        }
        cell_announce(cell_at(l, index));
        live_ring(l);
    }
    return rc;
}
