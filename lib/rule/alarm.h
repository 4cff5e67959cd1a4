/* Early warnings: compares call statistics with the warn_ and crit_ keys of a
 * policy.  Pure. */
#ifndef BIDE_RULE_ALARM_H
#define BIDE_RULE_ALARM_H

#include <stdbool.h>
#include <stdint.h>

#include "breaker.h"

/* UNKNOWN is better than WARN, but worse than OK; it is never stored. */
enum alarm_level { ALARM_OK, ALARM_WARN, ALARM_CRIT, ALARM_UNKNOWN };

static inline const char *
alarm_word(int level)
{
    return level == ALARM_OK     ? "ok"
           : level == ALARM_WARN ? "warning"
           : level == ALARM_CRIT ? "critical"
                                 : "unknown";
}

/* Statistics of the last warn_window, and the present state of the breaker. */
struct alarm_seen {
    uint64_t calls;  /* that ended and were not cancelled */
    uint64_t failed; /* of these: exhausted or refused */
    uint64_t attempts, retries;
    uint64_t p95_ns; /* latency of all attempts, succeeded and failed */
    /* More calls, of an interval much longer than warn_window: nobody knows how
     * many of them ended in the window. */
    uint64_t unclear, unclear_ns;
    /* Of the scopes' breakers the one that left the closed state first. */
    enum breaker_state breaker;
    uint64_t breaker_ns; /* since then */
    char scope[BIDE_NAME_MAX + 1];
    bool damaged; /* parts of the history could not be read */
    /* "": unknown, or no scope has more failed calls than all others. */
    char worst_scope[BIDE_NAME_MAX + 1];
    char outcome[64]; /* the most frequent one of failed attempts; "": none */
};

enum { ALARM_WORDS = 224 }; /* for all warnings at once */
struct alarm_verdict {
    enum alarm_level level;
    bool too_few; /* less than warn_min_calls calls: no rate was judged */
    bool unknown; /* whether there were so few is not known */
    /* "failed 7% above 5%; most often http.503 in us"; "": no warning */
    char words[ALARM_WORDS];
};

/* Reports whether a level is worse than another. */
static inline bool
alarm_is_worse(enum alarm_level level, enum alarm_level than)
{
    static const int rank[] = {0, 2, 3, 1};

    return rank[level] > rank[than];
}

/* Reports whether the policy has any limit of warn_ and crit_ keys, or a
 * breaker that they watch. */
bool alarm_has_rules(const struct policy *p);

/* Compares `seen` with the limits of `p`.  The retry rate is retries divided by
 * attempts; the failed rate is failed calls divided by calls.  A value equal to
 * its limit is still good, but a breaker may not be open for all of it. */
void alarm_judge(const struct policy *p, const struct alarm_seen *seen,
                 struct alarm_verdict *out);

#endif
