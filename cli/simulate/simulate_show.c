/* Prints a simulation of many calls: figures, and a plot over time. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

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
per_call(uint64_t part, const struct traffic_report *r)
{
    return r->calls ? (double)part / (double)r->calls : 0;
}

static void
json_times(struct json *run, const char *key, const struct traffic_times *t)
{
    struct json *j = json_in_object(run, key);

    json_put_ms(j, "p50", traffic_at_ns(t, 0.5));
    json_put_ms(j, "p95", traffic_at_ns(t, 0.95));
    json_put_ms(j, "p99", traffic_at_ns(t, 0.99));
}

void
simulated_json_run(struct json *run, const struct simulated *s, int number)
{
    const struct traffic_report *r = &s->report[number];

    assert(number < s->runs);
    json_put_text(run, "rules", number ? "changed" : "present");
    json_put_count(run, "calls", r->calls);
    json_put_count(run, "attempts", r->attempts);
    json_put_number(run, "amplification", per_call(r->attempts, r));
    json_put_count(run, "attempts_failed", r->attempts_failed);
    json_put_count(run, "attempts_timed_out", r->timed_out);
    json_put_count(run, "retries_refused", r->retries_refused);
    json_put_count(run, "breaker_opened", r->breaker_opened);
    json_put_number(run, "success_share",
                    per_call(r->verdict[BIDE_SUCCEEDED], r));
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

static void
begin_row(struct table *t, const char *name)
{
    table_row(t);
    table_cell(t, 0, "%s", name);
}

static int
print_traffic(const struct simulated *s)
{
    static const struct table_column columns[] = {{"", 0}, {"", TABLE_WRAP}};
    struct table *t = table_new(columns, 2);
    char outcome[64], time[32];

    bide_outcome_name(s->traffic->failure, outcome, sizeof(outcome));
    begin_row(t, "policy");
    table_cell(t, 1, "%s", s->name);
    begin_row(t, "calls");
    table_cell(t, 1, "%s%s for %s, seed %llu", s->calls,
               s->traffic->even ? "" : " (Poisson)",
               duration_write(s->traffic->for_ns, time, sizeof(time)),
               (unsigned long long)s->traffic->seed);
    begin_row(t, "attempts");
    table_cell(t, 1, "take %s", s->takes);
    begin_row(t, "failures");
    table_cell(t, 1, "%s; %s after %s", s->fail, outcome, s->failure_takes);
    if (s->changes) {
        begin_row(t, "changed");
        table_cell(t, 1, "%s", s->changes);
    }
    return table_print_bare(t);
}

/* ---- figures ---- */

enum figure_form { COUNT, SHARE, TIMES, TIME }; /* TIMES: "1.44x" */

/* One row of the table: a value for each run. */
struct figure {
    const char *name;
    enum figure_form form;
    uint64_t value[2];
    bool always; /* also when all values are 0 */
};

static void
add_traffic_figure(struct table *t, const struct simulated *s,
                   const struct figure *f)
{
    char text[32];

    if (!f->always && f->value[0] == 0 && f->value[s->runs - 1] == 0) {
        return;
    }
    begin_row(t, f->name);
    for (int i = 0; i < s->runs; i++) {
        const struct traffic_report *r = &s->report[i];
        size_t at = (size_t)i + 1;

        switch (f->form) {
        case COUNT:
            text_count(f->value[i], text, sizeof(text));
            break;
        case SHARE:
            text_share(f->value[i], r->calls, 2, text, sizeof(text));
            break;
        case TIMES:
            snprintf(text, sizeof(text), "%.2fx", per_call(f->value[i], r));
            break;
        case TIME:
            duration_round(f->value[i], text, sizeof(text));
            break;
        }
        table_cell(t, at, "%s", text);
    }
}

#define OF_BOTH(s, field)                                      \
    {                                                          \
        (s)->report[0].field, (s)->report[(s)->runs - 1].field \
    }

static void
add_load(struct table *t, const struct simulated *s)
{
    bool breaker = is_breaker_on(s, 0) || is_breaker_on(s, s->runs - 1);
    const struct figure figures[] = {
        {"calls", COUNT, OF_BOTH(s, calls), true},
        {"attempts", COUNT, OF_BOTH(s, attempts), true},
        {"attempts per call", TIMES, OF_BOTH(s, attempts), true},
        {"attempts timed out", COUNT, OF_BOTH(s, timed_out), false},
        {"retries refused", COUNT, OF_BOTH(s, retries_refused), true},
        {"times the breaker opened", COUNT, OF_BOTH(s, breaker_opened),
         breaker},
    };

    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
        add_traffic_figure(t, s, &figures[i]);
    }
}

static void
add_verdicts(struct table *t, const struct simulated *s)
{
    const struct figure figures[] = {
        {"calls that succeeded", SHARE, OF_BOTH(s, verdict[BIDE_SUCCEEDED]),
         true},
        {"  after a retry", SHARE, OF_BOTH(s, recovered), false},
        {"calls that gave up", SHARE, OF_BOTH(s, verdict[BIDE_EXHAUSTED]),
         true},
    };
    const struct figure others[] = {
        {"calls refused", SHARE, OF_BOTH(s, verdict[BIDE_REFUSED]), false},
        {"calls rejected", SHARE, OF_BOTH(s, verdict[BIDE_REJECTED]), false},
        {"calls unfinished", SHARE, OF_BOTH(s, unfinished), false},
    };

    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
        add_traffic_figure(t, s, &figures[i]);
    }
    for (int i = 0; i < TRAFFIC_REASONS; i++) { /* below "gave up" */
        char name[40];
        struct figure f = {name, SHARE, OF_BOTH(s, exhausted[i]), false};

        snprintf(name, sizeof(name), "  by %s",
                 bide_reason_name((enum bide_reason)i));
        add_traffic_figure(t, s, &f);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        add_traffic_figure(t, s, &others[i]);
    }
}

static void
add_answer_times(struct table *t, const struct simulated *s)
{
    static const struct {
        const char *name;
        double share;
    } rows[] = {{"time to answer, p50", 0.5},
                {"                p95", 0.95},
                {"                p99", 0.99}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct figure f = {rows[i].name, TIME, {0, 0}, true};

        for (int k = 0; k < s->runs; k++) {
            f.value[k] = traffic_at_ns(&s->report[k].answer, rows[i].share);
        }
        add_traffic_figure(t, s, &f);
    }
}

static int
print_figures(const struct simulated *s)
{
    static const struct table_column columns[] = {
        {"", 0}, {"NOW", TABLE_RIGHT}, {"CHANGED", TABLE_RIGHT}};
    struct table *t = table_new(columns, (size_t)s->runs + 1);

    add_load(t, s);
    add_verdicts(t, s);
    add_answer_times(t, s);
    return s->runs == 1 ? table_print_bare(t) : table_print(t);
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
            begin_row(t, names[line][i]);
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
