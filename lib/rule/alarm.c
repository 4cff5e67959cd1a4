#include "alarm.h"

#include <stdio.h>
#include <string.h>

#include "base/duration.h"

static bool
has_limits(const struct alarm_rules *a)
{
    return a->retry_rate >= 0 || a->exhausted_rate >= 0 ||
           a->p95_ns != DURATION_NONE;
}

bool
alarm_has_rules(const struct policy *p)
{
    return has_limits(&p->warn) || has_limits(&p->crit);
}

static void
append_warning(struct alarm_verdict *v, bool critical, const char *what,
               const char *seen, const char *limit)
{
    size_t length = strlen(v->words);

    if (critical) {
        v->level = ALARM_CRIT;
    } else if (v->level < ALARM_WARN) {
        v->level = ALARM_WARN;
    }
    snprintf(v->words + length, sizeof(v->words) - length, "%s%s %s above %s",
             length > 0 ? ", " : "", what, seen, limit);
}

/* Reports whether share is above limit; a negative limit means no limit. */
static bool
is_above(double share, double limit)
{
    return limit >= 0 && share > limit;
}

/* Writes three digits; the least share is 0.0001%, as %g would write 1e-05. */
static void
write_percent(double share, char *out, size_t size)
{
    double percent = share * 100;

    snprintf(out, size, "%.3g%%",
             percent > 0 && percent < 0.0001 ? 0.0001 : percent);
}

static void
judge_rate(struct alarm_verdict *v, const char *what, uint64_t part,
           uint64_t whole, double warn, double crit)
{
    double share = whole > 0 ? (double)part / (double)whole : 0;
    bool critical = is_above(share, crit);
    char seen[32], limit[32];

    if (!critical && !is_above(share, warn)) {
        return;
    }
    write_percent(share, seen, sizeof(seen));
    write_percent(critical ? crit : warn, limit, sizeof(limit));
    append_warning(v, critical, what, seen, limit);
}

static void
judge_p95(struct alarm_verdict *v, uint64_t p95_ns, uint64_t warn,
          uint64_t crit)
{
    bool critical = p95_ns > crit; /* no limit is the highest number */
    char seen[32], limit[32];

    if (!critical && p95_ns <= warn) {
        return;
    }
    append_warning(
        v, critical, "p95", duration_round(p95_ns, seen, sizeof(seen)),
        duration_write(critical ? crit : warn, limit, sizeof(limit)));
}

void
alarm_judge(const struct policy *p, const struct alarm_seen *seen,
            struct alarm_verdict *out)
{
    memset(out, 0, sizeof(*out));
    if (seen->calls < p->warn_min_calls) {
        out->too_few = true;
        return;
    }
    judge_rate(out, "retries", seen->retries, seen->attempts,
               p->warn.retry_rate, p->crit.retry_rate);
    judge_rate(out, "exhausted", seen->exhausted, seen->calls,
               p->warn.exhausted_rate, p->crit.exhausted_rate);
    judge_p95(out, seen->p95_ns, p->warn.p95_ns, p->crit.p95_ns);
}
