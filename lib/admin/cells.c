/* Visits the cells of the live state by name and scope, and the sum of those of
 * each name.  Cells beyond a bound are added up. */
#include "live.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/failure.h"
#include "base/lock.h"
#include "live/live.h"
#include "live/snapshot.h"
#include "record/past.h"
#include "registry/stats.h"
#include "inside.h"

_Static_assert(sizeof(ADMIN_OTHERS) == sizeof(SCOPE_OTHERS), "others");

struct found_cell {
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];
    uint32_t index;
    bool hidden; /* is only added up */
    bool before; /* counted before its policy had this name */
};

/* Cells that are added up: their counts in all and in the last minute. */
struct cell_sum {
    struct cell_reading total, window;
    uint32_t cells;
    uint64_t most; /* calls in the window of one of them */
    bool parted;   /* some cell counted more than its window */
    struct admin_cell cell;
};

struct cell_visit {
    struct live *live;
    uint64_t now_ns; /* 0: no windows */
    bool sums;
    int (*visit)(void *arg, const struct admin_cell *c);
    void *arg;
    size_t count;
    struct found_cell *found;
    struct cell_reading total, window;
    struct cell_sum both;    /* before and after a policy got its name */
    struct cell_sum sum;     /* of a name */
    struct cell_sum hidden;  /* of its hidden scopes */
    struct cell_sum unknown; /* of hidden undefined names */
};

/* ---- finding ---- */

static int
compare_found(const void *a, const void *b)
{
    const struct found_cell *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : strcmp(x->scope, y->scope);
}

static int
is_asked_for(void *arg, const struct live_process *p)
{
    (void)arg;
    return p->by.pid != 0;
}

/* Lists the cells of a name (NULL: all); of a policy that was renamed, also
 * those of its earlier names, unless a process that runs uses them. */
static int
find_cells(struct cell_visit *v, struct past *p, const char *name)
{
    uint32_t shown = 0, count = cell_count(v->live);
    int rc = 0;

    renamed_read(p);
    for (uint32_t i = 0; i < count && !rc; i++) {
        const struct cell *c = cell_at(v->live, i);
        struct found_cell one = {.index = i};
        const char *now;

        if (!c || !cell_names(c, one.name, one.scope) || *one.name == '@') {
            continue;
        }
        now = load_relaxed(&c->version) ? one.name
                                        : renamed_now(p, one.name, 1, 0);
        if (now != one.name && !live_asking(v->live, i, is_asked_for, NULL)) {
            one.before = true;
            strcpy(one.name, now);
        }
        if (name && strcmp(name, one.name) != 0) {
            continue;
        }
        if (!name && (*one.scope || load_relaxed(&c->gate) & GATE_MISSING)) {
            one.hidden = strcmp(one.scope, ADMIN_OTHERS) == 0 ||
                         shown++ >= ADMIN_CELLS_SHOWN;
        }
        if (!array_put(&v->found, &v->count, &one, sizeof(one))) {
            rc = failure_plain(BIDE_ENOMEM);
        }
    }
    if (v->count > 0) {
        qsort(v->found, v->count, sizeof(*v->found), compare_found);
    }
    return rc;
}

/* ---- filling ---- */

static void
fill_counts(const struct cell_reading *total, const struct cell_reading *window,
            uint32_t version, struct admin_cell *out)
{
    stats_from(total, version, &out->stats);
    out->outcomes = total->outcome;
    out->outcome_count = total->outcome_count;
    out->succeeded = total->succeeded;
    out->failed = total->failed;
    out->calls = &total->calls;
    if (window) {
        stats_from(window, version, &out->now);
        out->now_outcomes = window->outcome;
        out->now_outcome_count = window->outcome_count;
        out->now_succeeded = window->succeeded;
    }
}

