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
#define TEXT(name, type, preset, help)                       \
    {                                                        \
        name, type, preset, NULL, 0, 0, NULL, NO_FIELD, help \
    }
#define CHOICE(name, preset, words, field, help)                     \
    {                                                                \
        name, KEY_CHOICE, preset, words, 0, 0, NULL, AT(field), help \
    }
#define COUNT(name, preset, low, high, open, field, help)               \
    {                                                                   \
        name, KEY_COUNT, preset, NULL, low, high, open, AT(field), help \
    }
#define NUMBER(name, preset, low, high, field, help)                     \
    {                                                                    \
        name, KEY_NUMBER, preset, NULL, low, high, NULL, AT(field), help \
    }
#define TIME(name, preset, low, open, field, help)                       \
    {                                                                    \
        name, KEY_DURATION, preset, NULL, low, NS, open, AT(field), help \
    }
#define SHARE(name, preset, open, field, help)                       \
    {                                                                \
        name, KEY_SHARE, preset, NULL, 0, 100, open, AT(field), help \
    }
#define TOKENS(name, preset, field, help)                                    \
    {                                                                        \
        name, KEY_TOKENS, preset, NULL, 0, TOKENS_MAX, NULL, AT(field), help \
    }
#define WINDOW(name, preset, field, help)                                  \
    {                                                                      \
        name, KEY_WINDOW, preset, NULL, MILLION, NS, NULL, AT(field), help \
    }
#define OTHER(name, type, preset, high, field, help)             \
    {                                                            \
        name, type, preset, NULL, 0, high, NULL, AT(field), help \
    }

