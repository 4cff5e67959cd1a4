/* Reads everything that bide metrics and bide serve show. */

#include <stdlib.h>
#include <string.h>

#include "admin/deferred.h"
#include "admin/guard.h"
#include "admin/live.h"
#include "admin/open.h"
#include "admin/read.h"
#include "base/array.h"
#include "cli/view/guard.h"
#include "policy/policy.h"
#include "record/past.h"
#include "store/policies/record.h"
#include "store/queue/queue.h"
#include "metrics.h"
#include "uncounted.h"

/* ---- cells ---- */

static void
add_outcome(struct metrics_cell *to, const struct cell_outcome *o)
{
    for (size_t i = 0; i < to->outcome_count; i++) {
        if (strcmp(to->outcomes[i].name, o->name) == 0) {
            to->outcomes[i].count += o->count;
            return;
        }
    }
    to->outcomes[to->outcome_count++] = *o;
}

static int
add_metrics_cell(void *arg, const struct admin_cell *c)
{
    struct metrics *m = arg;
    struct metrics_cell *to;

    if (c->only_scopes) {
        return 0;
    }
    to = array_add(&m->cells, &m->cell_count, sizeof(*to));
    if (!to) {
        return BIDE_ENOMEM;
    }
    memcpy(to->name, c->name, sizeof(to->name));
    memcpy(to->scope, c->scope, sizeof(to->scope));
    to->stats = c->stats;
    exposition_convert(c->succeeded, &to->succeeded);
    exposition_convert(c->failed, &to->failed);
    to->outcomes = calloc(c->outcome_count + 1, sizeof(*to->outcomes));
    if (!to->outcomes) {
        return BIDE_ENOMEM;
    }
    for (size_t i = 0; i < c->outcome_count; i++) {
        add_outcome(to, &c->outcomes[i]);
    }
    return 0;
}

static int
compare_metrics_cells(const void *a, const void *b)
{
    const struct metrics_cell *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : strcmp(x->scope, y->scope);
}

/* Sorts the cells and drops duplicates: a damaged live file may have a name
 * twice, and Prometheus rejects a scrape that has a series twice. */
static void
sort_cells(struct metrics *m)
{
    size_t kept = 0;

    if (m->cell_count == 0) {
        return;
    }
    qsort(m->cells, m->cell_count, sizeof(*m->cells), compare_metrics_cells);
    for (size_t i = 1; i < m->cell_count; i++) {
        if (compare_metrics_cells(&m->cells[kept], &m->cells[i]) == 0) {
            free(m->cells[i].outcomes);
        } else {
            m->cells[++kept] = m->cells[i];
        }
    }
    m->cell_count = kept + 1;
}

static int
count_sleeper(void *arg, const struct admin_sleeper *s)
{
    struct metrics *m = arg;
    struct metrics_cell key, *cell = NULL;

    memcpy(key.name, s->name, sizeof(key.name));
    memcpy(key.scope, s->scope, sizeof(key.scope));
    if (m->cell_count > 0) {
        cell = bsearch(&key, m->cells, m->cell_count, sizeof(*m->cells),
                       compare_metrics_cells);
    }
    if (cell) {
        cell->sleeping++;
    }
    return 0;
}

/* Returns the index of the first cell of `name`, or the index at which it would
 * be inserted. */
