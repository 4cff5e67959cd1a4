#include "group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include "base/array.h"

/* The keys on which the members of a group must agree. */
static const struct {
    const char *key;
    int budget; /* enum budget_kind for which it counts, or -1: all */
} size_keys[GROUP_KINDS][GROUP_SIZE_KEYS] = {
    [GROUP_BUDGET] = {{"budget_kind", -1},
                      {"budget_capacity", BUDGET_TOKENS},
                      {"budget_refill", BUDGET_TOKENS},
                      {"budget_window", BUDGET_RATIO},
                      {"budget_ratio", BUDGET_RATIO},
                      {"budget_min_rate", BUDGET_RATIO},
                      {"budget_earn", BUDGET_RATIO},
                      {"budget_reserve", -1}},
    [GROUP_LIMIT] = {{"limit_places", -1}, {"limit_reserve", -1}},
    [GROUP_RATE] = {{"rate_limit", -1},
                    {"rate_burst", -1},
                    {"rate_reserve", -1},
                    {"rate_adapt", -1},
                    {"rate_min", -1}},
};

const char *
group_word(enum group_kind kind)
{
    static const char *const words[] = {
        [GROUP_BUDGET] = "budget",
        [GROUP_LIMIT] = "limit",
        [GROUP_RATE] = "rate",
    };

    return words[kind];
}

const char *
group_of(const struct policy *p, enum group_kind kind)
{
    const char *group = kind == GROUP_BUDGET  ? p->budget.group
                        : kind == GROUP_LIMIT ? p->limit.group
                                              : p->rate.group;

    return strcmp(group, "none") && strcmp(group, "own") ? group : NULL;
}

bool
group_has(const struct policy *p)
{
    return group_of(p, GROUP_BUDGET) || group_of(p, GROUP_LIMIT) ||
           group_of(p, GROUP_RATE);
}

/* ---- groups ---- */

/* Makes `out` the member that `p` is.  Its values are canonical text, in which
 * a comparison is exact. */
static void
describe_member(const struct policy *p, enum group_kind kind,
                struct group_member *out)
{
    const char *value;
    size_t length;

    memset(out, 0, sizeof(*out));
    strcpy(out->name, p->name);
    strcpy(out->group, group_of(p, kind));
    out->kind = kind;
    for (size_t i = 0; i < GROUP_SIZE_KEYS && size_keys[kind][i].key; i++) {
        if (size_keys[kind][i].budget < 0 ||
            size_keys[kind][i].budget == p->budget.kind) {
            value = policy_value(p, key_find(size_keys[kind][i].key), &length);
            snprintf(out->value[i], GROUP_VALUE, "%.*s", (int)length, value);
        }
    }
}

const struct group_member *
groups_find(const struct groups *g, enum group_kind kind, const char *group)
{
    for (size_t i = 0; i < g->count; i++) {
        if (g->first[i].kind == kind && strcmp(g->first[i].group, group) == 0) {
            return &g->first[i];
        }
    }
    return NULL;
}

static int
join_kind(struct groups *g, const struct policy *p, enum group_kind kind,
          struct group_conflict *out)
{
    const struct group_member *m = groups_find(g, kind, group_of(p, kind));
    struct group_member own, *added;

    describe_member(p, kind, &own);
    if (!m) {
        added = array_add(&g->first, &g->count, sizeof(*added));
        if (added) {
            *added = own;
        }
        return added ? 0 : BIDE_ENOMEM;
    }
    for (size_t i = 0; i < GROUP_SIZE_KEYS && size_keys[kind][i].key; i++) {
        if (strcmp(m->value[i], own.value[i]) != 0) {
            out->with = m;
            out->key = size_keys[kind][i].key;
            strcpy(out->in_own, own.value[i]);
            strcpy(out->in_with, m->value[i]);
            return BIDE_EINPUT;
        }
    }
    return 0;
}

int
groups_join(struct groups *g, const struct policy *p,
            struct group_conflict *out)
{
    int rc = 0;

    for (enum group_kind kind = 0; kind < GROUP_KINDS && rc == 0; kind++) {
        rc = group_of(p, kind) ? join_kind(g, p, kind, out) : 0;
    }
    return rc;
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
    const struct key *key = key_find(c->key);
    const struct key *shared = key_find(group_word(c->with->kind));

    return t ? policy_text_fault(t, file, FAULT_GROUP, key, shared)
             : (struct fault){.file = file,
                              .rule = FAULT_GROUP,
                              .key = key,
                              .other = shared};
}

void
group_fault(struct faults *faults, const struct group_conflict *c,
            const struct policy *p, struct fault here,
            const struct fault *there)
{
    static const char *const hints[] = {
        [GROUP_BUDGET] = "policies that share a budget must agree on its size",
        [GROUP_LIMIT] = "policies that share a limit must agree on its size",
        [GROUP_RATE] = "policies that share a rate must agree on its size",
    };
    bool other = there->line > 0 && strcmp(here.file, there->file) != 0;
    char line[32] = "";

    if (there->line > 0) {
        snprintf(line, sizeof(line), other ? ":%d" : ", line %d", there->line);
    }
    here.hint = hints[c->with->kind];
    fault_add(faults, &here, "%s = %s in %s: %s %s has %s in %s%s%s%s", c->key,
              c->in_own, p->name, group_word(c->with->kind), c->with->group,
              c->in_with, c->with->name, other ? ", " : "",
              other ? there->file : "", line);
}
