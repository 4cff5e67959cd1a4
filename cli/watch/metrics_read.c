/* Reads everything that bide metrics and bide serve show. */

#include <stdlib.h>
#include <string.h>

#include "admin/guard.h"
#include "admin/live.h"
#include "admin/open.h"
#include "admin/read.h"
#include "base/array.h"
#include "cli/view/guard.h"
#include "policy/policy.h"
#include "record/past.h"
#include "store/queue/queue.h"
#include "metrics.h"
#include "uncounted.h"

static int
count_sleeper(void *arg, const struct admin_sleeper *s)
{
    struct metrics *m = arg;
    struct count *cell = counts_at(&m->cells, s->name, s->scope);

    if (cell < counts_end(&m->cells) && strcmp(cell->cell.name, s->name) == 0 &&
        strcmp(cell->cell.scope, s->scope) == 0) {
        cell->sleeping++;
    }
    return 0;
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
    rc = guard_has_budget(p) && strcmp(p->budget.group, "own") != 0
             ? add_group(m, p)
             : 0;
    counts_follow(&m->cells, m->registry, p);
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

    for (size_t i = 0; i < m->cells.count; i++) {
        const char *name = m->cells.list[i].cell.name;
        struct metrics_policy *to;

        if (!counts_first(&m->cells, i) ||
            find_metrics_policy(m, defined, name)) {
            continue;
        }
        to = array_add(&m->policies, &m->policy_count, sizeof(*to));
        if (!to) {
            return BIDE_ENOMEM;
        }
        memcpy(to->name, name, sizeof(to->name));
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
    uint64_t age_ns;
    int rc;

    *out = (struct metrics){.registry = registry};
    out->live = admin_has_live(registry);
    out->counts = !uncounted_look(registry, why, sizeof(why));
    rc = counts_read(registry, NULL, COUNTS_SERIES, &out->cells);
    rc = rc ? rc : admin_each_sleeper(registry, count_sleeper, out);
    rc = rc ? rc : admin_each_policy(registry, add_policy, out);
    if (rc) {
        return rc;
    }
    /* A damaged history does not hide the rest. */
    out->history = admin_each_alarm(registry, NULL, 0, keep_level, out) == 0 &&
                   past_known(admin_past(registry), &out->past) == 0;
    out->stopped = out->history &&
                   past_has_stopped(admin_past(registry), &out->past, &age_ns);
    /* Only members of its group may read deferred work. */
    out->queue = admin_deferred(registry, &deferred) == 0 &&
                 deferred_counts(deferred, add_deferred, out) == 0;
    if (admin_trouble(registry, &out->trouble_ns) == 0) {
        out->trouble_ns = 0;
    }
    rc = admin_fleet(registry, &out->fleet, &age_ns);
    return rc ? rc : add_undefined(out);
}

void
metrics_free(struct metrics *m)
{
    counts_free(&m->cells);
    free(m->policies);
    free(m->groups);
    free(m->deferred);
    memset(m, 0, sizeof(*m));
}
