/* bide check: early warnings, in the format of a Nagios plugin.  The first line
 * is the summary, with performance data after a "|".  The exit status is 0 ok,
 * 1 warning, 2 critical, 3 unknown. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/read.h"
#include "base/clock.h"
#include "base/draft.h"
#include "base/duration.h"
#include "cli/command/explain.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "cli/out/json.h"
#include "cli/out/text.h"
#include "policy/policy.h"
#include "record/past.h"
#include "rule/alarm.h"
#include "uncounted.h"

/* Levels are exit statuses. */
enum { UNKNOWN = ALARM_UNKNOWN, WORDS_SIZE = 512 };

struct check {
    struct command_line *line;
    size_t count;  /* policies */
    size_t judged; /* policies that have warn_ or crit_ keys and enough calls */
    size_t on[ALARM_UNKNOWN + 1]; /* policies by level */
    size_t rejecting; /* policies with half of their calls rejected, or more */
    enum alarm_level worst;
    uint64_t now_ns, damaged;
    struct draft perf, more; /* the performance data; a line for each alarm */
    char first[WORDS_SIZE];  /* describes the worst policy */
    char uncounted[WORDS_SIZE];  /* why calls are not counted; "": they are */
    char unrecorded[WORDS_SIZE]; /* the recorder has stopped; "": it has not */
    struct json *object, *array;
};

/* ---- one policy ---- */

/* Writes a number and its limits; negative: none.  In the format of Nagios, U
 * is a number that is not known. */
static void
put_perf(struct draft *out, const struct past_alarm *a, const char *what,
         double value, const char *unit, double warn, double crit)
{
    const double numbers[] = {value, warn, crit};
    struct brief text[3] = {{"U"}};
    char all[256];

    for (size_t i = 0; i < 3; i++) {
        if (numbers[i] >= 0) {
            text[i] = text_plain(numbers[i]);
        }
    }
    snprintf(all, sizeof(all), " '%s_%s'=%s%s;%s;%s;0%s", a->name, what,
             text[0].text, value >= 0 ? unit : "", text[1].text, text[2].text,
             *unit == '%' ? ";100" : "");
    draft_text(out, all);
}

static double
to_ms(uint64_t ns)
{
    return ns == DURATION_NONE ? -1 : (double)ns / 1e6;
}

static double
percent_of(uint64_t part, uint64_t whole)
{
    return whole > 0 ? 100 * (double)part / (double)whole : 0;
}

static void
put_all_perf(struct draft *out, const struct past_alarm *a)
{
    const struct alarm_rules *warn = &a->policy->warn, *crit = &a->policy->crit;
    const struct alarm_seen *s = &a->seen;
    bool known = s->unclear == 0 && !s->damaged;

    put_perf(out, a, "calls", known ? (double)s->calls : -1, "", -1, -1);
    put_perf(out, a, "retries",
             known ? percent_of(s->retries, s->attempts) : -1, "%",
             100 * warn->retry_rate, 100 * crit->retry_rate);
    put_perf(out, a, "failed", known ? percent_of(s->failed, s->calls) : -1,
             "%", 100 * warn->failed_rate, 100 * crit->failed_rate);
    put_perf(out, a, "rejected", known ? percent_of(a->rejected, s->calls) : -1,
             "%", -1, -1);
    put_perf(out, a, "p95", known ? to_ms(s->p95_ns) : -1, "ms",
             to_ms(warn->p95_ns), to_ms(crit->p95_ns));
    if (a->policy->breaker.mode == BREAKER_ON) {
        put_perf(out, a, "breaker", to_ms(s->breaker_ns), "ms",
                 to_ms(warn->breaker_ns), to_ms(crit->breaker_ns));
    }
}

