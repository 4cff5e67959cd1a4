/* Compiles a policy's text to the form that lib/rule uses. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

enum { WINDOW_CALLS = 4096 }; /* a breaker cannot keep more: rule/guard.h */

/* The state of checking keys against each other. */
struct key_check {
    const struct policy_text *text;
    const struct policy_origin *origins;
    const char *file;
    struct faults *faults;
    int rc;
};

/* Pairs of durations: the first must not be above the second. */
static const struct {
    const char *low, *high;
} ordered[] = {
    {"wait_min", "wait_max"},
    {"wait_min", "throttle_wait_max"},
};

static const struct policy_origin *
find_origin(const struct key_check *c, const char *key)
{
    const struct key *known = key_find(key);

    assert(known);
    return &c->origins[known - policy_keys];
}

/* Returns the line of the first of the two keys that the policy itself sets,
 * else of its section. */
static int
find_line(const struct key_check *c, const char *key, const char *other)
{
    int line = policy_text_line(c->text, key_find(key));

    if (!line) {
        line = policy_text_line(c->text, key_find(other));
    }
    return line ? line : policy_text_line(c->text, NULL);
}

/* Writes " (the default)", " (from base)", or "" for a key of the policy
 * itself. */
static void
write_source(const struct key_check *c, const char *key, char *out, size_t size)
{
    const char *from = find_origin(c, key)->from;

    if (from[0] == '\0') {
        snprintf(out, size, " (the default)");
    } else if (strcmp(from, policy_text_name(c->text)) == 0) {
        out[0] = '\0';
    } else {
        snprintf(out, size, " (from %s)", from);
    }
}

static void
report_above(struct key_check *c, const char *low, const char *high)
{
    char low_source[80], high_source[80];

    write_source(c, low, low_source, sizeof(low_source));
    write_source(c, high, high_source, sizeof(high_source));
    fault_add(c->faults, c->file, find_line(c, low, high), NULL,
              "%s = %s%s: above %s = %s%s", low, find_origin(c, low)->value,
              low_source, high, find_origin(c, high)->value, high_source);
    c->rc = BIDE_EINPUT;
}

static void
check_pair(struct key_check *c, const char *low, const char *high,
           const struct policy *p)
{
    const char *base = (const char *)p;
    uint64_t low_ns, high_ns;

    memcpy(&low_ns, base + key_find(low)->offset, sizeof(low_ns));
    memcpy(&high_ns, base + key_find(high)->offset, sizeof(high_ns));
    if (low_ns > high_ns) {
        report_above(c, low, high);
    }
}

static uint64_t
chain_longest_ns(const struct chain *chain)
{
    uint64_t longest = 0;

    for (uint32_t i = 0; i < chain->count; i++) {
        if (chain->steps[i].wait_ns > longest) {
            longest = chain->steps[i].wait_ns;
        }
    }
    return longest;
}

/* Reports whether a key is not set and takes the value of another key.  Its
 * pair is the pair of that key, and would be reported twice. */
static bool
follows_other_key(const struct key_check *c, const char *key)
{
    return find_origin(c, key)->from[0] == '\0' &&
           strncmp(key_find(key)->preset, "as ", 3) == 0;
}

/* Checks the limits of the shared words of budget and breaker, and refuses a
 * budget that would never allow a retry. */
static void
check_budget_and_breaker(struct key_check *c, const struct policy *p)
{
    if (p->breaker.window.calls > WINDOW_CALLS) {
        fault_add(c->faults, c->file, find_line(c, "breaker_window", "breaker"),
                  NULL, "breaker_window = %u calls: at most %d calls",
                  p->breaker.window.calls, WINDOW_CALLS);
        c->rc = BIDE_EINPUT;
    }
    if (p->budget.threshold >= 1) {
        fault_add(c->faults, c->file,
                  find_line(c, "budget_threshold", "budget"), NULL,
                  "budget_threshold = 100%%: no retry would ever be allowed");
        c->rc = BIDE_EINPUT;
    }
    if (p->budget.kind == BUDGET_TOKENS && p->budget.charge == CHARGE_RETRY &&
        p->budget.cost > p->budget.capacity &&
        p->budget.timeout_cost > p->budget.capacity &&
        p->budget.throttle_cost > p->budget.capacity) {
        char cost[80], capacity[80];

        write_source(c, "budget_cost", cost, sizeof(cost));
        write_source(c, "budget_capacity", capacity, sizeof(capacity));
        fault_add(c->faults, c->file,
                  find_line(c, "budget_cost", "budget_capacity"), NULL,
                  "budget_cost = %s%s: above budget_capacity = %s%s: no retry "
                  "would ever be allowed",
                  find_origin(c, "budget_cost")->value, cost,
                  find_origin(c, "budget_capacity")->value, capacity);
        c->rc = BIDE_EINPUT;
    }
}

