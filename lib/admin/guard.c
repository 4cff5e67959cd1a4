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
#include "inside.h"

/* Finds a guard: to look at it with `rings`, or to change it. */
static int
find_guard(struct admin *a, const char *name, const char *scope,
           struct guard_rings *rings, struct load_guard *out)
{
    struct live *l = past_live(&a->past, false);
    uint32_t index;
    int rc = l ? cell_find(l, name, scope, false, &index) : BIDE_ENOPOLICY;

    return rc ? rc : load_guard(l, index, rings, out);
}

/* Finds the budget of a policy: that of its group has no scope. */
static int
find_budget(struct admin *a, const struct policy *p, const char *name,
            const char *scope, struct guard_rings *rings,
            struct load_guard *out)
{
    char group[BIDE_NAME_MAX + 2];

    if (strcmp(p->budget.group, "own") == 0) {
        return find_guard(a, name, scope, rings, out);
    }
    snprintf(group, sizeof(group), "@%s", p->budget.group);
    return find_guard(a, group, "", rings, out);
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
        find_guard(a, name, scope, &rings, &g) == 0) {
        view_breaker(p, &g.guard, now, out);
    }
    if (out->has_budget) {
        out->budget_level = 1;
        if (find_budget(a, p, name, scope, &rings, &g) == 0) {
            view_budget(p, &g.guard, now, out);
        }
    }
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
    int rc = check_reset(a, find_guard(a, name, scope, NULL, &g), name, scope);

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
    int rc = check_reset(a, find_budget(a, p, name, scope, NULL, &g), name, "");

    if (!rc) {
        budget_reset(&g.guard);
    }
    return rc;
}
