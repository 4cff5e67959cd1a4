#include "guard.h"

#include <stdio.h>
#include <string.h>

#include <bide.h>
#include "base/clock.h"
#include "base/failure.h"
#include "live/live.h"
#include "policy/rules.h"
#include "record/past.h"
#include "rule/breaker.h"
#include "rule/budget.h"
#include "inside.h"

/* The shared words of a cell and the counters that they are judged by. */
struct seen {
    struct live *live;
    uint32_t index;
    struct cell *cell;
    uint64_t counter[COUNTER_COUNT];
};

static uint64_t
read_counter(void *arg, enum counter which)
{
    return ((const struct seen *)arg)->counter[which];
}

static void
fill_breaker_tally(void *arg, struct tally *out)
{
    tally_of_breaker(read_counter, arg, out);
}

static void
fill_budget_tally(void *arg, struct tally *out)
{
    tally_of_budget(read_counter, arg, out);
}

static int
read_seen_cell(struct admin *a, const char *name, const char *scope,
               struct seen *out)
{
    struct live *l = past_live(&a->past, false);
    struct cell_reading reading;
    int rc = l ? cell_find(l, name, scope, false, &out->index) : BIDE_ENOPOLICY;

    if (rc) {
        return rc;
    }
    out->live = l;
    out->cell = cell_at(l, out->index);
    if (!out->cell) {
        return BIDE_ENOMEM;
    }
    cell_read(l, out->index, &reading);
    memcpy(out->counter, reading.counter, sizeof(out->counter));
    return 0;
}

static const char *
budget_name(const struct policy *p, const char *name, char *buffer, size_t size)
{
    if (strcmp(p->budget.group, "own") == 0) {
        return name;
    }
    snprintf(buffer, size, "@%s", p->budget.group);
    return buffer;
}

static void
view_breaker(const struct policy *p, struct seen *s, uint64_t now_ns,
             struct admin_guard *out)
{
    const struct guard_rings *r = cell_guard(s->live, s->index);
    enum breaker_state to;
    uint64_t until, when;

    out->damaged = !breaker_is_sound(&s->cell->breaker, now_ns);
    if (p->breaker.mode == BREAKER_ON) {
        out->state =
            breaker_look(&p->breaker, &s->cell->breaker, now_ns, &until);
        out->open_for_ns = until > now_ns ? until - now_ns : 0;
    }
    if (!r) {
        return;
    }
    out->opened = atomic_load(&r->opened);
    while (out->transitions < TRANSITIONS &&
           breaker_transition(r, out->transitions, &to, &when)) {
        out->transition[out->transitions].to = to;
        out->transition[out->transitions++].realtime_ns = when;
    }
}

static void
view_budget(struct admin *a, const struct policy *p, const char *name,
            const char *scope, uint64_t now_ns, struct admin_guard *out)
{
    char buffer[BIDE_NAME_MAX + 2];
    const char *group = budget_name(p, name, buffer, sizeof(buffer));
    struct seen s = {0};
    struct guard g = {.budget_tally = fill_budget_tally, .arg = &s};

    out->budget_level = 1;
    if (read_seen_cell(a, group, *group == '@' ? "" : scope, &s) != 0) {
        return;
    }
    g.budget = &s.cell->budget;
    g.budget_rings = cell_guard(s.live, s.index);
    out->budget_damaged = !budget_is_sound(g.budget);
    out->budget_level = budget_level(&p->budget, &g, now_ns);
    if (g.budget_rings) {
        out->budget_refused = atomic_load(&g.budget_rings->budget_refused);
    }
}

void
admin_guard(struct admin *a, const struct policy *p, const char *name,
            const char *scope, struct admin_guard *out)
{
    uint64_t now = clock_monotonic_ns();
    struct seen s = {0};

    *out = (struct admin_guard){.mode = p->breaker.mode};
    out->has_budget = strcmp(p->budget.group, "none") != 0;
    if (p->breaker.mode != BREAKER_OFF &&
        read_seen_cell(a, name, scope, &s) == 0) {
        view_breaker(p, &s, now, out);
    }
    if (out->has_budget) {
        view_budget(a, p, name, scope, now, out);
    }
}

static int
fail_reset(int rc, const char *name, const char *scope)
{
    struct failure *f = failure_begin(FAILURE_UNUSED, rc, name);

    snprintf(f->scope, sizeof(f->scope), "%s", scope);
    return rc;
}

int
admin_reset_breaker(struct admin *a, const char *name, const char *scope)
{
    struct seen s = {0};
    struct guard g = {.tally = fill_breaker_tally, .arg = &s};
    int rc = read_seen_cell(a, name, scope, &s);

    if (rc == 0) {
        g.breaker = &s.cell->breaker;
        g.rings = cell_guard(s.live, s.index);
        g.realtime_ns = clock_realtime_ns();
        rc = g.rings ? 0 : BIDE_EFULL;
    }
    if (rc) {
        return fail_reset(rc, name, scope);
    }
    breaker_reset(&g, clock_monotonic_ns());
    cell_announce(s.cell);
    live_ring(s.live);
    return 0;
}

int
admin_reset_budget(struct admin *a, const struct policy *p, const char *name,
                   const char *scope)
{
    char buffer[BIDE_NAME_MAX + 2];
    const char *group = budget_name(p, name, buffer, sizeof(buffer));
    struct seen s = {0};
    struct guard g = {0};
    int rc = read_seen_cell(a, group, *group == '@' ? "" : scope, &s);

    if (rc) {
        return fail_reset(rc, name, "");
    }
    g.budget = &s.cell->budget;
    g.budget_rings = cell_guard(s.live, s.index);
    budget_reset(&g);
    return 0;
}