static void
fill_cell(const struct cell *c, struct admin_cell *out)
{
    out->missing = (load_relaxed(&c->gate) & GATE_MISSING) != 0;
    out->scopes = load_relaxed(&c->scopes);
    out->scopes_refused = load_relaxed(&c->scopes_refused);
    out->only_scopes = !cell_asked(c, &out->asked_by) && out->scopes > 0;
}

/* Multiplies what was counted in one time, for another one. */
static void
scale_reading(struct cell_reading *r, double by)
{
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        r->counter[i] = (uint64_t)((double)r->counter[i] * by + 0.5);
    }
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        r->succeeded[i] = (uint64_t)((double)r->succeeded[i] * by + 0.5);
        r->failed[i] = (uint64_t)((double)r->failed[i] * by + 0.5);
    }
    for (size_t i = 0; i < r->outcome_count; i++) {
        r->outcome[i].count =
            (uint64_t)((double)r->outcome[i].count * by + 0.5);
    }
}

/* Adds the window of a cell.  The window of the sum is that of the cell with
 * the most calls, and the counts of the others are scaled to it; but those of a
 * cell that is younger are all that it counted in that time.  If all are, the
 * window is the longest one. */
static void
add_window(struct cell_visit *v, struct cell_sum *s, struct admin_cell *c)
{
    uint64_t calls = counter_calls(&c->now);
    double ratio = c->now_ns && s->cell.now_ns
                       ? (double)s->cell.now_ns / (double)c->now_ns
                       : 1;

    if (calls + c->now.attempts == 0 && s->cell.now_ns) {
        return;
    }
    s->parted |= !c->now_whole;
    if (!s->parted) {
        s->most = calls > s->most ? calls : s->most;
        s->cell.now_ns =
            ratio < 1 || !s->cell.now_ns ? c->now_ns : s->cell.now_ns;
    } else if (calls > s->most || !s->cell.now_ns) {
        if (ratio != 1) {
            scale_reading(&s->window, 1 / ratio);
        }
        s->most = calls;
        s->cell.now_ns = c->now_ns;
    } else if (ratio < 1 || (ratio > 1 && !c->now_whole)) {
        scale_reading(&v->window, ratio);
        c->now_ns = s->cell.now_ns; /* for the next sum */
    }
    cell_reading_add(&s->window, &v->window);
}

/* Adds a cell to a sum; this may scale its window. */
static void
add_to_sum(struct cell_visit *v, struct cell_sum *s, struct admin_cell *c)
{
    s->cells++;
    s->cell.missing |= c->missing;
    s->cell.scopes += c->scopes;
    s->cell.scopes_refused += c->scopes_refused;
    if (c->asked_by.pid) {
        s->cell.asked_by = c->asked_by;
    }
    if (c->stats.version > s->cell.stats.version) {
        s->cell.stats.version = c->stats.version;
    }
    cell_reading_add(&s->total, &v->total);
    if (v->now_ns) {
        add_window(v, s, c);
    }
}

/* Visits a sum, and empties it. */
static int
visit_sum(struct cell_visit *v, struct cell_sum *s, const char *name,
          const char *scope)
{
    struct admin_cell *c = &s->cell;
    int rc;

    if (s->cells == 0) {
        return 0;
    }
    strcpy(c->name, name);
    strcpy(c->scope, scope);
    fill_counts(&s->total, v->now_ns ? &s->window : NULL, c->stats.version, c);
    rc = v->visit(v->arg, c);
    memset(s, 0, sizeof(*s));
    return rc;
}

/* ---- visiting ---- */

/* Reads a cell. */
static void
read_cell(struct cell_visit *v, const struct found_cell *f,
          const struct cell *c, struct admin_cell *out)
{
    *out = (struct admin_cell){.scope = ""};
    memcpy(out->name, f->name, sizeof(out->name));
    memcpy(out->scope, f->scope, sizeof(out->scope));
    if (v->now_ns) {
        out->now_ns = cell_read_window(v->live, f->index, v->now_ns, &v->total,
                                       &v->window, &out->now_whole);
    } else {
        cell_read(v->live, f->index, &v->total);
    }
    fill_cell(c, out);
    out->missing &= !f->before;
    fill_counts(&v->total, v->now_ns ? &v->window : NULL,
                load_relaxed(&c->version), out);
}

