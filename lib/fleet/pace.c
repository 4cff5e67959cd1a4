#include "pace.h"

#include <string.h>

#include "policy/policy.h"
#include "rule/budget.h"
#include "rule/wait.h"

static const char rules[] = "[agent]\n"
                            "attempts = unlimited\n"
                            "wait_initial = 200ms\n"
                            "wait_max = 30s\n"
                            "wait_jitter = full\n"
                            "budget = own\n"
                            "budget_capacity = 100\n"
                            "budget_refill = 0.5/s\n";

int
pace_begin(struct pace *p)
{
    struct policy_list list = {0};
    int rc = policy_read("agent", rules, strlen(rules), &list, NULL);

    *p = (struct pace){0};
    rc = rc ? rc
            : policy_compile(list.list[0], policy_list_find, &list, "agent",
                             &p->policy, NULL);
    policy_list_free(&list);
    return rc;
}

void
pace_end(struct pace *p)
{
    policy_free(p->policy);
    p->policy = NULL;
}

void
pace_start(struct pace *p, uint64_t now_ns)
{
    p->began_ns = now_ns;
}

uint64_t
pace_wait_ns(struct pace *p, uint64_t now_ns, double u)
{
    const struct policy *rule = p->policy;
    struct guard g = {.budget = &p->words, .txn = 1};
    uint64_t longest = rule->wait.max_ns;
    struct budget_paid paid;

    p->failures = now_ns - p->began_ns > longest ? 1 : p->failures + 1;
    budget_follow(&rule->budget, &g, now_ns);
    return budget_take(&rule->budget, MANDATORY, &g, PRICE_USUAL, now_ns, &paid)
               ? wait_own_ns(&rule->wait, p->failures, 0, false, u)
               : longest / 2 + (uint64_t)(u * (double)longest / 2);
}
