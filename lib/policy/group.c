#include "group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include "base/array.h"
#include "value.h"

bool
group_has(const struct policy *p)
{
    return strcmp(p->budget.group, "none") != 0 &&
           strcmp(p->budget.group, "own") != 0;
}

/* ---- comparing two policies ---- */

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
write_earn(const struct budget_rules *b, char *out, size_t size)
{
    snprintf(out, size, "%s", b->earn == EARN_ALL ? "all" : "success");
}

static void
write_kind(const struct budget_rules *b, char *out, size_t size)
{
    snprintf(out, size, "%s", b->kind == BUDGET_TOKENS ? "tokens" : "ratio");
}

/* The keys on which the members of a group must agree.  Values are compared as
 * text, which is exact. */
static const struct size_key {
    const char *key;
    int kind; /* enum budget_kind, or -1: both */
    void (*write)(const struct budget_rules *b, char *out, size_t size);
} size_keys[] = {
    {"budget_kind", -1, write_kind},
    {"budget_capacity", BUDGET_TOKENS, write_tokens},
    {"budget_refill", BUDGET_TOKENS, write_refill},
    {"budget_window", BUDGET_RATIO, write_window},
    {"budget_ratio", BUDGET_RATIO, write_ratio},
    {"budget_min_rate", BUDGET_RATIO, write_rate},
    {"budget_earn", BUDGET_RATIO, write_earn},
};
enum { SIZE_KEYS = sizeof(size_keys) / sizeof(size_keys[0]) };

/* Returns the first key that differs, and writes both values; NULL: none. */
static const struct size_key *
find_difference(const struct budget_rules *a, const struct budget_rules *b,
                char in_a[GROUP_VALUE], char in_b[GROUP_VALUE])
{
    for (size_t i = 0; i < SIZE_KEYS; i++) {
        const struct size_key *k = &size_keys[i];

        if (k->kind >= 0 && k->kind != a->kind) {
            continue;
        }
        k->write(a, in_a, GROUP_VALUE);
        k->write(b, in_b, GROUP_VALUE);
        if (strcmp(in_a, in_b) != 0) {
            return k;
        }
    }
    return NULL;
}

/* ---- groups ---- */

static int
add_group(struct groups *g, const struct policy *p)
{
    struct group_member *longer =
        array_more(g->first, g->count, sizeof(*longer));

    if (!longer) {
        return BIDE_ENOMEM;
    }
    g->first = longer;
    memset(&longer[g->count], 0, sizeof(*longer));
    strcpy(longer[g->count].name, p->name);
    longer[g->count++].budget = p->budget;
    return 0;
}

int
groups_join(struct groups *g, const struct policy *p,
            struct group_conflict *out)
{
    const struct size_key *key;

    if (!group_has(p)) {
        return 0;
    }
    for (size_t i = 0; i < g->count; i++) {
        const struct group_member *m = &g->first[i];

        if (strcmp(m->budget.group, p->budget.group) == 0) {
            out->with = m;
            key = find_difference(&m->budget, &p->budget, out->in_with,
                                  out->in_own);
            out->key = key ? key->key : NULL;
            return key ? BIDE_EINPUT : 0;
        }
    }
    return add_group(g, p);
}

bool
groups_have(const struct groups *g, const char *group)
{
    size_t i = 0;

    while (i < g->count && strcmp(g->first[i].budget.group, group) != 0) {
        i++;
    }
    return i < g->count;
}

void
groups_free(struct groups *g)
{
    free(g->first);
    memset(g, 0, sizeof(*g));
}

void
group_fault(struct faults *faults, const struct group_conflict *c,
            const struct policy *p, struct group_place here,
            struct group_place there)
{
    bool other = there.line > 0 && strcmp(here.file, there.file) != 0;
    char line[32] = "";

    if (there.line > 0) {
        snprintf(line, sizeof(line), other ? ":%d" : ", line %d", there.line);
    }
    fault_add(faults, here.file, here.line,
              "policies that share a budget must agree on its size",
              "%s = %s in %s: budget %s has %s in %s%s%s%s", c->key, c->in_own,
              p->name, p->budget.group, c->in_with, c->with->name,
              other ? ", " : "", other ? there.file : "", line);
}
