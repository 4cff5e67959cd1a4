/* Prints a simulation of many calls: figures, and a plot over time. */
#include <assert.h>
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
#include "simulate/traffic.h"
#include "simulate/traffic_report.h"
#include "simulate.h"

const struct percentile percentiles[PERCENTILES] = {
    {"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}};

static bool
is_breaker_on(const struct simulated *s, int run)
{
    return s->policy[run]->breaker.mode == BREAKER_ON;
}

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
simulated_json_run(struct json *run, const struct simulated *s, int number)
{
    const struct traffic_report *r = &s->report[number];

    assert(number < s->runs);
    json_put_text(run, "rules", number ? "changed" : "present");
    json_put_count(run, "calls", r->calls);
    json_put_count(run, "attempts", r->attempts);
    json_put_number(run, "amplification", per_call(r->attempts, r->calls));
    json_put_count(run, "attempts_failed", r->attempts_failed);
    json_put_count(run, "attempts_timed_out", r->timed_out);
    json_put_count(run, "retries_refused", r->retries_refused);
    json_put_count(run, "breaker_opened", r->breaker_opened);
    json_put_number(run, "success_share",
                    per_call(r->verdict[BIDE_SUCCEEDED], r->calls));
    json_put_count(run, "recovered", r->recovered);
    json_verdicts(run, r);
    json_put_count(run, "unfinished", r->unfinished);
    json_times(run, "answer_ms", &r->answer);
    json_times(run, "attempt_ms", &r->took);
    json_put_ms(run, "slice_ms", r->slice_ns);
    json_series(run, r);
}

int
simulated_json(const struct simulated *s)
{
    struct json *j = json_object_new(), *runs;
    char outcome[64];

    bide_outcome_name(s->traffic->failure, outcome, sizeof(outcome));
    json_put_text(j, "policy", s->name);
    if (s->changes) {
        json_put_text(j, "changes", s->changes);
    }
    json_put_number(j, "calls_per_s", s->traffic->calls_per_s);
    json_put_text(j, "arrivals", s->traffic->even ? "even" : "poisson");
    json_put_ms(j, "for_ms", s->traffic->for_ns);
    json_put_text(j, "fail", s->fail);
    json_put_text(j, "outcome", outcome);
    json_put_text(j, "latency", s->takes);
    json_put_text(j, "fail_latency", s->failure_takes);
    json_put_count(j, "seed", s->traffic->seed);
    runs = json_in_array(j, "runs");
    for (int i = 0; i < s->runs; i++) {
        simulated_json_run(json_add_object(runs), s, i);
    }
    return json_out(j);
}

/* ---- the traffic ---- */

static int
print_traffic(const struct simulated *s)
{
    static const struct table_column columns[] = {{"", 0}, {"", TABLE_WRAP}};
    struct table *t = table_new(columns, 2);
    char outcome[64], time[32];

    bide_outcome_name(s->traffic->failure, outcome, sizeof(outcome));
    table_row_of(t, "policy");
    table_cell(t, 1, "%s", s->name);
    table_row_of(t, "calls");
    table_cell(t, 1, "%s%s for %s, seed %llu", s->calls,
               s->traffic->even ? "" : " (Poisson)",
               duration_write(s->traffic->for_ns, time, sizeof(time)),
               (unsigned long long)s->traffic->seed);
    table_row_of(t, "attempts");
    table_cell(t, 1, "take %s", s->takes);
    table_row_of(t, "failures");
    table_cell(t, 1, "%s; %s after %s", s->fail, outcome, s->failure_takes);
    if (s->changes) {
        table_row_of(t, "changed");
        table_cell(t, 1, "%s", s->changes);
    }
    return table_print_bare(t);
}

/* ---- figures ---- */

static void
write_figure(const struct figure *f, uint64_t value, uint64_t calls, char *out,
             size_t size)
{
    switch (f->form) {
    case COUNT:
        text_count(value, out, size);
        break;
    case SHARE:
        text_share(value, calls, 2, out, size);
        break;
    case TIMES:
        snprintf(out, size, "%.2fx", per_call(value, calls));
        break;
    case TIME:
        duration_round(value, out, size);
        break;
    }
}

static void
add_figure(const struct comparison *c, const struct figure *f)
{
    bool any = f->flags & ALWAYS;
    char text[32];

    for (int i = 0; i < c->columns; i++) {
        any = any || f->value[i] > 0;
    }
    if (!any) {
        return;
    }
    table_row_of(c->table, f->name);
    for (int i = f->flags & UNRECORDED ? 1 : 0; i < c->columns; i++) {
        write_figure(f, f->value[i], c->calls[i], text, sizeof(text));
        table_cell(c->table, (size_t)i + 1, "%s", text);
    }
}

void
simulated_figures(const struct comparison *c, const struct figure *list,
                  size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add_figure(c, &list[i]);
    }
}

#define OF_BOTH(s, field)                                      \
    {                                                          \
        (s)->report[0].field, (s)->report[(s)->runs - 1].field \
    }

static void
add_counts(const struct comparison *c, const struct simulated *s)
{
    bool breaker = is_breaker_on(s, 0) || is_breaker_on(s, s->runs - 1);
    const struct figure figures[] = {
        {"calls", COUNT, OF_BOTH(s, calls), ALWAYS},
        {"attempts", COUNT, OF_BOTH(s, attempts), ALWAYS},
        {"attempts per call", TIMES, OF_BOTH(s, attempts), ALWAYS},
        {"attempts timed out", COUNT, OF_BOTH(s, timed_out), 0},
        {"retries refused", COUNT, OF_BOTH(s, retries_refused), ALWAYS},
        {"times the breaker opened", COUNT, OF_BOTH(s, breaker_opened),
         breaker ? ALWAYS : 0},
        {"calls that succeeded", SHARE, OF_BOTH(s, verdict[BIDE_SUCCEEDED]),
         ALWAYS},
        {"  after a retry", SHARE, OF_BOTH(s, recovered), 0},
        {"calls exhausted", SHARE, OF_BOTH(s, verdict[BIDE_EXHAUSTED]), ALWAYS},
    };
    const struct figure others[] = {
        {"calls refused", SHARE, OF_BOTH(s, verdict[BIDE_REFUSED]), 0},
        {"calls rejected", SHARE, OF_BOTH(s, verdict[BIDE_REJECTED]), 0},
        {"calls unfinished", SHARE, OF_BOTH(s, unfinished), 0},
    };

    simulated_figures(c, figures, sizeof(figures) / sizeof(figures[0]));
    for (int i = 0; i < TRAFFIC_REASONS; i++) { /* below "exhausted" */
        char name[40];
        struct figure f = {name, SHARE, OF_BOTH(s, exhausted[i]), 0};

        snprintf(name, sizeof(name), "  by %s",
                 bide_reason_name((enum bide_reason)i));
        add_figure(c, &f);
    }
    simulated_figures(c, others, sizeof(others) / sizeof(others[0]));
}

void
simulated_times(const struct comparison *c, const struct simulated *s,
                bool answers, const uint64_t *recorded)
{
    const char *title = answers ? "time to answer, " : "an attempt takes, ";
    int first = c->columns - s->runs;

    for (size_t i = 0; i < PERCENTILES; i++) {
        char name[40];
        struct figure f = {name, TIME, {recorded ? recorded[i] : 0}, ALWAYS};

        snprintf(name, sizeof(name), "%*s%s", (int)strlen(title),
                 i == 0 ? title : "", percentiles[i].name);
        f.flags |= first > 0 && !recorded ? UNRECORDED : 0;
        for (int k = 0; k < s->runs; k++) {
            const struct traffic_report *r = &s->report[k];

            f.value[first + k] = traffic_at_ns(answers ? &r->answer : &r->took,
                                               percentiles[i].share);
        }
        add_figure(c, &f);
    }
}

static int
print_figures(const struct simulated *s)
{
    static const struct table_column columns[] = {
        {"", 0}, {"NOW", TABLE_RIGHT}, {"CHANGED", TABLE_RIGHT}};
    struct comparison c = {table_new(columns, (size_t)s->runs + 1), s->runs,
                           OF_BOTH(s, calls)};

    add_counts(&c, s);
    simulated_times(&c, s, true, NULL);
    return s->runs == 1 ? table_print_bare(c.table) : table_print(c.table);
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
    char *drawn, text[32];

    for (size_t i = 0; i < TRAFFIC_SLICES; i++) {
        values[i] = per_second(r, i, line);
    }
    drawn = plot_series(values, TRAFFIC_SLICES, top, width);
    table_cell(t, 1, "%s", text_number(peak, text, sizeof(text)));
    table_cell(t, 2, "%s", drawn ? drawn : "");
    free(drawn);
}

/* All lines share one scale, so that their heights can be compared. */
int
simulated_plot(const struct simulated *s)
{
    static const char *const names[LINES][2] = {
        {"calls/s", ""},
        {"attempts/s", "attempts/s, changed"},
        {"failed/s", "failed/s, changed"},
    };
    size_t taken = s->runs == 1 ? 21 : 30, width = text_width();
    struct plot plot = {s->traffic->for_ns,
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
    if (print_traffic(s)) {
        return BIDE_ENOMEM;
    }
    putchar('\n');
    if (print_figures(s)) {
        return BIDE_ENOMEM;
    }
    putchar('\n');
    return simulated_plot(s);
}
