#include "virtual.h"

#include <string.h>

#include "rule/breaker.h"
#include "rule/budget.h"

static void
read_breaker_total(void *arg, struct tally *out)
{
    *out = ((const struct virtual_guard *)arg)->breaker_total;
}

static void
read_budget_total(void *arg, struct tally *out)
{
    *out = ((const struct virtual_guard *)arg)->budget_total;
}

static void
add_to_totals(void *arg, uint32_t how)
{
    struct virtual_guard *v = arg;

    if (!(how & ENDED_IGNORED)) {
        v->breaker_total.answers++;
        v->breaker_total.failed += (how & ENDED_FAILED) != 0;
        v->breaker_total.slow += (how & ENDED_SLOW) != 0;
    }
    v->budget_total.calls += !(how & ENDED_AGAIN);
    v->budget_total.earned += !(how & (ENDED_FAILED | ENDED_REJECTED));
}

void
virtual_begin(struct virtual_guard *v, const struct policy *p)
{
    memset(v, 0, sizeof(*v));
    v->guard = (struct guard){
        .breaker = &v->breaker,
        .rings = &v->rings,
        .tally = read_breaker_total,
        .budget_tally = read_budget_total,
        .count = add_to_totals,
        .arg = v,
        .self.id = 1,
    };
    virtual_follow(v, p, 0);
}

void
virtual_follow(struct virtual_guard *v, const struct policy *p, uint64_t now_ns)
{
    bool has = strcmp(p->budget.group, "none") != 0;

    v->guard.budget = &v->budget;
    v->guard.budget_rings = &v->rings;
    v->guard.rate = strcmp(p->rate.group, "none") ? &v->limits.rate : NULL;
    v->guard.hint = p->hint.holds == HINT_HOLDS_ALL ? &v->limits.hint : NULL;
    v->guard.txn++;
    breaker_follow(&p->breaker, &v->guard, now_ns);
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
