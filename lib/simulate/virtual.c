#include "virtual.h"

#include <string.h>

#include "rule/budget.h"

static void
read_total(void *arg, struct tally *out)
{
    const struct virtual_guard *v = arg;

    *out = v->total;
    out->retries = atomic_load(&v->budget.retries);
}

static void
add_to_total(void *arg, bool failed, bool slow, bool first)
{
    struct virtual_guard *v = arg;

    v->total.answers++;
    v->total.failed += failed;
    v->total.slow += slow;
    v->total.calls += first;
}

void
virtual_begin(struct virtual_guard *v, const struct policy *p)
{
    memset(v, 0, sizeof(*v));
    v->guard = (struct guard){
        .breaker = &v->breaker,
        .rings = &v->rings,
        .tally = read_total,
        .budget_tally = read_total,
        .count = add_to_total,
        .arg = v,
        .process = 1,
    };
    virtual_follow(v, p, 0);
}

void
virtual_follow(struct virtual_guard *v, const struct policy *p, uint64_t now_ns)
{
    bool has = strcmp(p->budget.group, "none") != 0;

    v->guard.budget = &v->budget;
    v->guard.budget_rings = &v->rings;
    v->guard.txn++;
    if (strcmp(p->budget.group, v->group) != 0) {
        budget_follow(NULL, &v->guard, now_ns); /* another budget */
        strcpy(v->group, p->budget.group);
    }
    budget_follow(has ? &p->budget : NULL, &v->guard, now_ns);
    if (!has) {
        v->guard.budget = NULL;
        v->guard.budget_rings = NULL;
    }
}