static size_t
first_cell(const struct metrics *m, const char *name)
{
    size_t low = 0, high = m->cell_count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (strcmp(m->cells[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* ---- policies ---- */

static int
add_group(struct metrics *m, const struct policy *p)
{
    struct metrics_group *g;

    for (size_t i = 0; i < m->group_count; i++) {
        if (strcmp(m->groups[i].name, p->budget.group) == 0) {
            return 0;
        }
    }
    g = array_add(&m->groups, &m->group_count, sizeof(*g));
    if (!g) {
        return BIDE_ENOMEM;
    }
    memcpy(g->name, p->budget.group, sizeof(g->name));
    admin_guard(m->registry, p, p->name, "", &g->guard);
    return 0;
}

/* Reads the breakers and budgets of a policy's cells. */
static int
read_guards(struct metrics *m, const struct policy *p)
{
    bool own = strcmp(p->budget.group, "own") == 0;

    if (!guard_has_breaker(p) && !guard_has_budget(p)) {
        return 0;
    }
    for (size_t i = first_cell(m, p->name);
         i < m->cell_count && strcmp(m->cells[i].name, p->name) == 0; i++) {
        struct metrics_cell *c = &m->cells[i];

        admin_guard(m->registry, p, p->name, c->scope, &c->guard);
        c->guarded = true;
        c->own_budget = own;
    }
    return own || !guard_has_budget(p) ? 0 : add_group(m, p);
}

static int
add_policy(void *arg, const struct record *r)
{
    struct metrics *m = arg;
    struct metrics_policy *to =
        array_add(&m->policies, &m->policy_count, sizeof(*to));
    struct policy *p;
    int rc;

    if (!to) {
        return BIDE_ENOMEM;
    }
    memcpy(to->name, r->name, sizeof(to->name));
    to->version = r->version;
    to->level = -1;
    rc = guard_compile(m->registry, r, &p);
    if (rc || !p) {
        return rc;
    }
    to->valid = true;
    to->importance = p->importance;
    to->breaker_mode = p->breaker.mode;
    to->paused = p->paused;
    memcpy(to->group, p->budget.group, sizeof(to->group));
    rc = read_guards(m, p);
    policy_free(p);
    return rc;
}

static int
compare_policies(const void *a, const void *b)
{
    return strcmp(((const struct metrics_policy *)a)->name,
                  ((const struct metrics_policy *)b)->name);
}

static struct metrics_policy *
find_metrics_policy(const struct metrics *m, size_t count, const char *name)
{
    struct metrics_policy key;

    if (count == 0 || strlen(name) > BIDE_NAME_MAX) {
        return NULL;
    }
    strcpy(key.name, name);
    return bsearch(&key, m->policies, count, sizeof(key), compare_policies);
}

/* Adds the names that services use although they are not defined. */
static int
add_undefined(struct metrics *m)
{
    size_t defined = m->policy_count;

    for (size_t i = 0; i < m->cell_count; i++) {
        struct metrics_policy *to;

        if ((i > 0 && strcmp(m->cells[i - 1].name, m->cells[i].name) == 0) ||
            find_metrics_policy(m, defined, m->cells[i].name)) {
            continue;
        }
        to = array_add(&m->policies, &m->policy_count, sizeof(*to));
        if (!to) {
            return BIDE_ENOMEM;
        }
        memcpy(to->name, m->cells[i].name, sizeof(to->name));
        to->level = -1;
    }
    return 0;
}

static int
keep_level(void *arg, const struct past_alarm *alarm)
{
    struct metrics *m = arg;
    struct metrics_policy *p =
        find_metrics_policy(m, m->policy_count, alarm->name);

    if (p && alarm->policy) {
        p->level = alarm->verdict.level == ALARM_UNKNOWN
                       ? -1
                       : (int)alarm->verdict.level;
    }
    return 0;
}

/* ---- deferred work ---- */

static int
add_deferred(void *arg, const struct deferred_counts *c)
{
    struct metrics *m = arg;
    struct deferred_counts *to =
        array_add(&m->deferred, &m->deferred_count, sizeof(*to));

    if (!to) {
        return BIDE_ENOMEM;
    }
    *to = *c;
    return 0;
}

/* ---- everything ---- */

int
metrics_read(struct admin *registry, struct metrics *out)
{
    struct deferred *deferred;
    char why[256];
    int rc;

    *out = (struct metrics){.registry = registry};
    out->live = admin_has_live(registry);
    out->counts = !uncounted_look(registry, why, sizeof(why));
    rc = admin_each_cell(registry, NULL, add_metrics_cell, out);
    sort_cells(out);
    if (!rc) {
        rc = admin_each_sleeper(registry, count_sleeper, out);
    }
    if (!rc) {
        rc = admin_each_policy(registry, add_policy, out);
    }
    if (rc) {
        return rc;
    }
    /* A damaged history does not hide the rest. */
    out->history = admin_each_alarm(registry, NULL, 0, keep_level, out) == 0 &&
                   past_known(admin_past(registry), &out->past) == 0;
    /* Only members of its group may read deferred work. */
    out->queue = admin_deferred(registry, &deferred) == 0 &&
                 deferred_counts(deferred, add_deferred, out) == 0;
    if (admin_trouble(registry, &out->trouble_ns) == 0) {
        out->trouble_ns = 0;
    }
    return add_undefined(out);
}

void
metrics_free(struct metrics *m)
{
    for (size_t i = 0; i < m->cell_count; i++) {
        free(m->cells[i].outcomes);
    }
    free(m->cells);
    free(m->policies);
    free(m->groups);
    free(m->deferred);
    memset(m, 0, sizeof(*m));
}
