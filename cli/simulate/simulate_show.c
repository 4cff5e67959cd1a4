/* Prints a simulation of many calls: figures, and a plot over time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include "base/duration.h"
#include "cli/out/json.h"
#include "cli/out/plot.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "policy/rules.h"
#include "simulate/traffic_report.h"
#include "simulate.h"

const struct percentile percentiles[PERCENTILES] = {
    {"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}};

/* ---- JSON ---- */

static void
json_verdicts(struct json *run, const struct traffic_report *r)
{
    struct json *verdicts = json_in_object(run, "verdicts");
    struct json *reasons = json_in_object(run, "exhausted_by");

    for (int i = 0; i < TRAFFIC_VERDICTS; i++) {
        if (i != BIDE_CANCELLED) {
            json_put_count(verdicts, bide_verdict_name((enum bide_verdict)i),
                           r->verdict[i]);
        }
    }
    for (int i = 0; i < TRAFFIC_REASONS; i++) {
        if (r->exhausted[i]) {
            json_put_count(reasons, bide_reason_name((enum bide_reason)i),
                           r->exhausted[i]);
        }
    }
}

static void
json_series(struct json *run, const struct traffic_report *r)
{
    struct json *series = json_in_array(run, "series");
    size_t count = TRAFFIC_SLICES_ALL;

    while (count > TRAFFIC_SLICES && r->slice[count - 1].attempts == 0 &&
           r->slice[count - 1].succeeded == 0 &&
           r->slice[count - 1].failed == 0) {
        count--;
    }
    for (size_t i = 0; i < count; i++) {
        const struct traffic_slice *slice = &r->slice[i];
        struct json *at = json_add_object(series);

        json_put_ms(at, "t_ms", i * r->slice_ns);
        json_put_count(at, "calls", slice->calls);
        json_put_count(at, "attempts", slice->attempts);
        json_put_count(at, "succeeded", slice->succeeded);
        json_put_count(at, "failed", slice->failed);
        json_put_count(at, "refused", slice->refused);
        json_put_count(at, "retries_refused", slice->retries_refused);
    }
}

static double
per_call(uint64_t part, uint64_t calls)
{
    return calls ? (double)part / (double)calls : 0;
}

static void
json_times(struct json *run, const char *key, const struct traffic_times *t)
{
    struct json *j = json_in_object(run, key);

    for (size_t i = 0; i < PERCENTILES; i++) {
        json_put_ms(j, percentiles[i].name,
                    traffic_at_ns(t, percentiles[i].share));
    }
}

void
simulated_json_figures(struct json *j, const struct traffic_report *r,
                       bool recorded)
{
    json_put_count(j, "calls", r->calls);
    json_put_count(j, "attempts", r->attempts);
    json_put_number(j, "amplification", per_call(r->attempts, r->calls));
    json_put_count(j, "attempts_failed", r->attempts_failed);
    if (!recorded) {
        json_put_count(j, "attempts_timed_out", r->timed_out);
        json_put_count(j, "retries_refused", r->retries_refused);
    }
    json_put_count(j, "breaker_opened", r->breaker_opened);
    json_put_number(j, "success_share",
                    per_call(r->verdict[BIDE_SUCCEEDED], r->calls));
}

void
simulated_json_runs(struct json *j, const struct simulated *s)
{
    struct json *runs = json_in_array(j, "runs");

    for (int i = 0; i < s->runs; i++) {
        const struct traffic_report *r = &s->report[i];
        struct json *run = json_add_object(runs);

        json_put_text(run, "rules", i ? "changed" : "present");
        simulated_json_figures(run, r, false);
        json_put_count(run, "recovered", r->recovered);
        json_verdicts(run, r);
        json_put_count(run, "unfinished", r->unfinished);
        json_times(run, "answer_ms", &r->answer);
        json_times(run, "attempt_ms", &r->took);
        json_put_ms(run, "slice_ms", r->slice_ns);
        json_series(run, r);
    }
}

struct json *
simulated_json(const struct simulated *s)
{
    struct json *j = json_object_new();

    json_put_text(j, "policy", s->policy[0]->name);
    if (s->changes) {
        json_put_text(j, "changes", s->changes);
    }
    return j;
}

/* ---- figures ---- */

