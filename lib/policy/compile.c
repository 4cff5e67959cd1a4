/* Compiles a policy's text to the form that lib/rule uses. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/draft.h"
#include "text.h"

enum {
    WINDOW_CALLS = 4096, /* a breaker cannot keep more: rule/guard.h */
    /* Size of "wait_chain = 1s x3, 5s (from base)". */
    DESCRIBED = CHAIN_MAX * 48 + BIDE_NAME_MAX + 64,
};

/* The state of checking keys against each other. */
struct key_check {
    const struct policy_text *text;
    const struct policy_origin *origins;
    const char *file;
    struct faults *faults;
    int rc;
};

static const struct policy_origin *
find_origin(const struct key_check *c, const char *key)
{
    const struct key *known = key_find(key);

    assert(known);
    return &c->origins[known - policy_keys];
}

static struct fault
fault_about(const struct key_check *c, const char *key, const char *other)
{
    return policy_text_fault(c->text, c->file, FAULT_CONFLICT, key_find(key),
                             key_find(other));
}

static bool
is_set(const struct key_check *c, const char *key)
{
    return find_origin(c, key)->from[0] != '\0';
}

/* Writes "wait_max = 5s", for a key that is not the policy's own also its
 * source: " (the default)", " (from base)". */
static const char *
describe_key(const struct key_check *c, const char *key, char out[DESCRIBED])
{
    const struct policy_origin *o = find_origin(c, key);
    char source[BIDE_NAME_MAX + 16] = "";

    if (!is_set(c, key)) {
        strcpy(source, " (the default)");
    } else if (strcmp(o->from, policy_text_name(c->text)) != 0) {
        snprintf(source, sizeof(source), " (from %s)", o->from);
    }
    snprintf(out, DESCRIBED, "%s = %s%s", key, o->value, source);
    return out;
}

/* Warns that `key` is RELATION `other`, or refuses that. */
static void
report_pair(struct key_check *c, bool warning, const char *key,
            const char *relation, const char *other, const char *effect)
{
    char text[DESCRIBED], other_text[DESCRIBED];
    struct fault f = fault_about(c, key, other);

    f.warning = warning;
    fault_add(c->faults, &f, "%s: %s %s%s", describe_key(c, key, text),
              relation, describe_key(c, other, other_text), effect);
    c->rc = warning ? c->rc : BIDE_EINPUT;
}

static void
refuse_above(struct key_check *c, const char *key, const char *other,
             const char *effect)
{
    report_pair(c, false, key, "above", other, effect);
}

/* Checks the limits of the shared words of budget and breaker, and refuses a
 * budget that would never allow a retry. */
static void
check_budget_and_breaker(struct key_check *c, const struct policy *p)
{
    if (p->breaker.window.calls > WINDOW_CALLS) {
        struct fault f = fault_about(c, "breaker_window", "breaker");

        f.rule = FAULT_VALUE;
        fault_add(c->faults, &f, "breaker_window = %u calls: at most %d calls",
                  p->breaker.window.calls, WINDOW_CALLS);
        c->rc = BIDE_EINPUT;
    }
    if (p->budget.threshold >= 1) {
        struct fault f = fault_about(c, "budget_threshold", "budget");

        fault_add(c->faults, &f,
                  "budget_threshold = 100%%: no retry would ever be allowed");
        c->rc = BIDE_EINPUT;
    }
    if (p->budget.kind == BUDGET_TOKENS && p->budget.charge == CHARGE_RETRY &&
        p->budget.cost > p->budget.capacity &&
        p->budget.timeout_cost > p->budget.capacity &&
        p->budget.throttle_cost > p->budget.capacity) {
        refuse_above(c, "budget_cost", "budget_capacity",
                     ": no retry would ever be allowed");
    }
}

/* Refuses a reserve that leaves nothing for the policy, and a rate of 0. */
static void
check_limit_and_rate(struct key_check *c, const struct policy *p)
{
    static const struct {
        const char *key, *of;
    } reserves[] = {{"budget_reserve", "budget"},
                    {"limit_reserve", "limit"},
                    {"rate_reserve", "rate"}};
    const double reserve[] = {p->budget.reserve, p->limit.reserve,
                              p->rate.reserve};

    for (size_t i = 0; i < 3; i++) {
        if (reserve[i] >= 1 && p->importance != MANDATORY) {
            struct fault f = fault_about(c, reserves[i].key, "importance");

            fault_add(c->faults, &f,
                      "%s = 100%%: nothing would be left for a policy that is "
                      "not mandatory",
                      reserves[i].key);
            c->rc = BIDE_EINPUT;
        }
    }
    if (p->rate.per_s <= 0) {
        struct fault f = fault_about(c, "rate_limit", "rate");

        f.hint = "paused = yes refuses all calls";
        fault_add(c->faults, &f, "rate_limit: no attempt would ever start");
        c->rc = BIDE_EINPUT;
    }
    if (p->rate.adapt != ADAPT_NONE && p->rate.min_per_s > p->rate.per_s) {
        refuse_above(c, "rate_min", "rate_limit", "");
    }
}

