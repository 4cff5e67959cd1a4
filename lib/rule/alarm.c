#include "alarm.h"

#include <stdio.h>
#include <string.h>

#include "base/duration.h"

static bool
has_rates(const struct alarm_rules *a)
{
    return a->retry_rate >= 0 || a->failed_rate >= 0 ||
           a->p95_ns != DURATION_NONE;
}

bool
alarm_has_rules(const struct policy *p)
{
    return has_rates(&p->warn) || has_rates(&p->crit) ||
           (p->breaker.mode == BREAKER_ON &&
            (p->warn.breaker_ns != DURATION_NONE ||
             p->crit.breaker_ns != DURATION_NONE));
}

static void
append_warning(struct alarm_verdict *v, enum alarm_level level,
               const char *what, const char *seen, const char *relation,
               const char *limit)
{
    size_t length = strlen(v->words);

    v->level = alarm_is_worse(level, v->level) ? level : v->level;
    snprintf(v->words + length, sizeof(v->words) - length, "%s%s %s%s%s",
             length > 0 ? ", " : "", what, seen, relation, limit);
}

/* Reports whether share is above limit; a negative limit means no limit. */
static bool
is_above(double share, double limit)
{
    return limit >= 0 && share > limit;
}

/* Writes three digits; the least share is 0.0001%, as %g would write 1e-05. */
static struct brief
write_percent(double share)
{
    double percent = share * 100;
    struct brief out;

    snprintf(out.text, sizeof(out.text), "%.3g%%",
             percent > 0 && percent < 0.0001 ? 0.0001 : percent);
    return out;
}

static void
judge_rate(struct alarm_verdict *v, const char *what, uint64_t part,
           uint64_t whole, double warn, double crit)
{
    double share = whole > 0 ? (double)part / (double)whole : 0;
    bool critical = is_above(share, crit);

    if (!critical && !is_above(share, warn)) {
        return;
    }
    append_warning(v, critical ? ALARM_CRIT : ALARM_WARN, what,
                   write_percent(share).text, " above ",
                   write_percent(critical ? crit : warn).text);
}

static void
judge_p95(struct alarm_verdict *v, uint64_t p95_ns, uint64_t warn,
          uint64_t crit)
{
    bool critical = p95_ns > crit; /* no limit is the highest number */

    if (!critical && p95_ns <= warn) {
        return;
    }
    append_warning(v, critical ? ALARM_CRIT : ALARM_WARN, "p95",
                   duration_round(p95_ns).text, " above ",
                   duration_write(critical ? crit : warn).text);
}

/* A forced state is an operator's decision. */
static void
judge_breaker(struct alarm_verdict *v, const struct policy *p,
              const struct alarm_seen *seen)
{
    bool critical = seen->breaker_ns >= p->crit.breaker_ns;
    bool scoped = *seen->scope != '\0';
    char what[BIDE_NAME_MAX + 32];

    if (p->breaker.mode != BREAKER_ON || seen->breaker == STATE_CLOSED ||
        (!critical && seen->breaker_ns < p->warn.breaker_ns)) {
        return;
    }
    snprintf(what, sizeof(what), "breaker%s%s", scoped ? " of " : "",
             seen->scope);
    append_warning(v, critical ? ALARM_CRIT : ALARM_WARN, what,
                   seen->breaker == STATE_OPEN ? "open" : "half open",
                   ", not closed for ", duration_round(seen->breaker_ns).text);
}

static void
judge_rates(struct alarm_verdict *out, const struct policy *p,
            const struct alarm_seen *seen)
{
    bool few = seen->calls < p->warn_min_calls;

    if (!few) {
        judge_rate(out, "retries", seen->retries, seen->attempts,
                   p->warn.retry_rate, p->crit.retry_rate);
        judge_rate(out, "failed", seen->failed, seen->calls,
                   p->warn.failed_rate, p->crit.failed_rate);
        judge_p95(out, seen->p95_ns, p->warn.p95_ns, p->crit.p95_ns);
    }
    out->unknown =
        few ? seen->damaged || seen->calls + seen->unclear >= p->warn_min_calls
            : seen->damaged && out->level == ALARM_OK;
    out->too_few = few && !out->unknown;
    if (out->unknown) {
        append_warning(out, ALARM_UNKNOWN, "rates", "unknown",
                       seen->damaged ? ": " : ": one interval covers ",
                       seen->damaged ? "damaged history"
                                     : duration_round(seen->unclear_ns).text);
    }
}

void
alarm_judge(const struct policy *p, const struct alarm_seen *seen,
            struct alarm_verdict *out)
{
    size_t length;

    memset(out, 0, sizeof(*out));
    judge_breaker(out, p, seen);
    if (has_rates(&p->warn) || has_rates(&p->crit)) {
        judge_rates(out, p, seen);
    }
    length = strlen(out->words);
    if (length > 0 && *seen->outcome) {
        snprintf(out->words + length, sizeof(out->words) - length,
                 "; most often %s%s%s", seen->outcome,
                 *seen->worst_scope ? " in " : "", seen->worst_scope);
    }
}