/* Writes "pay: p95 240ms above 200ms, since today 14:02:11". */
static void
describe_alarm(const struct check *c, const struct past_alarm *a, char *out,
               size_t size)
{
    const struct policy *p = a->policy;
    char few[64], since[80] = "", rejected[100] = "";
    const char *why = a->verdict.level != ALARM_OK ? a->verdict.words
                      : p->paused ? "paused, each call is refused"
                      : p->breaker.mode == BREAKER_OPEN
                          ? "breaker forced open, each call is refused"
                      : !alarm_has_rules(p) ? "no warn_ or crit_ keys"
                      : a->verdict.too_few  ? few
                                            : "within its limits";

    snprintf(few, sizeof(few), "%llu calls, too few to judge",
             (unsigned long long)a->seen.calls);
    if (a->verdict.level != ALARM_OK &&
        a->recorded.level == (uint8_t)a->verdict.level) {
        snprintf(since, sizeof(since), ", since %s",
                 when_write(a->recorded.since_ns, c->now_ns).text);
    }
    if (a->rejected > 0) {
        snprintf(rejected, sizeof(rejected), ", %s of its calls rejected",
                 text_share(a->rejected, a->seen.calls, 0).text);
    }
    snprintf(out, size, "%s: %s%s%s", a->name, why, since, rejected);
}

static void
put_alarm(const struct check *c, const struct past_alarm *a)
{
    struct json *j = json_add_object(c->array);
    bool known = a->seen.unclear == 0 && !a->seen.damaged;

    json_put_text(j, "policy", a->name);
    json_put_text(j, "level", alarm_word(a->verdict.level));
    json_put_text(j, "why", a->verdict.words);
    json_put_time(j, "since",
                  a->recorded.level == (uint8_t)a->verdict.level
                      ? a->recorded.since_ns
                      : 0);
    json_put_truth(j, "enough_calls", !a->verdict.too_few);
    json_put_truth(j, "has_keys", alarm_has_rules(a->policy));
    json_put_ms(j, "breaker_ms", a->seen.breaker_ns);
    json_put_truth(j, "figures_known", known);
    if (known) {
        json_put_count(j, "calls", a->seen.calls);
        json_put_count(j, "failed", a->seen.failed);
        json_put_count(j, "rejected", a->rejected);
        json_put_count(j, "attempts", a->seen.attempts);
        json_put_count(j, "retries", a->seen.retries);
        json_put_ms(j, "p95_ms", a->seen.p95_ns);
        json_put_ms(j, "looked_at_ms", a->end_ns - a->begin_ns);
    }
}

static int
add_alarm(void *arg, const struct past_alarm *a)
{
    struct check *c = arg;
    enum alarm_level level = a->verdict.level;
    bool first = c->count == 0 || alarm_is_worse(level, c->worst);
    bool rejecting = a->rejected > 0 && 2 * a->rejected >= a->seen.calls;
    char words[WORDS_SIZE];

    if (!a->policy) {
        return 0;
    }
    c->damaged = a->damaged;
    c->judged += alarm_has_rules(a->policy) && !a->verdict.too_few &&
                 !a->verdict.unknown;
    c->count++;
    c->on[level]++;
    c->worst = first ? level : c->worst;
    if (c->object) {
        put_alarm(c, a);
        return 0;
    }
    describe_alarm(c, a, words, sizeof(words));
    if (first) {
        memcpy(c->first, words, sizeof(words));
    }
    c->rejecting += rejecting;
    if (level != ALARM_OK || c->line->count > 0 || rejecting) {
        draft_text(&c->more, alarm_word(level));
        draft_text(&c->more, " ");
        draft_text(&c->more, words);
        draft_text(&c->more, "\n");
    }
    put_all_perf(&c->perf, a);
    return 0;
}

/* ---- all policies ---- */

static const char *const status_words[] = {"OK", "WARNING", "CRITICAL",
                                           "UNKNOWN"};

/* Prints an error on standard output, because monitors read only that.  Returns
 * the exit status. */
static int
print_unknown(const char *why)
{
    printf("BIDE %s - ", status_words[UNKNOWN]);
    text_put(stdout, why, false);
    putchar('\n');
    return UNKNOWN;
}

static int
print_unknown_failure(int rc)
{
    struct explained e;

    explain_last(rc, &e);
    return print_unknown(e.why);
}

/* Returns the exit status: a recorder that has stopped is a warning. */
static int
find_status(const struct check *c)
{
    return *c->unrecorded && alarm_is_worse(ALARM_WARN, c->worst)
               ? ALARM_WARN
               : (int)c->worst;
}