/* clang-format off */
const struct key policy_keys[] = {
    TEXT("description", KEY_TEXT, "", "one line for people"),
    TEXT("extends", KEY_NAME, "",
         "policy whose keys hold where this one is silent"),
    CHOICE("importance", "mandatory", "mandatory postponable optional",
           importance,
           "what giving up means: aborted, deferred or dropped"),
    OTHER("paused", KEY_SWITCH, "no", 0, paused,
          "yes: refuse new calls"),

    COUNT("attempts", "3", 1, MILLION, "unlimited", attempts,
          "how many in all, the first included"),
    TIME("max_elapsed", "none", 0, "none", max_elapsed_ns,
         "no further attempt once this much time has passed"),
    TIME("deadline", "none", 0, "none", deadline_ns,
         "no wait that would end past it; bounds attempts too"),
    TIME("attempt_timeout", "none", MILLION, "none", attempt_timeout_ns,
         "how long one attempt may take"),
    TIME("reset_after", "none", MILLION, "none", reset_after_ns,
         "an attempt that lasted this long counts as the first again"),

    CHOICE("wait", "exponential",
           "none fixed linear polynomial exponential decorrelated chain",
           wait.form, "how waits grow from retry to retry"),
    TIME("wait_initial", "100ms", 0, NULL, wait.initial_ns,
         "the first wait"),
    TIME("wait_min", "0", 0, NULL, wait.min_ns,
         "no wait is shorter, jitter included"),
    TIME("wait_max", "10s", 0, NULL, wait.max_ns,
         "no wait is longer, jitter included"),
    NUMBER("wait_factor", "2", 1, 1000, wait.factor,
           "growth of exponential waits (decorrelated: 3)"),
    TIME("wait_increment", "0", 0, NULL, wait.increment_ns,
         "growth of linear and polynomial waits"),
    NUMBER("wait_power", "1", 0, 16, wait.power,
           "polynomial: initial + increment x n^power"),
    OTHER("wait_chain", KEY_CHAIN, "", 0, wait.chain,
          "waits one by one, as 1s x3, 2s x5, 5s; the last one stays"),
    OTHER("wait_jitter", KEY_JITTER, "full", 0, wait.jitter,
          "what chance does to a wait: none, full, equal, 20% or +1s"),
    COUNT("free_retries", "0", 0, 1000, NULL, wait.free_retries,
          "so many first retries go at once"),

    CHOICE("retry_after", "honor", "honor clamp ignore", hint.mode,
           "what to do with the wait that a server asks for"),
    TIME("retry_after_max", "1m", 0, "none", hint.max_ns,
         "the longest wait that a server may ask for"),
    TIME("retry_after_spread", "0", 0, NULL, hint.spread_ns,
         "up to so much is added to it at random"),

    OTHER("retry_on", KEY_OUTCOMES, "transient", 0, retry_on,
          "outcomes that are tried again"),
    OTHER("never_on", KEY_OUTCOMES, "none", 0, never_on,
          "outcomes that are not, whatever retry_on says"),
    OTHER("success_on", KEY_OUTCOMES, "none", 0, success_on,
          "outcomes that count as success"),
    OTHER("throttle_on", KEY_OUTCOMES, "throttle", 0, throttle_on,
          "outcomes that mean \"too fast\", with waits of their own"),
    TIME("throttle_wait_initial", "as wait_initial", 0, NULL,
         wait.throttle_initial_ns, "the first wait after such an outcome"),
    TIME("throttle_wait_max", "as wait_max", 0, NULL,
         wait.throttle_max_ns, "the longest wait after such an outcome"),

    OTHER("budget", KEY_GROUP, "none", 0, budget.group,
          "none, own, or the name of a group that shares one"),
    CHOICE("budget_kind", "tokens", "tokens ratio", budget.kind,
           "tokens in a bucket, or a share of the calls"),
    TOKENS("budget_capacity", "500", budget.capacity, "size of the bucket"),
    TOKENS("budget_cost", "5", budget.cost, "price of a retry"),
    TOKENS("budget_timeout_cost", "as budget_cost", budget.timeout_cost,
           "price after a timeout"),
    TOKENS("budget_throttle_cost", "as budget_cost", budget.throttle_cost,
           "price after a throttle"),
    CHOICE("budget_charge", "retry", "retry failure", budget.charge,
           "what pays: each retry, or each failure"),
    TOKENS("budget_deposit", "1", budget.deposit,
           "given back by a success at the first attempt"),
    TOKENS("budget_refund", "as budget_cost", budget.refund,
           "given back by a retry that succeeded"),
    OTHER("budget_refill", KEY_REFILL, "0/s", MILLION,
          budget.refill_per_s, "tokens that come back by the second"),
    SHARE("budget_threshold", "0%", NULL, budget.threshold,
          "retries only while more than this share is left"),
    SHARE("budget_ratio", "20%", NULL, budget.ratio,
          "ratio: retries for each call within the window"),
    OTHER("budget_min_rate", KEY_RATE, "10/s", MILLION,
          budget.min_rate, "ratio: so many retries are always let out"),
    TIME("budget_window", "10s", MILLION, NULL, budget.window_ns,
         "ratio: the time it looks back on"),

    CHOICE("breaker", "off", "off on open closed", breaker.mode,
           "whether calls stop while too many fail; open, closed: forced"),
    SHARE("breaker_failure_rate", "50%", NULL, breaker.failure_rate,
          "opens when this share of the attempts fails"),
    COUNT("breaker_consecutive", "none", 1, MILLION, "none",
          breaker.consecutive, "opens after so many failures in a row"),
    TIME("breaker_slow_after", "none", 1, "none",
         breaker.slow_after_ns, "attempts that took longer are slow"),
    SHARE("breaker_slow_rate", "100%", NULL, breaker.slow_rate,
          "opens when this share of the attempts is slow"),
    WINDOW("breaker_window", "10s", breaker.window,
           "what it looks back on: a time, or 100 calls"),
    COUNT("breaker_min_calls", "20", 1, MILLION, NULL,
          breaker.min_calls, "with fewer calls no rate counts"),
    COUNT("breaker_min_processes", "1", 1, 16, NULL,
          breaker.min_processes, "failures must come from so many processes"),
    TIME("breaker_open_for", "30s", MILLION, NULL,
         breaker.open_for_ns, "how long it stays open"),
    NUMBER("breaker_open_factor", "1", 1, 1000, breaker.open_factor,
           "growth of that when probes fail"),
    TIME("breaker_open_max", "5m", MILLION, NULL,
         breaker.open_max_ns, "the longest it stays open"),
    COUNT("breaker_probes", "3", 1, 32, NULL, breaker.probes,
          "half open: so many calls are let out"),
    TIME("breaker_probe_timeout", "10s", MILLION, NULL,
         breaker.probe_timeout_ns,
         "a probe that has not reported by then frees its place"),

    TIME("defer_wait", "1m", 0, NULL, defer.wait_ns,
         "postponed work: the first wait"),
    TIME("defer_wait_max", "1h", 0, NULL, defer.wait_max_ns,
         "postponed work: the longest wait"),
    TIME("defer_expire", "7d", MILLION, "none", defer.expire_ns,
         "postponed work is given up after this time"),
    COUNT("defer_attempts", "unlimited", 1, MILLION, "unlimited",
          defer.attempts, "postponed work tried so often is dead"),
    COUNT("defer_max", "100000", 1, 100000000, NULL, defer.max,
          "at most so many pieces of work are kept"),
    TIME("defer_lease", "5m", MILLION, NULL, defer.lease_ns,
         "work that was taken comes back after this time"),

    SHARE("warn_retry_rate", "none", "none", warn.retry_rate,
          "warn when more attempts than this are retries"),
    SHARE("warn_exhausted_rate", "none", "none", warn.exhausted_rate,
          "warn when more calls than this are given up"),
    TIME("warn_p95", "none", 1, "none", warn.p95_ns,
         "warn when one attempt in twenty takes longer"),
    SHARE("crit_retry_rate", "none", "none", crit.retry_rate,
          "critical when more attempts than this are retries"),
    SHARE("crit_exhausted_rate", "none", "none", crit.exhausted_rate,
          "critical when more calls than this are given up"),
    TIME("crit_p95", "none", 1, "none", crit.p95_ns,
         "critical when one attempt in twenty takes longer"),
    TIME("warn_window", "5m", MILLION, NULL, warn_window_ns,
         "the time that warnings look back on"),
    COUNT("warn_min_calls", "20", 1, MILLION, NULL, warn_min_calls,
          "with fewer calls nothing is warned of"),
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
    const char *best = NULL;
    int best_distance = near_limit(name) + 1;

    for (size_t i = 0; i < KEYS; i++) {
        int d = near_distance(name, policy_keys[i].name);

        if (d < best_distance) {
            best = policy_keys[i].name;
            best_distance = d;
        }
    }
    return best;
}
