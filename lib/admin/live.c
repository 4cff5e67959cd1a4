/* Reads the live state for operators. */
#include "live.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/failure.h"
#include "base/lock.h"
#include "live/live.h"
#include "record/past.h"
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

static void
fill_counts(const struct cell_reading *r, uint32_t version,
            struct admin_cell *out)
{
    stats_from(r, version, &out->stats);
    out->outcomes = r->outcome;
    out->outcome_count = r->outcome_count;
    out->succeeded = r->succeeded;
    out->failed = r->failed;
}

static void
fill_cell(const struct cell *c, const struct cell_reading *r,
          struct admin_cell *out)
{
    uint64_t gate = load_relaxed(&c->gate);
    uint32_t version = load_relaxed(&c->version);

    out->missing = (gate & GATE_MISSING) != 0;
    out->scopes = load_relaxed(&c->scopes);
    out->scopes_refused = load_relaxed(&c->scopes_refused);
    out->only_scopes = !cell_asked(c, &out->asked_by) && out->scopes > 0;
    fill_counts(r, version, out);
}

_Static_assert(sizeof(ADMIN_OTHERS) == sizeof(SCOPE_OTHERS), "others");

/* The visit of all cells.  Those beyond the bound are added up. */
struct cell_visit {
    struct live *live;
    int (*visit)(void *arg, const struct admin_cell *c);
    void *arg;
    struct cell_reading reading;
    uint32_t shown;
    size_t sum_count, last;
    struct cell_sum {
        char name[BIDE_NAME_MAX + 1]; /* of a policy, or ADMIN_OTHERS */
        uint32_t version, cells;
        bool missing;
        struct cell_reading total;
    } * sums;
};

/* Finds or makes the sum of a policy's scopes, or of undefined names. */
static struct cell_sum *
find_sum(struct cell_visit *v, const char *name)
{
    struct cell_sum *s;

    for (size_t i = 0; i < v->sum_count; i++) {
        s = &v->sums[(v->last + i) % v->sum_count];
        if (strcmp(s->name, name) == 0) {
            v->last = (size_t)(s - v->sums);
            return s;
        }
    }
    if (v->sum_count >= ADMIN_SUMS_MOST && strcmp(name, ADMIN_OTHERS) != 0) {
        return find_sum(v, ADMIN_OTHERS);
    }
    s = array_add(&v->sums, &v->sum_count, sizeof(*s));
    if (s) {
        strcpy(s->name, name);
        v->last = v->sum_count - 1;
    }
    return s;
}

/* Adds a cell to a sum.  `others`: the cell itself is one of ADMIN_OTHERS. */
static int
add_to_sum(struct cell_visit *v, const struct admin_cell *c, bool others)
{
    struct cell_sum *s =
        find_sum(v, c->missing && !others ? ADMIN_OTHERS : c->name);

    if (!s) {
        return failure_plain(BIDE_ENOMEM);
    }
    s->cells += !others;
    s->missing = c->missing;
    s->version = c->stats.version;
    cell_reading_add(&s->total, &v->reading);
    return 0;
}

static int
visit_sums(struct cell_visit *v)
{
    int rc = 0;

    for (size_t i = 0; i < v->sum_count && rc == 0; i++) {
        const struct cell_sum *s = &v->sums[i];
        struct admin_cell out = {.missing = s->missing, .added_up = s->cells};

        memcpy(out.name, s->name, sizeof(out.name));
        if (*s->name != '@') {
            strcpy(out.scope, ADMIN_OTHERS);
        }
        fill_counts(&s->total, s->version, &out);
        rc = v->visit(v->arg, &out);
    }
    return rc;
}

/* Visits the cell `i`, or adds it to a sum. */
static int
visit_cell(struct cell_visit *v, uint32_t i, const char *name)
{
    struct admin_cell out = {0};
    struct cell_declared declared;
    const struct cell *c = cell_at(v->live, i);
    bool others;

    if (!c || !cell_names(c, out.name, out.scope) || *out.name == '@' ||
        (name && strcmp(name, out.name) != 0)) {
        return 0;
    }
    cell_read(v->live, i, &v->reading);
    fill_cell(c, &v->reading, &out);
    others = strcmp(out.scope, ADMIN_OTHERS) == 0;
    if (!name && (out.missing || *out.scope) &&
        (others || v->shown++ >= ADMIN_CELLS_SHOWN)) {
        return add_to_sum(v, &out, others);
    }
    if (out.missing && cell_declared(v->live, i, &declared)) {
        out.declared = &declared;
    }
    return v->visit(v->arg, &out);
}

int
admin_each_cell(struct admin *a, const char *name,
                int (*visit)(void *arg, const struct admin_cell *c), void *arg)
{
    struct live *l = past_live(&a->past, false);
    struct cell_visit *v;
    uint32_t i, count;
    int rc = 0;

    if (!l) {
        return 0;
    }
    v = calloc(1, sizeof(*v));
    if (!v) {
        return failure_plain(BIDE_ENOMEM);
    }
    v->live = l;
    v->visit = visit;
    v->arg = arg;
    count = cell_count(l);
    for (i = 0; i < count && rc == 0; i++) {
        rc = visit_cell(v, i, name);
    }
    rc = rc ? rc : visit_sums(v);
    free(v->sums);
    free(v);
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
        .wakes_in_ns = s->wake_ns > v->now_ns ? s->wake_ns - v->now_ns : 0,
        .call = *s,
    };

    return c && cell_names(c, out.name, out.scope) ? v->visit(v->arg, &out) : 0;
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

uint32_t
admin_refused(struct admin *a)
{
    struct live *l = past_live(&a->past, false);

    return l ? atomic_load(&live_header(l)->cells_refused) : 0;
}

int
admin_trouble(struct admin *a, uint64_t *out_when_ns)
{
    struct live *l = past_live(&a->past, false);
    uint32_t trouble;

    if (!l) {
        return 0;
    }
    trouble = load_relaxed(&live_header(l)->trouble);
    if (trouble == 0 || trouble > 100) {
        return 0;
    }
    *out_when_ns = load_relaxed(&live_header(l)->trouble_ns);
    return -(int)trouble;
}
