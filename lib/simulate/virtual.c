#include "virtual.h"

#include <string.h>

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
    virtual_follow(v, p);
}

void
virtual_follow(struct virtual_guard *v, const struct policy *p)
{
    bool budget = strcmp(p->budget.group, "none") != 0;

    v->guard.budget = budget ? &v->budget : NULL;
    v->guard.budget_rings = budget ? &v->rings : NULL;
    v->guard.txn++;
}