/* Checks that no critical limit is below its warning limit. */
static void
check_alarm_limits(struct key_check *c, const struct policy *p)
{
    static const char *const shares[][2] = {
        {"warn_retry_rate", "crit_retry_rate"},
        {"warn_exhausted_rate", "crit_exhausted_rate"},
    };
    const double warn[] = {p->warn.retry_rate, p->warn.exhausted_rate};
    const double crit[] = {p->crit.retry_rate, p->crit.exhausted_rate};

    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        if (warn[i] >= 0 && crit[i] >= 0 && warn[i] > crit[i]) {
            report_above(c, shares[i][0], shares[i][1]);
        }
    }
    if (p->warn.p95_ns != DURATION_NONE && p->warn.p95_ns > p->crit.p95_ns) {
        report_above(c, "warn_p95", "crit_p95");
    }
}

/* ---- warnings ---- */

/* Warns of a limit that cuts a wait which the policy asks for. */
static void
warn_cut(struct key_check *c, const char *limit, const char *wait)
{
    char limit_source[80], wait_source[80];

    write_source(c, limit, limit_source, sizeof(limit_source));
    write_source(c, wait, wait_source, sizeof(wait_source));
    warning_add(c->faults, c->file, find_line(c, limit, wait), NULL,
                "%s = %s%s: shorter than %s = %s%s, which is cut", limit,
                find_origin(c, limit)->value, limit_source, wait,
                find_origin(c, wait)->value, wait_source);
}

static bool
is_set(const struct key_check *c, const char *key)
{
    return find_origin(c, key)->from[0] != '\0';
}

/* Warns of waits that the policy never makes in full.  A maximum that is left
 * out is never below them. */
static void
warn_of_cut_waits(struct key_check *c, const struct policy *p)
{
    const struct wait_rules *w = &p->wait;
    bool chain = w->form == WAIT_CHAIN;
    uint64_t first = chain ? chain_longest_ns(&w->chain) : w->initial_ns;
    uint64_t throttled = chain ? first : w->throttle_initial_ns;
    bool throttle_max = is_set(c, "throttle_wait_max");

    if (p->defer.wait_max_ns < p->defer.wait_ns) {
        warn_cut(c, "defer_wait_max", "defer_wait");
    }
    if (p->defer.wait_ns < DEFER_WAIT_MIN_NS) {
        char source[80];

        write_source(c, "defer_wait", source, sizeof(source));
        warning_add(
            c->faults, c->file, find_line(c, "defer_wait", "defer_wait"), NULL,
            "defer_wait = %s%s: shorter than 1s, the least wait between "
            "two tries",
            find_origin(c, "defer_wait")->value, source);
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

/* Warns of attempts that may outlast the time of a probe: more of them are then
 * let out than breaker_probes says. */
static void
warn_of_long_probes(struct key_check *c, const struct policy *p)
{
    char source[80], probe_source[80];

    if (p->breaker.mode != BREAKER_ON ||
        p->attempt_timeout_ns == DURATION_NONE ||
        p->attempt_timeout_ns <= p->breaker.probe_timeout_ns) {
        return;
    }
    write_source(c, "attempt_timeout", source, sizeof(source));
    write_source(c, "breaker_probe_timeout", probe_source,
                 sizeof(probe_source));
    warning_add(c->faults, c->file,
                find_line(c, "breaker_probe_timeout", "attempt_timeout"), NULL,
                "breaker_probe_timeout = %s%s: shorter than attempt_timeout = "
                "%s%s: more probes than breaker_probes may run at once",
                find_origin(c, "breaker_probe_timeout")->value, probe_source,
                find_origin(c, "attempt_timeout")->value, source);
}

static int
check_key_pairs(struct key_check *c, const struct policy *p)
{
    for (size_t i = 0; i < sizeof(ordered) / sizeof(ordered[0]); i++) {
        if (!follows_other_key(c, ordered[i].high)) {
            check_pair(c, ordered[i].low, ordered[i].high, p);
        }
    }
    if (p->wait.form == WAIT_CHAIN && p->wait.chain.count == 0) {
        char source[80];

        write_source(c, "wait", source, sizeof(source));
        fault_add(c->faults, c->file, find_line(c, "wait", "wait_chain"),
                  "set wait_chain, for example 1s x3, 2s x5, 5s",
                  "wait = chain%s: there is no wait_chain", source);
        c->rc = BIDE_EINPUT;
    }
    check_budget_and_breaker(c, p);
    check_alarm_limits(c, p);
    if (c->rc == 0) {
        warn_of_cut_waits(c, p);
        warn_of_long_probes(c, p);
    }
    return c->rc;
}

static int
load_keys(const struct policy_origin *origins, struct policy *p)
{
    for (size_t i = 0; i < policy_key_count; i++) {
        /* "" is the default of a key that is absent unless it is set. */
        int rc = origins[i].value[0]
                     ? key_load(&policy_keys[i], origins[i].value, p)
                     : 0;

        if (rc != 0) {
            return rc;
        }
    }
    return 0;
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
    rc = load_keys(origins, p);
    if (rc == 0 && find_origin(&c, "budget_refund")->from[0] == '\0') {
        p->budget.refund = -1; /* the price that the retry paid */
    }
    if (rc == 0) {
        rc = check_key_pairs(&c, p);
    }
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
    free(p);
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
    if (rc == 0) {
        rc = policy_compile(t, NULL, NULL, "", out, NULL);
    }
    policy_text_free(t);
    return rc;
}