/* Checks that no critical limit is below its warning limit. */
static void
check_alarm_limits(struct key_check *c, const struct policy *p)
{
    const struct alarm_rules *warn = &p->warn, *crit = &p->crit;

    if (crit->retry_rate >= 0 && warn->retry_rate > crit->retry_rate) {
        refuse_above(c, "warn_retry_rate", "crit_retry_rate", "");
    }
    if (crit->failed_rate >= 0 && warn->failed_rate > crit->failed_rate) {
        refuse_above(c, "warn_failed_rate", "crit_failed_rate", "");
    }
    if (warn->p95_ns != DURATION_NONE && warn->p95_ns > crit->p95_ns) {
        refuse_above(c, "warn_p95", "crit_p95", "");
    }
    if (warn->breaker_ns != DURATION_NONE &&
        warn->breaker_ns > crit->breaker_ns) {
        refuse_above(c, "warn_breaker", "crit_breaker", "");
    }
}

/* ---- warnings ---- */

/* Warns of a limit that cuts a wait which the policy asks for. */
static void
warn_cut(struct key_check *c, const char *limit, const char *wait)
{
    report_pair(c, true, limit, "shorter than", wait, ", which is cut");
}

/* Warns of a wait for a place, a turn or a breaker that the deadline ends. */
static void
warn_of_long_waits(struct key_check *c, const struct policy *p)
{
    static const char *const keys[] = {"limit_wait", "rate_wait",
                                       "breaker_wait", "useful_time"};
    const uint64_t waits[] = {p->limit.wait_ns, p->rate.wait_ns,
                              p->breaker.wait_ns, p->useful_ns};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (p->deadline_ns != DURATION_NONE && waits[i] >= p->deadline_ns) {
            report_pair(c, true, keys[i], "not shorter than", "deadline", "");
        }
    }
}

/* Warns of waits that the policy never makes in full.  A maximum that is left
 * out is never below them. */
static void
warn_of_cut_waits(struct key_check *c, const struct policy *p)
{
    const struct wait_rules *w = &p->wait;
    bool chain = w->form == WAIT_CHAIN;
    uint64_t first =
        chain ? policy_longest_ns(find_origin(c, "wait_chain")->value)
              : w->initial_ns;
    uint64_t throttled = chain ? first : w->throttle_initial_ns;
    bool throttle_max = is_set(c, "throttle_wait_max");

    if (p->defer.wait_max_ns < p->defer.wait_ns) {
        warn_cut(c, "defer_wait_max", "defer_wait");
    }
    if (p->defer.wait_ns < DEFER_WAIT_MIN_NS) {
        struct fault f = fault_about(c, "defer_wait", "defer_wait_max");
        char text[DESCRIBED];

        f.rule = FAULT_VALUE;
        f.warning = true;
        fault_add(c->faults, &f,
                  "%s: shorter than 1s, the least wait between two tries",
                  describe_key(c, "defer_wait", text));
    }
    if (w->form == WAIT_NONE) {
        return;
    }
    if (w->max_ns < first) {
        warn_cut(c, "wait_max", chain ? "wait_chain" : "wait_initial");
    }
    if (w->throttle_max_ns < throttled &&
        (throttle_max || (!chain && is_set(c, "throttle_wait_initial")))) {
        warn_cut(c, throttle_max ? "throttle_wait_max" : "wait_max",
                 chain ? "wait_chain" : "throttle_wait_initial");
    }
}

static int
check_key_pairs(struct key_check *c, const struct policy *p)
{
    char text[DESCRIBED];

    if (p->wait.min_ns > p->wait.max_ns) {
        refuse_above(c, "wait_min", "wait_max", "");
    }
    /* If not set, it is wait_max: not reported twice. */
    if (p->wait.min_ns > p->wait.throttle_max_ns &&
        is_set(c, "throttle_wait_max")) {
        refuse_above(c, "wait_min", "throttle_wait_max", "");
    }
    if (p->wait.form == WAIT_CHAIN && p->wait.chain.count == 0) {
        struct fault f = fault_about(c, "wait", "wait_chain");

        f.hint = "set wait_chain, for example 1s x3, 2s x5, 5s";
        fault_add(c->faults, &f, "%s: there is no wait_chain",
                  describe_key(c, "wait", text));
        c->rc = BIDE_EINPUT;
    }
    check_budget_and_breaker(c, p);
    check_limit_and_rate(c, p);
    check_alarm_limits(c, p);
    if (c->rc == 0) {
        warn_of_cut_waits(c, p);
        warn_of_long_waits(c, p);
        if (policy_hedges(p)) {
            struct fault f = fault_about(c, "hedge_after", "attempts");

            f.warning = true;
            fault_add(c->faults, &f,
                      "%s: attempts run at the same time, so each must be safe "
                      "to repeat",
                      describe_key(c, "hedge_after", text));
        }
        /* More probes are let out for attempts that outlast their time. */
        if (p->breaker.mode == BREAKER_ON &&
            p->attempt_timeout_ns != DURATION_NONE &&
            p->attempt_timeout_ns > p->breaker.probe_timeout_ns) {
            report_pair(c, true, "breaker_probe_timeout", "shorter than",
                        "attempt_timeout",
                        ": more probes than breaker_probes may run at once");
        }
    }
    return c->rc;
}

