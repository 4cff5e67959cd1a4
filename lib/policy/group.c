#include "group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include "base/array.h"

bool
group_has(const struct policy *p)
{
    return strcmp(p->budget.group, "none") != 0 &&
           strcmp(p->budget.group, "own") != 0;
}

/* ---- comparing two policies ---- */

/* The keys on which the members of a group must agree. */
enum { KIND, CAPACITY, REFILL, WINDOW, RATIO, MIN_RATE, EARN, SIZE_KEYS };
static const struct {
    const char *key;
    int kind; /* enum budget_kind, or -1: both */
} size_keys[SIZE_KEYS] = {
    [KIND] = {"budget_kind", -1},
    [CAPACITY] = {"budget_capacity", BUDGET_TOKENS},
    [REFILL] = {"budget_refill", BUDGET_TOKENS},
    [WINDOW] = {"budget_window", BUDGET_RATIO},
    [RATIO] = {"budget_ratio", BUDGET_RATIO},
    [MIN_RATE] = {"budget_min_rate", BUDGET_RATIO},
    [EARN] = {"budget_earn", BUDGET_RATIO},
};

/* Writes the values as text, in which a comparison is exact. */
static void
write_values(const struct budget_rules *b, char out[SIZE_KEYS][GROUP_VALUE])
{
    strcpy(out[KIND], b->kind == BUDGET_TOKENS ? "tokens" : "ratio");
    snprintf(out[CAPACITY], GROUP_VALUE, "%.15g", (double)b->capacity / 1000);
    snprintf(out[REFILL], GROUP_VALUE, "%.15g/s",
             (double)b->refill_per_s / 1000);
    snprintf(out[WINDOW], GROUP_VALUE, "%.30s",
             duration_write(b->window_ns).text);
    snprintf(out[RATIO], GROUP_VALUE, "%.15g%%", b->ratio * 100);
    snprintf(out[MIN_RATE], GROUP_VALUE, "%.15g/s", b->min_rate);
    strcpy(out[EARN], b->earn == EARN_ALL ? "all" : "success");
}

/* Returns the first key that differs, and copies both values; NULL: none. */
static const char *
find_difference(const struct budget_rules *a, const struct budget_rules *b,
                char in_a[GROUP_VALUE], char in_b[GROUP_VALUE])
{
    char of_a[SIZE_KEYS][GROUP_VALUE], of_b[SIZE_KEYS][GROUP_VALUE];

    write_values(a, of_a);
    write_values(b, of_b);
    for (size_t i = 0; i < SIZE_KEYS; i++) {
        if ((size_keys[i].kind < 0 || size_keys[i].kind == a->kind) &&
            strcmp(of_a[i], of_b[i]) != 0) {
            memcpy(in_a, of_a[i], GROUP_VALUE);
            memcpy(in_b, of_b[i], GROUP_VALUE);
            return size_keys[i].key;
        }
    }
    return NULL;
}

/* ---- groups ---- */

const struct group_member *
groups_find(const struct groups *g, const char *group)
{
    for (size_t i = 0; i < g->count; i++) {
        if (strcmp(g->first[i].budget.group, group) == 0) {
            return &g->first[i];
        }
    }
    return NULL;
}

int
groups_join(struct groups *g, const struct policy *p,
            struct group_conflict *out)
{
    const struct group_member *m = groups_find(g, p->budget.group);
    struct group_member *added;

    if (!group_has(p)) {
        return 0;
    }
    if (!m) {
        added = array_add(&g->first, &g->count, sizeof(*added));
        if (added) {
            strcpy(added->name, p->name);
            added->budget = p->budget;
        }
        return added ? 0 : BIDE_ENOMEM;
    }
    out->with = m;
    out->key =
        find_difference(&m->budget, &p->budget, out->in_with, out->in_own);
    return out->key ? BIDE_EINPUT : 0;
}

void
groups_free(struct groups *g)
{
    free(g->first);
    memset(g, 0, sizeof(*g));
}

struct fault
group_place(const struct group_conflict *c, const struct policy_text *t,
            const char *file)
{
    const struct key *key = key_find(c->key), *budget = key_find("budget");

    return t ? policy_text_fault(t, file, FAULT_BUDGET_GROUP, key, budget)
             : (struct fault){.file = file,
                              .rule = FAULT_BUDGET_GROUP,
                              .key = key,
                              .other = budget};
}

void
group_fault(struct faults *faults, const struct group_conflict *c,
            const struct policy *p, struct fault here,
            const struct fault *there)
{
    bool other = there->line > 0 && strcmp(here.file, there->file) != 0;
    char line[32] = "";

    if (there->line > 0) {
        snprintf(line, sizeof(line), other ? ":%d" : ", line %d", there->line);
    }
    here.hint = "policies that share a budget must agree on its size";
    fault_add(faults, &here, "%s = %s in %s: budget %s has %s in %s%s%s%s",
              c->key, c->in_own, p->name, p->budget.group, c->in_with,
              c->with->name, other ? ", " : "", other ? there->file : "", line);
}
