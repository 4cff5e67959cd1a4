/* Simulates many calls with random outcomes under given rules, in virtual time.
 * Each draw depends only on the seed, the number of the call and the number of
 * its attempt, so under other rules the same attempts have the same outcomes.
 * Pure. */
#ifndef BIDE_SIMULATE_TRAFFIC_H
#define BIDE_SIMULATE_TRAFFIC_H

#include <bide.h>
#include "policy/rules.h"
#include "profile.h"
#include "traffic_report.h"

enum {
    TRAFFIC_SHARES = 32, /* parts with their own failure rates */
};
#define TRAFFIC_CALLS_MAX 100e6
#define TRAFFIC_ATTEMPTS_MAX 50000000ull
#define TRAFFIC_AT_ONCE_MAX 1000000u /* calls that have begun and not ended */

enum traffic_form { TRAFFIC_FIXED, TRAFFIC_BETWEEN, TRAFFIC_EXPONENTIAL };

struct traffic_time {
    enum traffic_form form;
    uint64_t ns;    /* FIXED: the time; BETWEEN: lowest; EXPONENTIAL: mean */
    uint64_t to_ns; /* BETWEEN: highest */
};

struct traffic_share {
    double share;      /* of attempts that fail, by the time of their start */
    uint64_t until_ns; /* end, not included; of the last one: DURATION_NONE */
};

struct traffic {
    double calls_per_s;
    bool even;       /* at equal distances, the first at 0; else Poisson */
    uint64_t for_ns; /* time in which calls begin; running calls then continue
                        for at most the same time again */
    uint64_t seed;
    struct bide_outcome failure;
    struct traffic_time success_takes, failure_takes;
    struct traffic_share fail[TRAFFIC_SHARES];
    /* NULL, or recorded traffic from time 0 on, which replaces rate, shares and
     * times; `failure` is then used where the outcome is unknown. */
    const struct profile *profile;
};

/* Runs the simulation.  An attempt ends with errno.ETIMEDOUT at the time limit
 * of the policy.  Calls come from 16 processes in turn.  Fails with
 * BIDE_ENOMEM; BIDE_EINPUT if one of the limits above is exceeded, and *out_why
 * is then the reason. */
int traffic_run(const struct policy *p, const struct traffic *t,
                struct traffic_report *out, const char **out_why);

/* Returns http.503 if the policy retries it, else the first failure that the
 * policy retries, else http.503. */
struct bide_outcome traffic_failure(const struct policy *p);

#endif
