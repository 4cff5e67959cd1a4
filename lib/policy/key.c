#include "key.h"

#include <string.h>

#include "base/near.h"
#include "rules.h"

#define AT(field) offsetof(struct policy, field)
#define NO_FIELD UINT16_MAX /* the key is in the text only */
#define NS DURATION_MAX
#define MILLION 1000000
#define TOKENS_MAX 200000 /* the most that the word of a budget holds */

/* Columns: name, type, default; words; lowest, highest, word for no limit;
 * field; help. */
#define ROW(name, type, preset, words, low, high, open, field, help) \
    {                                                                \
        name, type, preset, words, low, high, open, field, help      \
    }
#define TEXT(name, type, preset, help) \
    ROW(name, type, preset, NULL, 0, 0, NULL, NO_FIELD, help)
#define CHOICE(name, preset, words, field, help) \
    ROW(name, KEY_CHOICE, preset, words, 0, 0, NULL, AT(field), help)
#define COUNT(name, preset, low, high, open, field, help) \
    ROW(name, KEY_COUNT, preset, NULL, low, high, open, AT(field), help)
#define NUMBER(name, preset, low, high, field, help) \
    ROW(name, KEY_NUMBER, preset, NULL, low, high, NULL, AT(field), help)
#define TIME(name, preset, low, open, field, help) \
    ROW(name, KEY_DURATION, preset, NULL, low, NS, open, AT(field), help)
#define SHARE(name, preset, open, field, help) \
    ROW(name, KEY_SHARE, preset, NULL, 0, 100, open, AT(field), help)
#define TOKENS(name, preset, field, help) \
    OTHER(name, KEY_TOKENS, preset, TOKENS_MAX, field, help)
#define WINDOW(name, preset, field, help) \
    ROW(name, KEY_WINDOW, preset, NULL, MILLION, NS, NULL, AT(field), help)
#define OTHER(name, type, preset, high, field, help) \
    ROW(name, type, preset, NULL, 0, high, NULL, AT(field), help)