enum shown {
    NEVER,
    IF_ANY,       /* if a value is not 0 */
    UNRECORDED,   /* the same, but history does not have it */
    WITH_BREAKER, /* IF_ANY; always if the policy has a breaker */
    ALWAYS,
};

#define OF(field) offsetof(struct traffic_report, field)
static const struct figure {
    const char *name;
    enum { COUNT, SHARE, TIMES } form; /* TIMES: "1.44x" */
    size_t field;                      /* of struct traffic_report */
    enum shown drawn, replayed;        /* in the two kinds of simulation */
} figures[] = {
    {"calls", COUNT, OF(calls), ALWAYS, ALWAYS},
    {"attempts", COUNT, OF(attempts), ALWAYS, ALWAYS},
    {"attempts per call", TIMES, OF(attempts), ALWAYS, ALWAYS},
    {"attempts that failed", COUNT, OF(attempts_failed), NEVER, ALWAYS},
    {"  timed out", COUNT, OF(timed_out), NEVER, UNRECORDED},
    {"attempts timed out", COUNT, OF(timed_out), IF_ANY, NEVER},
    {"retries refused", COUNT, OF(retries_refused), ALWAYS, UNRECORDED},
    {"times the breaker opened", COUNT, OF(breaker_opened), WITH_BREAKER,
     IF_ANY},
    {"calls that succeeded", SHARE, OF(verdict[BIDE_SUCCEEDED]), ALWAYS,
     ALWAYS},
    {"  after a retry", SHARE, OF(recovered), IF_ANY, IF_ANY},
    {"calls exhausted", SHARE, OF(verdict[BIDE_EXHAUSTED]), ALWAYS, ALWAYS},
#define X(reason, number, text) \
    {"  by " text, SHARE, OF(exhausted[reason]), IF_ANY, NEVER},
    BIDE_REASONS(X)
#undef X
        {"calls refused", SHARE, OF(verdict[BIDE_REFUSED]), IF_ANY, ALWAYS},
    {"calls rejected", SHARE, OF(verdict[BIDE_REJECTED]), IF_ANY, IF_ANY},
    {"calls unfinished", SHARE, OF(unfinished), IF_ANY, UNRECORDED},
};

/* Returns the report of a column; NULL: there is no such column. */
static const struct traffic_report *
report_of(const struct simulated *s, int column)
{
    int run = column - (s->recorded != NULL);

    return run < 0 ? s->recorded : run < s->runs ? &s->report[run] : NULL;
}

static uint64_t
figure_of(const struct traffic_report *r, const struct figure *f)
{
    return *(const uint64_t *)(const void *)((const char *)r + f->field);
}

static bool
is_figure_shown(const struct simulated *s, const struct figure *f)
{
    enum shown shown = s->recorded ? f->replayed : f->drawn;
    const struct traffic_report *r;
    bool any = shown == ALWAYS;

    for (int i = 0; (r = report_of(s, i)); i++) {
        any = any || figure_of(r, f) > 0;
    }
    for (int i = 0; i < s->runs && shown == WITH_BREAKER; i++) {
        any = any || s->policy[i]->breaker.mode == BREAKER_ON;
    }
    return any && shown != NEVER;
}

static void
add_figure(struct table *t, const struct simulated *s, const struct figure *f)
{
    int first = s->recorded && f->replayed == UNRECORDED;
    const struct traffic_report *r;
    struct brief text;

    table_row_of(t, f->name);
    for (int i = first; (r = report_of(s, i)); i++) {
        uint64_t value = figure_of(r, f);

        if (f->form == COUNT) {
            text = text_count(value);
        } else if (f->form == SHARE) {
            text = text_share(value, r->calls, 2);
        } else {
            snprintf(text.text, sizeof(text.text), "%.2fx",
                     per_call(value, r->calls));
        }
        table_cell(t, (size_t)i + 1, "%s", text.text);
    }
}

