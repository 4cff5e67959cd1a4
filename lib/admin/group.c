/* Budgets that several policies share: all must say the same of its size.  They
 * may inherit it, so all policies are looked at; but only when something that
 * was changed shares one. */
#include "admin/edit.h"

#include <stdio.h>
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

/* ---- in what two differ ---- */

static void
write_tokens(const struct budget_rules *b, char *out, size_t size)
{
    snprintf(out, size, "%.15g", (double)b->capacity / 1000);
}

static void
write_refill(const struct budget_rules *b, char *out, size_t size)
{
    snprintf(out, size, "%.15g/s", (double)b->refill_per_s / 1000);
}

static void
write_window(const struct budget_rules *b, char *out, size_t size)
{
    duration_write(b->window_ns, out, size);
}

static void
write_ratio(const struct budget_rules *b, char *out, size_t size)
{
    snprintf(out, size, "%.15g%%", b->ratio * 100);
}

static void
write_rate(const struct budget_rules *b, char *out, size_t size)
{
    snprintf(out, size, "%.15g/s", b->min_rate);
}

static void
write_kind(const struct budget_rules *b, char *out, size_t size)
{
    snprintf(out, size, "%s", b->kind == BUDGET_TOKENS ? "tokens" : "ratio");
}

/* What the members of a group agree on.  Values are compared as they are
 * written, which is exact. */
static const struct size_key {
    const char *key;
    int kind; /* enum budget_kind, or -1: of both */
    void (*write)(const struct budget_rules *b, char *out, size_t size);
} size_keys[] = {
    {"budget_kind", -1, write_kind},
    {"budget_capacity", BUDGET_TOKENS, write_tokens},
    {"budget_refill", BUDGET_TOKENS, write_refill},
    {"budget_window", BUDGET_RATIO, write_window},
    {"budget_ratio", BUDGET_RATIO, write_ratio},
    {"budget_min_rate", BUDGET_RATIO, write_rate},
};
enum { SIZE_KEYS = sizeof(size_keys) / sizeof(size_keys[0]), VALUE = 40 };

/* The key, and how it reads in each; or NULL. */
static const struct size_key *
difference(const struct budget_rules *a, const struct budget_rules *b,
           char in_a[VALUE], char in_b[VALUE])
{
    size_t i;

    for (i = 0; i < SIZE_KEYS; i++) {
        const struct size_key *k = &size_keys[i];

        if (k->kind >= 0 && k->kind != a->kind) {
            continue;
        }
        k->write(a, in_a, VALUE);
        k->write(b, in_b, VALUE);
        if (strcmp(in_a, in_b) != 0) {
            return k;
        }
    }
    return NULL;
}

/* ---- where that is ---- */

struct place {
    const char *file; /* or the policy, when it is stored already */
    int line;
};

static struct place
place_of(const struct edit *e, const char *name, const char *key)
{
    size_t i;

    for (i = 0; e->texts && i < e->texts->count; i++) {
        const struct policy_text *t = e->texts->list[i];
        int line;

        if (strcmp(policy_text_name(t), name) == 0) {
            line = policy_text_line(t, key_find(key));
            return (struct place){e->file,
                                  line ? line : policy_text_line(t, NULL)};
        }
    }
    return (struct place){name, 0};
}

static void
add_fault(struct groups *g, const struct member *m, const struct policy *p,
          const char *key, const char *in_m, const char *in_p)
{
    struct place here = place_of(g->e, p->name, key);
    struct place there = place_of(g->e, m->name, key);
    char line[32] = "";

    if (there.line > 0) {
        snprintf(line, sizeof line, ", line %d", there.line);
    }
    fault_add(g->e->faults, here.file, here.line,
              "policies that share a budget say the same of its size",
              "%s = %s in %s: budget %s has %s in %s%s", key, in_p, p->name,
              m->budget.group, in_m, m->name, line);
}

/* ---- all of them ---- */

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
        const struct size_key *key;
        char in_m[VALUE], in_p[VALUE];

        if (strcmp(m->budget.group, p->budget.group) != 0) {
            continue;
        }
        key = difference(&m->budget, &p->budget, in_m, in_p);
        if (key) {
            add_fault(g, m, p, key->key, in_m, in_p);
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
