/* A compiled policy, the input of lib/rule.  Durations are in ns, DURATION_NONE
 * is no limit; shares are 0..1; tokens are in thousandths. */
#ifndef BIDE_POLICY_RULES_H
#define BIDE_POLICY_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/duration.h"
#include "outcome.h"

#define ATTEMPTS_UNLIMITED UINT32_MAX

/* The order of each enum is the order of the words in the key's table row. */
enum importance { MANDATORY, POSTPONABLE, OPTIONAL };
enum wait_form {
    WAIT_NONE,
    WAIT_FIXED,
    WAIT_LINEAR,
    WAIT_POLYNOMIAL,
    WAIT_EXPONENTIAL,
    WAIT_DECORRELATED,
    WAIT_CHAIN,
};
enum jitter_form {
    JITTER_NONE,
    JITTER_FULL,  /* 0..w */
    JITTER_EQUAL, /* w/2..w */
    JITTER_SHARE, /* w-share*w..w+share*w */
    JITTER_PLUS,  /* w..w+plus_ns */
};
enum wait_max_holds { MAX_OF_RESULT, MAX_OF_BASE };
enum retry_after {
    RETRY_AFTER_HONOR,
    RETRY_AFTER_CLAMP,
    RETRY_AFTER_CAP,
    RETRY_AFTER_IGNORE,
};
/* Tells how a retry after a hint affects the growth of the own waits. */
enum hint_growth { GROWTH_COUNTS, GROWTH_SKIPS, GROWTH_RESETS };
enum hint_holds { HINT_HOLDS_CALL, HINT_HOLDS_ALL };
enum rate_adapt { ADAPT_NONE, ADAPT_AWS, ADAPT_CUBIC };
enum budget_kind { BUDGET_TOKENS, BUDGET_RATIO };
enum budget_charge { CHARGE_RETRY, CHARGE_FAILURE };
enum budget_earn { EARN_ALL, EARN_SUCCESS };
enum breaker_mode { BREAKER_OFF, BREAKER_ON, BREAKER_OPEN, BREAKER_CLOSED };
enum breaker_judge { JUDGE_ALWAYS, JUDGE_FAILURE };

struct jitter {
    enum jitter_form form;
    double share;
    uint64_t plus_ns;
};

struct chain_step {
    uint64_t wait_ns;
    uint32_t times; /* ignored in the last step, which repeats for ever */
};
enum { CHAIN_MAX = 32 };
struct chain {
    uint32_t count;
    struct chain_step *steps;
};

struct window {
    uint64_t ns;    /* 0: a window of calls */
    uint32_t calls; /* 0: a window of time */
};

struct wait_rules {
    int32_t form;      /* enum wait_form */
    int32_t max_holds; /* enum wait_max_holds */
    uint32_t free_retries;
    uint64_t initial_ns, min_ns, max_ns, increment_ns;
    double factor, power;
    struct chain chain;
    struct jitter jitter;
    uint64_t throttle_initial_ns, throttle_max_ns; /* resolved */
};

struct hint_rules {
    int32_t mode;   /* enum retry_after */
    int32_t growth; /* enum hint_growth */
    uint64_t max_ns, spread_ns;
    int32_t holds; /* enum hint_holds */
};

struct budget_rules {
    char group[BIDE_NAME_MAX + 1]; /* "none", "own", or a name */
    int32_t kind, charge, earn;    /* the enums above */
    /* In thousandths.  A refund of -1 is the charge of the retry. */
    int64_t capacity, cost, timeout_cost, throttle_cost;
    int64_t deposit, refund, refill_per_s;
    double threshold, reserve, ratio, min_rate;
    uint64_t window_ns;
};

#define PROBE_FAILURES_NONE UINT32_MAX
struct breaker_rules {
    int32_t mode, judge;  /* enum breaker_mode, breaker_judge */
    uint32_t consecutive; /* UINT32_MAX: none */
    uint32_t min_calls, min_processes, probes;
    uint32_t probe_failures; /* PROBE_FAILURES_NONE: judged by rates */
    struct outcome_set ignore;
    double failure_rate, slow_rate;
    uint64_t slow_after_ns;
    struct window window;
    uint64_t open_for_ns, open_max_ns, probe_timeout_ns, wait_ns, ramp_ns;
    double open_factor;
};

enum { LIMIT_PLACES_MAX = 1000 };
struct limit_rules {
    char group[BIDE_NAME_MAX + 1]; /* as that of a budget */
    uint32_t places;
    double reserve;
    uint64_t wait_ns;
};

struct rate_rules {
    char group[BIDE_NAME_MAX + 1];
    int32_t adapt; /* enum rate_adapt */
    uint32_t burst;
    double per_s, min_per_s, reserve;
    uint64_t wait_ns;
};

struct hedge_after {
    uint64_t ns;     /* DURATION_NONE: no hedges, or `quantile` holds */
    double quantile; /* 0: a fixed time; 0.95: p95 of the attempts */
};
enum { HEDGES_MAX = 3 }; /* the largest hedge_max */

enum { DEFER_WAIT_MIN_NS = 1000000000 }; /* the least wait between two tries */
struct defer_rules {
    uint64_t wait_ns, wait_max_ns, expire_ns, lease_ns;
    struct jitter jitter;
    uint32_t max;      /* waiting + leased + dead of this policy; 0: no limit */
    uint32_t attempts; /* dead after these; 0, ATTEMPTS_UNLIMITED: no limit */
};

struct alarm_rules {
    double retry_rate, failed_rate; /* negative: none */
    uint64_t p95_ns, breaker_ns;
};

struct policy {
    char name[BIDE_NAME_MAX + 1];
    uint32_t version; /* set when read from the store; 0: declared */
    int32_t importance;
    bool paused;
    uint32_t attempts; /* ATTEMPTS_UNLIMITED */
    uint64_t max_elapsed_ns, deadline_ns, attempt_timeout_ns, reset_after_ns;
    uint64_t useful_ns;
    struct wait_rules wait;
    struct hint_rules hint;
    struct outcome_set retry_on, never_on, success_on, throttle_on;
    struct budget_rules budget;
    struct breaker_rules breaker;
    struct limit_rules limit;
    struct rate_rules rate;
    struct hedge_after hedge;
    uint32_t hedge_max;
    struct defer_rules defer;
    struct alarm_rules warn, crit;
    uint64_t warn_window_ns;
    uint32_t warn_min_calls;
    char *values; /* policy_value; NULL: only defaults */
};

static inline bool
policy_hedges(const struct policy *p)
{
    return p->hedge.ns != DURATION_NONE || p->hedge.quantile > 0;
}

#endif
