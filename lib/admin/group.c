/* Budgets that several policies share: all must say the same of its size.  They
 * may inherit it, so all policies are looked at; but only when something that
 * was changed shares one. */
#include "admin/edit.h"

#include <stdlib.h>
#include <string.h>

struct member {
    char name[BIDE_NAME_MAX + 1];
    struct budget_rules budget;
};

struct groups {
    struct edit *e;
    struct member *first; /* of each group, the first by name */
    size_t count;
};

bool
edit_is_grouped(const struct policy *p)
{
    return strcmp(p->budget.group, "none") != 0 &&
           strcmp(p->budget.group, "own") != 0;
}

/* The key in which two differ, or NULL. */
static const char *
difference(const struct budget_rules *a, const struct budget_rules *b)
{
    if (a->kind != b->kind) {
        return "budget_kind";
    }
    if (a->kind == BUDGET_TOKENS) {
        return a->capacity != b->capacity           ? "budget_capacity"
               : a->refill_per_s != b->refill_per_s ? "budget_refill"
                                                    : NULL;
    }
    return a->window_ns != b->window_ns ? "budget_window"
           : a->ratio != b->ratio       ? "budget_ratio"
           : a->min_rate != b->min_rate ? "budget_min_rate"
                                        : NULL;
}

static int
add_first(struct groups *g, const struct policy *p)
{
    struct member *longer = realloc(g->first, (g->count + 1) * sizeof *longer);

    if (!longer) {
        return edit_no_memory();
    }
    g->first = longer;
    memset(&longer[g->count], 0, sizeof *longer);
    strcpy(longer[g->count].name, p->name);
    longer[g->count++].budget = p->budget;
    return 0;
}

static int
compare(struct groups *g, const struct policy *p)
{
    size_t i;

    for (i = 0; i < g->count; i++) {
        const struct member *m = &g->first[i];
        const char *key = difference(&m->budget, &p->budget);

        if (strcmp(m->budget.group, p->budget.group) != 0) {
            continue;
        }
        if (key) {
            fault_add(g->e->faults, p->name, 0,
                      "policies that share a budget say the same of its size",
                      "budget = %s: its %s is another than in %s",
                      p->budget.group, key, m->name);
        }
        return 0;
    }
    return add_first(g, p);
}

/* Most policies neither name a budget nor inherit anything. */
static bool
may_share(const struct record *r)
{
    return !r->deleted &&
           (strstr(r->text, "budget = ") || strstr(r->text, "extends = "));
}

static int
visit_text(struct groups *g, const struct record *r)
{
    struct policy_text *t;
    struct policy *p;
    int rc = admin_text(r, &t);

    if (rc) {
        return rc;
    }
    rc = edit_compile(g->e, t, &p);
    policy_text_free(t);
    if (rc) {
        return rc == BIDE_EINPUT ? 0 : edit_fail_store(g->e, rc);
    }
    rc = edit_is_grouped(p) ? compare(g, p) : 0;
    policy_free(p);
    return rc;
}

static int
visit(void *arg, const struct record *stored)
{
    struct groups *g = arg;
    struct record r;
    uint32_t newest;
    int rc;

    if (!stored->until_ns) {
        return may_share(stored) ? visit_text(g, stored) : 0;
    }
    rc = edit_in_force(g->e, stored->name, &r, &newest);
    if (rc) {
        return edit_fail_store(g->e, rc);
    }
    rc = may_share(&r) ? visit_text(g, &r) : 0;
    record_free(&r);
    return rc;
}

int
edit_check_groups(struct edit *e)
{
    struct groups g = {.e = e};
    int rc;

    if (!e->grouped || faults_any(e->faults)) {
        return 0;
    }
    rc = writer_each_policy(e->writer, visit, &g);
    free(g.first);
    return rc;
}
