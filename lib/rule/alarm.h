/* Early warnings: compares call statistics with the warn_ and crit_ keys of a
 * policy.  Pure. */
#ifndef BIDE_RULE_ALARM_H
#define BIDE_RULE_ALARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/rules.h"

enum alarm_level { ALARM_OK, ALARM_WARN, ALARM_CRIT };

/* Statistics of the last warn_window. */
struct alarm_seen {
    uint64_t calls, exhausted, attempts, retries;
    uint64_t p95_ns; /* latency of all attempts, succeeded and failed */
};

struct alarm_verdict {
    enum alarm_level level;
    bool too_few;    /* fewer than warn_min_calls calls: no rule was judged */
    char words[128]; /* "p95 240ms above 200ms"; "" without a warning */
};

/* Reports whether the policy sets any warn_ or crit_ limit. */
bool alarm_has_rules(const struct policy *p);

/* Compares `seen` with the limits of `p`.  The retry rate is retries divided by
 * attempts; the exhausted rate is exhausted calls divided by calls.  A value
 * equal to its limit is still good. */
void alarm_judge(const struct policy *p, const struct alarm_seen *seen,
                 struct alarm_verdict *out);

#endif