/* Adds a cell to the sum of hidden ones that it belongs to. */
static void
hide_cell(struct cell_visit *v, struct admin_cell *c)
{
    bool others = strcmp(c->scope, ADMIN_OTHERS) == 0;
    struct cell_sum *s = c->missing && !others ? &v->unknown : &v->hidden;

    add_to_sum(v, s, c);
    s->cell.added_up += !others;
}

/* Visits a cell that is the only one of its name as the sum of them. */
static int
visit_as_sum(struct cell_visit *v, struct admin_cell *c)
{
    c->is_sum = true;
    c->only_scopes = false;
    c->declared = NULL;
    c->scope[0] = '\0';
    return v->visit(v->arg, c);
}

/* Visits a cell, and adds it to the sums that it belongs to; `alone`: no other
 * cell has its name. */
static int
visit_cell(struct cell_visit *v, const struct found_cell *f, bool alone)
{
    bool more = f + 1 < v->found + v->count && !compare_found(f, f + 1);
    const struct cell *c = cell_at(v->live, f->index);
    struct admin_cell out;
    struct cell_declared declared;
    int rc = 0;

    if (!c) {
        return 0;
    }
    read_cell(v, f, c, &out);
    if (f->hidden) {
        hide_cell(v, &out);
    } else if (more || v->both.cells) {
        add_to_sum(v, &v->both, &out);
        rc = more ? 0 : visit_sum(v, &v->both, f->name, f->scope);
    } else {
        if (out.missing && cell_declared(v->live, f->index, &declared)) {
            out.declared = &declared;
        }
        rc = v->visit(v->arg, &out);
    }
    if (rc || !v->sums || (f->hidden && out.missing)) {
        return rc;
    }
    if (alone && !f->hidden) {
        return visit_as_sum(v, &out);
    }
    add_to_sum(v, &v->sum, &out);
    return 0;
}

/* Visits the hidden scopes of a name and then the sum of all of its cells. */
static int
end_name(struct cell_visit *v, const char *name)
{
    int rc = visit_sum(v, &v->hidden, name, ADMIN_OTHERS);

    v->sum.cell.is_sum = true;
    return rc ? rc : visit_sum(v, &v->sum, name, "");
}

static int
visit_cells(struct cell_visit *v)
{
    bool first = true, last;
    int rc = 0;

    for (size_t i = 0; i < v->count && rc == 0; i++, first = last) {
        const char *name = v->found[i].name;

        last = i + 1 == v->count || strcmp(name, v->found[i + 1].name) != 0;
        rc = visit_cell(v, &v->found[i], first && last);
        if (!rc && last) {
            rc = end_name(v, name);
        }
    }
    return rc ? rc : visit_sum(v, &v->unknown, ADMIN_OTHERS, "");
}

int
admin_each_cell(struct admin *a, const char *name, enum admin_cells which,
                int (*visit)(void *arg, const struct admin_cell *c), void *arg)
{
    struct live *l = past_live(&a->past, false);
    struct cell_visit *v;
    int rc;

    if (!l) {
        return 0;
    }
    v = calloc(1, sizeof(*v));
    if (!v) {
        return failure_plain(BIDE_ENOMEM);
    }
    v->live = l;
    v->now_ns = which == ADMIN_NOW ? clock_monotonic_ns() : 0;
    v->sums = which != ADMIN_TOTALS;
    v->visit = visit;
    v->arg = arg;
    rc = find_cells(v, &a->past, name);
    rc = rc ? rc : visit_cells(v);
    free(v->found);
    free(v);
    return rc;
}
