/* Early warning: how what was seen stands to a policy's warn_ and crit_ keys.
 * Pure. */
#ifndef BIDE_RULE_ALARM_H
#define BIDE_RULE_ALARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/rules.h"

enum alarm_level { ALARM_OK, ALARM_WARN, ALARM_CRIT };

/* Within warn_window. */
struct alarm_seen {
    uint64_t calls, exhausted, attempts, retries;
    uint64_t p95_ns; /* of all attempts, those that failed included */
};

struct alarm_verdict {
    enum alarm_level level;
    bool too_few;    /* calls, for any rule to count */
    char words[128]; /* "p95 240ms above 200ms"; "" without a warning */
};

bool alarm_has_rules(const struct policy *p);

/* Retries as a share of attempts, exhausted calls as a share of calls; equal
 * to the limit is still fine. */
void alarm_judge(const struct policy *p, const struct alarm_seen *seen,
                 struct alarm_verdict *out);

#endif
