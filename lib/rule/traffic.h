/* What rules make of many calls whose outcomes are drawn: `bide simulate
 * --calls`.  In virtual time.  All that is random comes from the seed, the
 * number of the call and that of its attempt: under other rules the same calls
 * meet the same luck, on every machine.  Pure. */
#ifndef BIDE_RULE_TRAFFIC_H
#define BIDE_RULE_TRAFFIC_H

#include <bide.h>
#include "policy/rules.h"
#include "rule/histogram.h"

enum {
    TRAFFIC_SHARES = 32,    /* parts of a profile of failures */
    TRAFFIC_SLICES = 60,    /* of the time in which calls begin, */
    TRAFFIC_SLICES_ALL = 120, /* and of that in which they end */
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
};

/* Times, as a histogram that also keeps each bucket's sum: what always takes
 * 20 ms is then shown as 20 ms. */
struct traffic_times {
    uint64_t count[HISTOGRAM_BUCKETS], sum_ns[HISTOGRAM_BUCKETS];
};

#define X(name, text) +1
enum {
    TRAFFIC_VERDICTS = 0 BIDE_VERDICTS(X),
    TRAFFIC_REASONS = 0 BIDE_REASONS(X),
};
#undef X

struct traffic_slice {
    uint64_t calls, attempts;   /* that began then */
    uint64_t succeeded, failed; /* calls that ended then; failed: otherwise */
    uint64_t refused;           /* of the failed: never let out */
    uint64_t retries_refused;   /* by budget or breaker */
};

struct traffic_report {
    uint64_t calls, attempts;
    uint64_t attempts_failed, timed_out; /* timed out: among the failed */
    uint64_t verdict[TRAFFIC_VERDICTS];
    uint64_t exhausted[TRAFFIC_REASONS]; /* by reason */
    uint64_t recovered;                  /* succeeded, not at once */
    uint64_t unfinished;                 /* at the end of it all */
    uint64_t retries_refused, breaker_opened;
    struct traffic_times answer; /* of all calls that ended */
    uint64_t slice_ns;
    struct traffic_slice slice[TRAFFIC_SLICES_ALL];
};

/* An attempt that would last longer than the policy lets it ends then, as
 * errno.ETIMEDOUT.  Calls come from 16 processes in turn.  BIDE_ENOMEM; or
 * BIDE_EINPUT when that is more than fits, and *out_why is a sentence. */
int traffic_run(const struct policy *p, const struct traffic *t,
                struct traffic_report *out, const char **out_why);

/* The first failure that the policy retries, http.503 if that is one. */
struct bide_outcome traffic_failure(const struct policy *p);

uint64_t traffic_at_ns(const struct traffic_times *t, double share);

#endif