/* ---- the values as text ---- */

/* Keeps the values that are not the preset of their key: "\nKEY=VALUE...".
 * A value has no line break. */
static int
keep_values(struct policy *p, const struct policy_origin *origins)
{
    struct draft d = {0};

    for (size_t i = 0; i < policy_key_count; i++) {
        if (strcmp(origins[i].value, policy_keys[i].preset) != 0) {
            draft_print(&d, "\n%s=%s", policy_keys[i].name, origins[i].value);
        }
    }
    p->values = draft_take(&d);
    return p->values ? 0 : BIDE_ENOMEM;
}

const char *
policy_value(const struct policy *p, const struct key *key, size_t *out_length)
{
    const char *value, *found;
    char name[64];

    snprintf(name, sizeof(name), "\n%s=", key->name);
    found = p->values ? strstr(p->values, name) : NULL;
    value = found ? found + strlen(name) : key->preset;
    *out_length = strcspn(value, "\n");
    return value;
}

int
policy_compile(const struct policy_text *t, policy_find_fn *find, void *arg,
               const char *file, struct policy **out, struct faults *faults)
{
    struct policy_origin origins[POLICY_KEY_MAX];
    struct key_check c = {t, origins, file, faults, 0};
    struct policy *p;
    int rc;

    rc = policy_resolve(t, find, arg, file, origins, faults);
    if (rc != 0) {
        return rc;
    }
    p = calloc(1, sizeof(*p));
    if (!p) {
        return BIDE_ENOMEM;
    }
    strcpy(p->name, policy_text_name(t));
    for (size_t i = 0; i < policy_key_count && rc == 0; i++) {
        /* "" is the default of a key that is absent unless it is set. */
        if (origins[i].value[0]) {
            rc = key_load(&policy_keys[i], origins[i].value, p);
        }
    }
    if (rc == 0 && !is_set(&c, "budget_refund")) {
        p->budget.refund = -1; /* the price that the retry paid */
    }
    rc = rc ? rc : check_key_pairs(&c, p);
    rc = rc ? rc : keep_values(p, origins);
    if (rc != 0) {
        policy_free(p);
        return rc;
    }
    *out = p;
    return 0;
}

void
policy_free(struct policy *p)
{
    if (!p) {
        return;
    }
    free(p->wait.chain.steps);
    outcome_set_free(&p->retry_on);
    outcome_set_free(&p->never_on);
    outcome_set_free(&p->success_on);
    outcome_set_free(&p->throttle_on);
    outcome_set_free(&p->breaker.ignore);
    free(p->values);
    free(p);
}

/* Replaces a pointer by a copy of what it points to.  Returns false, and sets
 * it to NULL, without memory. */
static bool
own_pointed(void *field, size_t size)
{
    void *from, *copy;

    memcpy(&from, field, sizeof(from));
    copy = from ? malloc(size) : NULL;
    if (copy) {
        memcpy(copy, from, size);
    }
    memcpy(field, &copy, sizeof(copy));
    return copy || !from;
}

static bool
own_outcomes(struct outcome_set *set)
{
    return own_pointed(&set->ranges, set->count * sizeof(*set->ranges));
}

struct policy *
policy_copy(const struct policy *p, const char *name)
{
    struct policy *copy = malloc(sizeof(*copy));
    bool whole;

    if (!copy) {
        return NULL;
    }
    *copy = *p;
    snprintf(copy->name, sizeof(copy->name), "%s", name);
    whole = own_pointed(&copy->wait.chain.steps,
                        p->wait.chain.count * sizeof(*p->wait.chain.steps));
    whole &= own_outcomes(&copy->retry_on);
    whole &= own_outcomes(&copy->never_on);
    whole &= own_outcomes(&copy->success_on);
    whole &= own_outcomes(&copy->throttle_on);
    whole &= own_outcomes(&copy->breaker.ignore);
    whole &= own_pointed(&copy->values, strlen(p->values) + 1);
    if (!whole) {
        policy_free(copy);
        copy = NULL;
    }
    return copy;
}

int
policy_builtin(const char *name, struct policy **out)
{
    struct policy_text *t;
    int rc;

    if (!policy_name_ok(name)) {
        return BIDE_ENAME;
    }
    t = policy_text_new(name);
    if (!t) {
        return BIDE_ENOMEM;
    }
    rc = policy_text_set(t, "attempts", "1", "", 0, NULL);
    rc = rc ? rc : policy_compile(t, NULL, NULL, "", out, NULL);
    policy_text_free(t);
    return rc;
}