/* clang-format off */
const struct key policy_keys[] = {
    TEXT("description", KEY_TEXT, "", "one line of text for people"),
    TEXT("extends", KEY_NAME, "",
         "another policy: its keys hold unless set here"),
    CHOICE("importance", "mandatory", "mandatory postponable optional",
           importance,
           "a failed call is aborted, deferred or dropped"),
    OTHER("paused", KEY_SWITCH, "no", 0, paused,
          "yes: refuse new calls"),

    COUNT("attempts", "3", 1, MILLION, "unlimited", attempts,
          "maximum number of attempts, including the first"),
    TIME("max_elapsed", "none", 0, "none", max_elapsed_ns,
         "no retry after this time since the call began"),
    TIME("deadline", "none", 0, "none", deadline_ns,
         "time limit of the whole call: waits and attempts"),
    TIME("attempt_timeout", "none", MILLION, "none", attempt_timeout_ns,
         "time limit of one attempt"),
    TIME("reset_after", "none", MILLION, "none", reset_after_ns,
         "an attempt this long restarts attempts, waits and max_elapsed"),
    TIME("useful_time", "0", 0, NULL, useful_ns,
         "no attempt starts with less time than this to the deadline"),

    CHOICE("wait", "exponential",
           "none fixed linear polynomial exponential decorrelated chain",
           wait.form, "how the wait grows with each retry"),
    TIME("wait_initial", "100ms", 0, NULL, wait.initial_ns,
         "the first wait"),
    TIME("wait_min", "0", 0, NULL, wait.min_ns,
         "minimum of every wait, including jitter"),
    TIME("wait_max", "10s, or longer", 0, NULL, wait.max_ns,
         "maximum of every wait; if left out, at least the first waits"),
    CHOICE("wait_max_holds", "result", "result base", wait.max_holds,
           "limit of wait_max: the result, or the base of the jitter"),
    NUMBER("wait_factor", "2", 1, 1000, wait.factor,
           "exponential: factor per retry (decorrelated: 3)"),
    TIME("wait_increment", "0", 0, NULL, wait.increment_ns,
         "linear and polynomial: increment per retry"),
    NUMBER("wait_power", "1", 0, 16, wait.power,
           "polynomial: initial + increment x n^power"),
    OTHER("wait_chain", KEY_CHAIN, "", 0, wait.chain,
          "chain: list of waits, 1s x3, 2s x5, 5s; the last repeats"),
    OTHER("wait_jitter", KEY_JITTER, "full", 0, wait.jitter,
          "randomisation of each wait: none, full, equal, 20% or +1s"),
    COUNT("free_retries", "0", 0, 1000, NULL, wait.free_retries,
          "number of first retries without a wait"),

    CHOICE("retry_after", "honor", "honor clamp cap ignore", hint.mode,
           "how to use the wait that a server asks for"),
    CHOICE("retry_after_growth", "counts", "counts skips resets", hint.growth,
           "growth of later waits when a retry follows such a wait"),
    TIME("retry_after_max", "1m", 0, "none", hint.max_ns,
         "maximum wait that a server may ask for"),
    TIME("retry_after_spread", "0", 0, NULL, hint.spread_ns,
         "maximum random time added to the server's wait"),
    CHOICE("retry_after_holds", "call", "call all", hint.holds,
           "the server's wait holds this call, or all of policy and scope"),

    OTHER("retry_on", KEY_OUTCOMES, "transient", 0, retry_on,
          "outcomes that are retried"),
    OTHER("never_on", KEY_OUTCOMES, "none", 0, never_on,
          "outcomes that are never retried; overrides retry_on"),
    OTHER("success_on", KEY_OUTCOMES, "none", 0, success_on,
          "outcomes that count as success"),
    OTHER("throttle_on", KEY_OUTCOMES, "throttle", 0, throttle_on,
          "outcomes that mean too many requests; own waits and cost"),
    TIME("throttle_wait_initial", "as wait_initial", 0, NULL,
         wait.throttle_initial_ns, "the first wait after a throttle outcome"),
    TIME("throttle_wait_max", "as wait_max", 0, NULL,
         wait.throttle_max_ns, "the longest wait after a throttle outcome"),

    OTHER("budget", KEY_GROUP, "none", 0, budget.group,
          "none, own, or the name of a group that shares a budget"),
    CHOICE("budget_kind", "tokens", "tokens ratio", budget.kind,
           "token bucket, or retries as a share of calls"),
    TOKENS("budget_capacity", "500", budget.capacity,
           "tokens in a full bucket"),
    TOKENS("budget_cost", "5", budget.cost, "tokens that a retry costs"),
    TOKENS("budget_timeout_cost", "as budget_cost", budget.timeout_cost,
           "cost of a retry after a timeout"),
    TOKENS("budget_throttle_cost", "as budget_cost", budget.throttle_cost,
           "cost of a retry after a throttle"),
    CHOICE("budget_charge", "retry", "retry failure", budget.charge,
           "what costs tokens: each retry, or each failed attempt"),
    TOKENS("budget_deposit", "1", budget.deposit,
           "tokens returned by a success at the first attempt"),
    TOKENS("budget_refund", "as budget_cost", budget.refund,
           "tokens returned by a retry that succeeds"),
    OTHER("budget_refill", KEY_REFILL, "0/s", MILLION,
          budget.refill_per_s, "tokens added per second"),
    SHARE("budget_threshold", "0%", NULL, budget.threshold,
          "no retry unless more than this share of the bucket is left"),
    SHARE("budget_reserve", "0%", NULL, budget.reserve,
          "share of the bucket that only mandatory policies may spend"),
    OTHER("budget_ratio", KEY_SHARE, "20%", 100000, budget.ratio,
          "ratio: retries that each call in the window earns"),
    CHOICE("budget_earn", "all", "all success", budget.earn,
           "ratio: calls that earn retries: all, or those that succeed"),
    OTHER("budget_min_rate", KEY_RATE, "10/s", MILLION,
          budget.min_rate, "ratio: retries per second that are always allowed"),
    TIME("budget_window", "10s", MILLION, NULL, budget.window_ns,
         "ratio: length of the window"),

    CHOICE("breaker", "off", "off on open closed", breaker.mode,
           "refuse calls while too many fail; open, closed: forced"),
    SHARE("breaker_failure_rate", "50%", NULL, breaker.failure_rate,
          "opens when this share of the attempts fails"),
    COUNT("breaker_consecutive", "none", 1, MILLION, "none",
          breaker.consecutive, "opens after this many consecutive failures"),
    TIME("breaker_slow_after", "none", 1, "none",
         breaker.slow_after_ns, "an attempt that takes longer is slow"),
    SHARE("breaker_slow_rate", "100%", NULL, breaker.slow_rate,
          "opens when this share of the attempts is slow"),
    CHOICE("breaker_judge", "always", "always failure", breaker.judge,
           "failure: closed, it opens only when an attempt fails"),
    OTHER("breaker_ignore", KEY_OUTCOMES, "none", 0, breaker.ignore,
          "outcomes that the breaker does not count"),
    WINDOW("breaker_window", "10s", breaker.window,
           "length of the window: a time, or 100 calls"),
    COUNT("breaker_min_calls", "20", 1, MILLION, NULL,
          breaker.min_calls,
          "calls needed in the window before a rate is judged"),
    COUNT("breaker_min_processes", "1", 1, 16, NULL,
          breaker.min_processes,
          "failures must come from at least this many processes"),
    TIME("breaker_open_for", "30s", MILLION, NULL,
         breaker.open_for_ns,
         "time that it stays open before the first probes"),
    NUMBER("breaker_open_factor", "1", 1, 1000, breaker.open_factor,
           "factor on breaker_open_for each time probes fail"),
    TIME("breaker_open_max", "5m, or longer", MILLION, NULL,
         breaker.open_max_ns,
         "maximum time that it stays open; at least breaker_open_for"),
    COUNT("breaker_probes", "3", 1, 32, NULL, breaker.probes,
          "half open: number of calls allowed as probes"),
    COUNT("breaker_probe_failures", "none", 1, 32, "none",
          breaker.probe_failures,
          "half open: opens at this many failed probes, not by the rate"),
    TIME("breaker_probe_timeout", "10s", MILLION, NULL,
         breaker.probe_timeout_ns,
         "a probe without a result by then allows another one"),
    TIME("breaker_wait", "0", 0, NULL, breaker.wait_ns,
         "how long a call may wait for an open breaker; 0: refused"),
    TIME("breaker_ramp", "0", 0, NULL, breaker.ramp_ns,
         "time after closing until all calls are let out again"),

    OTHER("limit", KEY_GROUP, "none", 0, limit.group,
          "none, own, or a group: limits attempts that run at once"),
    COUNT("limit_places", "10", 1, LIMIT_PLACES_MAX, NULL, limit.places,
          "number of attempts that may run at once, on the whole host"),
    TIME("limit_wait", "0", 0, NULL, limit.wait_ns,
         "how long an attempt may wait for a place; 0: refused"),
    SHARE("limit_reserve", "0%", NULL, limit.reserve,
          "share of the places that only mandatory policies may take"),

    OTHER("rate", KEY_GROUP, "none", 0, rate.group,
          "none, own, or a group: limits attempts per second"),
    OTHER("rate_limit", KEY_RATE, "100/s", MILLION, rate.per_s,
          "attempts per s, m or h, on the whole host"),
    COUNT("rate_burst", "1", 1, MILLION, NULL, rate.burst,
          "number of attempts that may start together"),
    TIME("rate_wait", "0", 0, NULL, rate.wait_ns,
         "how long an attempt may wait for its turn; 0: refused"),
    SHARE("rate_reserve", "0%", NULL, rate.reserve,
          "share of the rate that only mandatory policies may use"),
    CHOICE("rate_adapt", "none", "none aws cubic", rate.adapt,
           "throttle outcomes lower the rate, successes raise it"),
    OTHER("rate_min", KEY_RATE, "0.5/s", MILLION, rate.min_per_s,
          "the lowest rate that rate_adapt chooses"),

    ROW("hedge_after", KEY_HEDGE, "none", NULL, MILLION, NS, "none", AT(hedge),
        "when to start a second attempt: a time, or a percentile: p95"),
    COUNT("hedge_max", "1", 1, HEDGES_MAX, NULL, hedge_max,
          "number of further attempts at the same time"),

    TIME("defer_wait", "1m", MILLION, NULL, defer.wait_ns,
         "deferred work: the first wait; no wait is shorter than 1s"),
    TIME("defer_wait_max", "1h, or longer", MILLION, NULL, defer.wait_max_ns,
         "deferred work: longest wait; if left out, at least defer_wait"),
    OTHER("defer_jitter", KEY_JITTER, "20%", 0, defer.jitter,
          "deferred work: randomisation of each wait, as wait_jitter"),
    TIME("defer_expire", "7d", MILLION, "none", defer.expire_ns,
         "deferred work expires after this time"),
    COUNT("defer_attempts", "unlimited", 1, MILLION, "unlimited",
          defer.attempts, "deferred work is dead after this many attempts"),
    COUNT("defer_max", "100000", 1, 100000000, NULL, defer.max,
          "deferred work: maximum number of pieces per policy"),
    TIME("defer_lease", "5m", MILLION, NULL, defer.lease_ns,
         "length of a lease; then the work can be taken again"),

    SHARE("warn_retry_rate", "none", "none", warn.retry_rate,
          "warning above this share of retries among attempts"),
    SHARE("warn_failed_rate", "none", "none", warn.failed_rate,
          "warning above this share of failed calls: exhausted or refused"),
    TIME("warn_p95", "none", 1, "none", warn.p95_ns,
         "warning when the 95th percentile of attempts is longer"),
    TIME("warn_breaker", "0", 0, "none", warn.breaker_ns,
         "warning when a breaker has not been closed for this time"),
    SHARE("crit_retry_rate", "none", "none", crit.retry_rate,
          "critical above this share of retries among attempts"),
    SHARE("crit_failed_rate", "none", "none", crit.failed_rate,
          "critical above this share of failed calls: exhausted or refused"),
    TIME("crit_p95", "none", 1, "none", crit.p95_ns,
         "critical when the 95th percentile of attempts is longer"),
    TIME("crit_breaker", "none", 0, "none", crit.breaker_ns,
         "critical when a breaker has not been closed for this time"),
    TIME("warn_window", "5m", MILLION, NULL, warn_window_ns,
         "length of the window of warnings"),
    COUNT("warn_min_calls", "20", 1, MILLION, NULL, warn_min_calls,
          "calls needed in the window before warnings are judged"),
};
/* clang-format on */

enum { KEYS = sizeof(policy_keys) / sizeof(policy_keys[0]) };
_Static_assert((int)KEYS <= (int)POLICY_KEY_MAX, "raise POLICY_KEY_MAX");
_Static_assert(sizeof(struct policy) < NO_FIELD, "offsets are 16 bits");

const size_t policy_key_count = KEYS;

const struct key *
key_find(const char *name)
{
    for (size_t i = 0; i < KEYS; i++) {
        if (policy_keys[i].name[0] == name[0] &&
            strcmp(policy_keys[i].name, name) == 0) {
            return &policy_keys[i];
        }
    }
    return NULL;
}

const char *
key_near(const char *name)
{
    struct near near = near_begin(name);

    if (strstr(name, "_exhausted_rate")) { /* its old name */
        return *name == 'c' ? "crit_failed_rate" : "warn_failed_rate";
    }
    for (size_t i = 0; i < KEYS; i++) {
        near_offer(&near, policy_keys[i].name);
    }
    return near.best;
}