static void
print_first(const struct check *c)
{
    printf("BIDE %s - %s%s", status_words[find_status(c)], c->unrecorded,
           *c->unrecorded && c->count > 0 ? "; " : "");
    if (c->count == 1 || c->worst != ALARM_OK) {
        fputs(c->first, stdout);
    }
    if (c->count > 1 && c->worst != ALARM_OK) {
        printf("; %zu critical, %zu %s, %zu unknown, of %zu policies",
               c->on[ALARM_CRIT], c->on[ALARM_WARN],
               text_plural(c->on[ALARM_WARN], "warning", "warnings"),
               c->on[ALARM_UNKNOWN], c->count);
    } else if (c->count > 1) {
        printf("%zu policies, %zu with enough calls to judge", c->count,
               c->judged);
    }
}

static int
print_all(const struct check *c, const char *perf, const char *more)
{
    print_first(c);
    if (c->count > 1 && c->rejecting > 0) {
        printf("; most calls rejected in %zu", c->rejecting);
    }
    if (c->damaged > 0) {
        printf("; %llu damaged history %s skipped",
               (unsigned long long)c->damaged,
               text_plural(c->damaged, "record", "records"));
    }
    if (c->on[ALARM_UNKNOWN] > 0) {
        fputs("; run: bide record --every 1m", stdout);
    }
    if (*c->uncounted) {
        fputs("; ", stdout);
        text_put(stdout, c->uncounted, false);
    }
    printf(" |%s\n", perf);
    if (c->count > 1) {
        fputs(more, stdout);
    }
    return find_status(c);
}

static int
print_check_text(struct check *c)
{
    int rc = admin_each_alarm(c->line->registry, c->line->operands,
                              (size_t)c->line->count, add_alarm, c);
    bool uncounted =
        uncounted_look(c->line->registry, c->uncounted, WORDS_SIZE);
    char *perf = draft_take(&c->perf), *more = draft_take(&c->more);
    int status;

    status = !perf || !more ? print_unknown("out of memory")
             : rc           ? print_unknown_failure(rc)
             : uncounted && find_status(c) == ALARM_OK
                 ? print_unknown(c->uncounted)
             : c->count == 0 && !*c->unrecorded
                 ? print_unknown("no policy has a breaker, or warn_ or "
                                 "crit_ keys, see: bide help keys")
                 : print_all(c, perf, more);
    free(perf);
    free(more);
    return status;
}

static int
print_check_json(struct check *c)
{
    int rc, status;

    c->object = json_object_new();
    c->array = json_in_array(c->object, "policies");
    rc = admin_each_alarm(c->line->registry, c->line->operands,
                          (size_t)c->line->count, add_alarm, c);
    if (*c->unrecorded) {
        json_put_text(c->object, "not_recorded", c->unrecorded);
    }
    status =
        rc || (c->count == 0 && !*c->unrecorded) ? UNKNOWN : find_status(c);
    if (!rc && uncounted_look(c->line->registry, c->uncounted, WORDS_SIZE)) {
        json_put_text(c->object, "not_counted", c->uncounted);
        status = status == ALARM_OK ? UNKNOWN : status;
    }
    json_put_text(c->object, "status", status_words[status]);
    json_put_count(c->object, "damaged", c->damaged);
    if (rc) {
        struct explained e;

        explain_last(rc, &e);
        json_put_text(c->object, "why", e.why);
    }
    return json_out(c->object) ? UNKNOWN : status;
}

int
check_command(struct command_line *line)
{
    struct check c = {.line = line, .now_ns = clock_realtime_ns()};

    if (!line->registry) {
        return print_unknown_failure(BIDE_EMISSING);
    }
    for (int i = 0; i < line->count; i++) {
        if (!policy_name_ok(line->operands[i])) {
            char why[WORDS_SIZE];

            snprintf(why, sizeof(why), "%s: not a valid policy name",
                     line->operands[i]);
            return print_unknown(why);
        }
    }
    unrecorded_look(line->registry, c.unrecorded, WORDS_SIZE);
    return line->option[OPTION_JSON] ? print_check_json(&c)
                                     : print_check_text(&c);
}
