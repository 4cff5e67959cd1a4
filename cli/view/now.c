#include "now.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/duration.h"
#include "cli/out/text.h"
#include "live/counters.h"
#include "policy/policy.h"

static double
per_s(uint64_t count, uint64_t ns)
{
    return ns > 0 ? (double)count * 1e9 / (double)ns : 0;
}

static struct brief
write_amount(uint64_t count, uint64_t ns, bool all)
{
    return all ? text_count(count) : text_number(per_s(count, ns));
}

const char *
now_word(enum now_figure f)
{
    static const char *const words[] = {
        [NOW_CALLS] = "calls",     [NOW_OK] = "ok",   [NOW_FAILED] = "failed",
        [NOW_RETRIES] = "retries", [NOW_P95] = "p95",
    };

    return words[f];
}

struct brief
now_write(const struct admin_cell *c, enum now_figure f, bool all)
{
    const struct bide_stats *s = all ? &c->stats : &c->now;

    switch (f) {
    case NOW_CALLS:
        return write_amount(counter_calls(s), c->now_ns, all);
    case NOW_OK:
        return text_share(s->succeeded, counter_calls(s), 1);
    case NOW_FAILED:
        return write_amount(counter_failed(s), c->now_ns, all);
    case NOW_RETRIES:
        return text_share(s->retries, count_firsts(s), 1);
    case NOW_P95:
        break;
    }
    return s->latency_succeeded.count > 0
               ? duration_round(s->latency_succeeded.p95_ns)
               : (struct brief){"-"};
}

double
now_rank(const struct admin_cell *c, enum now_figure f, bool all)
{
    const struct bide_stats *s = all ? &c->stats : &c->now;
    uint64_t calls = counter_calls(s), firsts = count_firsts(s);
    double ns = all ? 1e9 : (double)c->now_ns;

    switch (f) {
    case NOW_CALLS:
        return ns > 0 ? (double)calls / ns : 0;
    case NOW_OK:
        return calls ? 1 - (double)s->succeeded / (double)calls : 0;
    case NOW_FAILED:
        return ns > 0 ? (double)counter_failed(s) / ns : 0;
    case NOW_RETRIES:
        return firsts ? (double)s->retries / (double)firsts : 0;
    case NOW_P95:
        break;
    }
    return (double)s->latency_succeeded.p95_ns;
}

struct brief
now_over(const struct admin_cell *c)
{
    return c->now_ns < MINUTE_NS / 2 || c->now_ns > MINUTE_NS / 2 * 3
               ? duration_round(c->now_ns)
               : (struct brief){""};
}

bool
now_failing(const struct admin_cell *c)
{
    return counter_failed(&c->now) * 20 > counter_calls(&c->now);
}

static void
put_share(struct json *j, const char *name, uint64_t part, uint64_t whole)
{
    if (whole > 0) {
        json_put_number(j, name, (double)part / (double)whole);
    } else {
        json_put_null(j, name);
    }
}

void
now_json(struct json *j, const struct admin_cell *c)
{
    const struct bide_stats *s = &c->now;

    j = json_in_object(j, "now");
    json_put_number(j, "over_s", (double)c->now_ns / 1e9);
    json_put_number(j, "calls_per_s", per_s(counter_calls(s), c->now_ns));
    json_put_number(j, "failed_per_s", per_s(counter_failed(s), c->now_ns));
    json_put_number(j, "refused_per_s", per_s(s->refused, c->now_ns));
    put_share(j, "ok", s->succeeded, counter_calls(s));
    put_share(j, "retries", s->retries, count_firsts(s));
    if (s->latency_succeeded.count > 0) {
        json_put_ms(j, "p95_ms", s->latency_succeeded.p95_ns);
    } else {
        json_put_null(j, "p95_ms");
    }
    j = json_in_object(j, "outcomes");
    for (size_t i = 0; i < c->now_outcome_count; i++) {
        json_put_count(j, c->now_outcomes[i].name, c->now_outcomes[i].count);
    }
}

void
now_judge(const struct policy *p, const struct count *total,
          const struct admin_guard *worst, struct alarm_verdict *out)
{
    const struct bide_stats *s = &total->cell.now;
    uint64_t now = clock_realtime_ns(), calls = counter_calls(s);
    struct alarm_seen seen = {
        .calls = calls > s->cancelled ? calls - s->cancelled : 0,
        .failed = counter_failed(s),
        .attempts = s->attempts,
        .retries = s->retries,
        .p95_ns = s->latency_succeeded.p95_ns,
        .breaker = worst->state};

    if (worst->transitions > 0 && worst->transition[0].realtime_ns < now) {
        seen.breaker_ns = now - worst->transition[0].realtime_ns;
    }
    snprintf(seen.scope, sizeof(seen.scope), "%s", total->worst_scope);
    for (size_t i = 0; i < total->part_count; i++) {
        const struct admin_cell *part = &total->parts[i].cell;

        if (counter_failed(&part->now) * 2 > seen.failed) {
            snprintf(seen.worst_scope, sizeof(seen.worst_scope), "%s",
                     part->scope);
        }
    }
    if (total->cell.now_outcome_count > 0) {
        snprintf(seen.outcome, sizeof(seen.outcome), "%s",
                 total->cell.now_outcomes->name);
    }
    alarm_judge(p, &seen, out);
}