/* Adds the percentiles of the times to answer, or those of attempts. */
static void
add_times(struct table *t, const struct simulated *s, bool answers)
{
    const char *title = answers ? "time to answer, " : "an attempt takes, ";
    const struct traffic_report *r;
    char text[64];

    for (size_t i = 0; i < PERCENTILES; i++) {
        snprintf(text, sizeof(text), "%*s%s", (int)strlen(title),
                 i == 0 ? title : "", percentiles[i].name);
        table_row_of(t, text);
        for (int k = s->recorded && answers; (r = report_of(s, k)); k++) {
            uint64_t ns = r == s->recorded
                              ? s->recorded_ns[i]
                              : traffic_at_ns(answers ? &r->answer : &r->took,
                                              percentiles[i].share);

            table_cell(t, (size_t)k + 1, "%s", duration_round(ns).text);
        }
    }
}

static int
print_figures(const struct simulated *s)
{
    struct table_column columns[] = {{"", 0},
                                     {"RECORDED", TABLE_RIGHT},
                                     {"NOW", TABLE_RIGHT},
                                     {"CHANGED", TABLE_RIGHT}};
    struct table *t;

    if (!s->recorded) {
        columns[1] = columns[2];
        columns[2] = columns[3];
    }
    t = table_new(columns, (size_t)s->runs + (s->recorded ? 2 : 1));
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
        if (is_figure_shown(s, &figures[i])) {
            add_figure(t, s, &figures[i]);
        }
    }
    if (s->recorded) {
        add_times(t, s, false);
    }
    add_times(t, s, true);
    return s->runs == 1 && !s->recorded ? table_print_bare(t) : table_print(t);
}

/* ---- over time ---- */

enum plot_line { LINE_CALLS, LINE_ATTEMPTS, LINE_FAILED, LINES };

static double
per_second(const struct traffic_report *r, size_t slice, enum plot_line line)
{
    const struct traffic_slice *s = &r->slice[slice];
    uint64_t count = line == LINE_CALLS      ? s->calls
                     : line == LINE_ATTEMPTS ? s->attempts
                                             : s->failed;

    return (double)count / ((double)r->slice_ns / 1e9);
}

static double
peak_of(const struct traffic_report *r, enum plot_line line)
{
    double peak = 0;

    for (size_t i = 0; i < TRAFFIC_SLICES; i++) {
        double rate = per_second(r, i, line);

        peak = rate > peak ? rate : peak;
    }
    return peak;
}

static void
add_plot_row(struct table *t, const struct traffic_report *r,
             enum plot_line line, double top, size_t width)
{
    double values[TRAFFIC_SLICES], peak = peak_of(r, line);
    char *drawn;

    for (size_t i = 0; i < TRAFFIC_SLICES; i++) {
        values[i] = per_second(r, i, line);
    }
    drawn = plot_series(values, TRAFFIC_SLICES, top, width);
    table_cell(t, 1, "%s", text_number(peak).text);
    table_cell(t, 2, "%s", drawn ? drawn : "");
    free(drawn);
}

/* All lines share one scale, so that their heights can be compared. */
static int
print_plot(const struct simulated *s)
{
    static const char *const names[LINES][2] = {
        {"calls/s", ""},
        {"attempts/s", "attempts/s, changed"},
        {"failed/s", "failed/s, changed"},
    };
    size_t taken = s->runs == 1 ? 21 : 30, width = text_width();
    struct plot plot = {s->traffic.for_ns,
                        width > taken + 20 ? width - taken : 20};
    struct table_column columns[] = {{"", 0}, {"PEAK", TABLE_RIGHT}, {"", 0}};
    double top = 0;
    struct table *t;
    char *axis;

    plot.width = plot.width > TRAFFIC_SLICES ? TRAFFIC_SLICES : plot.width;
    axis = plot_axis(&plot);
    columns[2].title = axis ? axis : "";
    t = table_new(columns, 3);
    for (int i = 0; i < s->runs * LINES; i++) {
        double peak =
            peak_of(&s->report[i / LINES], (enum plot_line)(i % LINES));

        top = peak > top ? peak : top;
    }
    for (int line = 0; line < LINES; line++) {
        for (int i = 0; i < (line == LINE_CALLS ? 1 : s->runs); i++) {
            table_row_of(t, names[line][i]);
            add_plot_row(t, &s->report[i], (enum plot_line)line, top,
                         plot.width);
        }
    }
    free(axis);
    return table_print(t);
}

int
simulated_print(const struct simulated *s)
{
    if (print_figures(s)) {
        return BIDE_ENOMEM;
    }
    putchar('\n');
    return print_plot(s);
}
