/* What rules make of many calls whose outcomes are drawn, in virtual time.  All
 * that is random comes from the seed, the number of the call and that of its
 * attempt: under other rules the same calls meet the same luck.  Pure. */
#ifndef BIDE_RULE_TRAFFIC_H
#define BIDE_RULE_TRAFFIC_H

#include <bide.h>
#include "policy/rules.h"
#include "profile.h"
#include "traffic_report.h"

enum {
    TRAFFIC_SHARES = 32, /* parts of a profile of failures */
};
#define TRAFFIC_CALLS_MAX 100e6
#define TRAFFIC_ATTEMPTS_MAX 50000000ull
#define TRAFFIC_AT_ONCE_MAX 1000000u /* calls that have begun and not ended */

enum traffic_form { TRAFFIC_FIXED, TRAFFIC_BETWEEN, TRAFFIC_EXPONENTIAL };

struct traffic_time {
    enum traffic_form form;
    uint64_t ns;    /* that; from there; on the average */
    uint64_t to_ns; /* TRAFFIC_BETWEEN */
};

struct traffic_share {
    double share;      /* of the attempts that begin then fail */
    uint64_t until_ns; /* not included; the last one: DURATION_NONE */
};

struct traffic {
    double calls_per_s;
    bool even;       /* at equal distances, the first at 0; else Poisson */
    uint64_t for_ns; /* calls begin for so long; then those under way go on
                        for at most as long again */
    uint64_t seed;
    struct bide_outcome failure;
    struct traffic_time success_takes, failure_takes;
    struct traffic_share fail[TRAFFIC_SHARES];
    /* NULL, or in place of rates, shares and times what was recorded, from time
     * 0 on; `failure` is for what it does not know. */
    const struct profile *profile;
};

/* An attempt that would last longer than the policy lets it ends then, as
 * errno.ETIMEDOUT.  Calls come from 16 processes in turn.  BIDE_ENOMEM; or
 * BIDE_EINPUT when that is more than fits, and *out_why is a sentence. */
int traffic_run(const struct policy *p, const struct traffic *t,
                struct traffic_report *out, const char **out_why);

/* The first failure that the policy retries, http.503 if that is one. */
struct bide_outcome traffic_failure(const struct policy *p);

#endif
