/* bide simulate --replay: repeats recorded traffic under other rules. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin/open.h"
#include "admin/read.h"
#include "admin/replay.h"
#include "base/duration.h"
#include "cli/command/number.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "cli/history/history.h"
#include "cli/out/json.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "cli/view/guard.h"
#include "live/counters.h"
#include "policy/rules.h"
#include "record/past.h"
#include "simulate/traffic.h"
#include "store/history/figures.h"
#include "store/policies/record.h"
#include "simulate.h"

/* Intervals that are longer than this are mentioned in the assumptions: their
 * peaks are unknown. */
#define COARSE_NS (5 * UINT64_C(60000000000))

enum { ASSUMED_MAX = 10, COLUMNS = 3 };

struct replay {
    struct command_line *line;
    struct admin_replay history;
    struct bide_stats recorded;
    uint32_t version; /* of the present rules; 0: they come from a file */
    struct simulated simulated;
    struct traffic traffic;
    uint64_t since_ns, until_ns, now_ns;
    size_t assumed_count;
    char assumed[ASSUMED_MAX][256];
};

/* ---- assumptions ---- */

static __attribute__((format(printf, 2, 3))) void
add_assumption(struct replay *r, const char *format, ...)
{
    va_list args;

    assert(r->assumed_count < ASSUMED_MAX);
    va_start(args, format);
    vsnprintf(r->assumed[r->assumed_count++], sizeof(r->assumed[0]), format,
              args);
    va_end(args);
}

static void
add_version_assumption(struct replay *r)
{
    const struct admin_replay *h = &r->history;

    if (!h->first_version || (h->first_version == h->last_version &&
                              h->last_version == r->version)) {
        return;
    }
    if (h->first_version == h->last_version) {
        add_assumption(
            r,
            "The calls were recorded under version %u, which is not the "
            "present one.",
            h->first_version);
    } else {
        add_assumption(
            r,
            "The calls were recorded under versions %u to %u. The present "
            "rules are simulated for all of them.",
            h->first_version, h->last_version);
    }
}

static void
add_assumptions(struct replay *r)
{
    const struct admin_replay *h = &r->history;
    char text[64], outcome[64];

    add_assumption(
        r, "In each interval, attempts fail at the recorded rate, with the "
           "recorded outcomes and latencies. First attempts and retries "
           "have separate rates. The load does not change these rates.");
    add_assumption(
        r, "Within an interval every retry has the same chance of success, "
           "regardless of earlier failures and waits. If some calls can "
           "never succeed, additional attempts help less than shown here.");
    add_assumption(
        r, "The recorded number of calls begins, spread over each interval. "
           "There are no Retry-After hints: they are not recorded.");
    add_version_assumption(r);
    if (h->longest_ns > COARSE_NS) {
        add_assumption(
            r,
            "The longest interval is %s. Calls are spread evenly within "
            "it; its peaks are unknown.",
            duration_round(h->longest_ns, text, sizeof(text)));
    }
    if (h->scope_count > 1) {
        add_assumption(
            r, "There are %zu scopes. Each has its own budget and breaker.",
            h->scope_count);
    }
    if (r->recorded.refused > 0) {
        add_assumption(r,
                       "Refused calls made no attempt, so their outcomes are "
                       "unknown. They get the outcomes of other calls at that "
                       "time.");
    }
    if (r->recorded.cancelled > 0) {
        add_assumption(
            r, "%llu cancelled calls are not cancelled in the simulation.",
            (unsigned long long)r->recorded.cancelled);
    }
    if (h->unknown > 0) {
        bide_outcome_name(r->traffic.failure, outcome, sizeof(outcome));
        add_assumption(
            r,
            "%llu failed attempts have no recorded outcome. They get the "
            "outcomes of other attempts, or %s if no other "
            "outcome is known.",
            (unsigned long long)h->unknown, outcome);
    }
}

/* ---- figures side by side ---- */

#define OF_ALL(r, recorded_value, field)                         \
    {                                                            \
        (recorded_value), (r)->simulated.report[0].field,        \
            (r)->simulated.report[(r)->simulated.runs - 1].field \
    }

static void
add_counts(const struct comparison *c, const struct replay *r)
{
    const struct bide_stats *s = &r->recorded;
    const struct figure figures[] = {
        {"calls", COUNT, OF_ALL(r, c->calls[0], calls), ALWAYS},
        {"attempts", COUNT, OF_ALL(r, s->attempts, attempts), ALWAYS},
        {"attempts per call", TIMES, OF_ALL(r, s->attempts, attempts), ALWAYS},
        {"attempts that failed", COUNT,
         OF_ALL(r, s->attempts_failed, attempts_failed), ALWAYS},
        {"  timed out", COUNT, OF_ALL(r, 0, timed_out), UNRECORDED},
        {"retries refused", COUNT, OF_ALL(r, 0, retries_refused), UNRECORDED},
        {"times the breaker opened", COUNT,
         OF_ALL(r, r->history.recorded.opened, breaker_opened), 0},
        {"calls that succeeded", SHARE,
         OF_ALL(r, s->succeeded, verdict[BIDE_SUCCEEDED]), ALWAYS},
        {"  after a retry", SHARE, OF_ALL(r, s->recovered, recovered), 0},
        {"calls exhausted", SHARE,
         OF_ALL(r, s->exhausted, verdict[BIDE_EXHAUSTED]), ALWAYS},
        {"calls refused", SHARE, OF_ALL(r, s->refused, verdict[BIDE_REFUSED]),
         ALWAYS},
        {"calls rejected", SHARE,
         OF_ALL(r, s->rejected, verdict[BIDE_REJECTED]), 0},
        {"calls unfinished", SHARE, OF_ALL(r, 0, unfinished), UNRECORDED},
    };

    simulated_figures(c, figures, sizeof(figures) / sizeof(figures[0]));
}

static uint64_t
recorded_at_ns(const struct replay *r, size_t percentile)
{
    return figures_at_ns(&r->history.recorded, percentiles[percentile].share);
}

static void
add_latencies(const struct comparison *c, const struct replay *r)
{
    uint64_t recorded[PERCENTILES];

    for (size_t i = 0; i < PERCENTILES; i++) {
        recorded[i] = recorded_at_ns(r, i);
    }
    simulated_times(c, &r->simulated, false, recorded);
    simulated_times(c, &r->simulated, true, NULL);
}

/* ---- as text ---- */

static void
print_replay_title(const struct replay *r)
{
    const struct simulated *s = &r->simulated;
    char begin[64], end[64];

    text_put(stdout, s->name, false);
    printf(", %s to %s, seed %llu\n",
           when_write(r->history.begin_ns, r->now_ns, begin, sizeof(begin)),
           when_write(r->history.end_ns, r->now_ns, end, sizeof(end)),
           (unsigned long long)r->traffic.seed);
    if (s->changes) {
        fputs("changed: ", stdout);
        text_put(stdout, s->changes, false);
        putchar('\n');
    }
    putchar('\n');
}

static int
print_replay(const struct replay *r)
{
    static const struct table_column columns[COLUMNS + 1] = {
        {"", 0},
        {"RECORDED", TABLE_RIGHT},
        {"NOW", TABLE_RIGHT},
        {"CHANGED", TABLE_RIGHT}};
    struct comparison c = {
        table_new(columns, (size_t)r->simulated.runs + 2),
        r->simulated.runs + 1,
        OF_ALL(r, figures_calls(&r->history.recorded), calls)};

    print_replay_title(r);
    add_counts(&c, r);
    add_latencies(&c, r);
    if (table_print(c.table)) {
        return BIDE_ENOMEM;
    }
    putchar('\n');
    if (simulated_plot(&r->simulated)) {
        return BIDE_ENOMEM;
    }
    puts("\nAssumed:");
    for (size_t i = 0; i < r->assumed_count; i++) {
        printf("- %s\n", r->assumed[i]);
    }
    return 0;
}

/* ---- for programs ---- */

static void
put_recorded_figures(struct json *j, const struct replay *r)
{
    const struct bide_stats *s = &r->recorded;
    uint64_t calls = figures_calls(&r->history.recorded);
    struct json *attempt;

    json_put_count(j, "calls", calls);
    json_put_count(j, "attempts", s->attempts);
    json_put_number(j, "amplification",
                    calls > 0 ? (double)s->attempts / (double)calls : 0);
    json_put_count(j, "attempts_failed", s->attempts_failed);
    json_put_count(j, "breaker_opened", r->history.recorded.opened);
    json_put_number(j, "success_share",
                    calls > 0 ? (double)s->succeeded / (double)calls : 0);
    for (size_t i = 0; i < COUNTER_ROWS; i++) {
        const struct counter_row *row = &counter_rows[i];

        /* The simulation does not know the importance, which divides
         * `exhausted`. */
        if (row->name && row->unit == COUNTER_OF_CALLS &&
            !(row->flags & COUNTER_IS_EXHAUSTED)) {
            json_put_count(j, row->name, counter_of(s, row));
        }
    }
    attempt = json_in_object(j, "attempt_ms");
    for (size_t i = 0; i < PERCENTILES; i++) {
        json_put_ms(attempt, percentiles[i].name, recorded_at_ns(r, i));
    }
}

static int
print_replay_json(const struct replay *r)
{
    struct json *j = json_object_new(), *array;

    json_put_text(j, "policy", r->simulated.name);
    if (r->simulated.changes) {
        json_put_text(j, "changes", r->simulated.changes);
    }
    json_put_s(j, "begin", r->history.begin_ns);
    json_put_s(j, "end", r->history.end_ns);
    json_put_count(j, "scopes", r->history.scope_count);
    json_put_count(j, "first_version", r->history.first_version);
    json_put_count(j, "last_version", r->history.last_version);
    json_put_count(j, "present_version", r->version);
    json_put_count(j, "damaged", r->history.past.damaged);
    json_put_count(j, "seed", r->traffic.seed);
    put_recorded_figures(json_in_object(j, "recorded"), r);
    array = json_in_array(j, "runs");
    for (int i = 0; i < r->simulated.runs; i++) {
        simulated_json_run(json_add_object(array), &r->simulated, i);
    }
    array = json_in_array(j, "assumed");
    for (size_t i = 0; i < r->assumed_count; i++) {
        json_put_text(array, NULL, r->assumed[i]);
    }
    return json_out(j);
}

/* ---- reading ---- */

static int
say_no_calls(const struct replay *r)
{
    char since[64], until[64];

    say("%s: no calls were recorded from %s to %s", r->simulated.name,
        when_write_iso(r->since_ns, since, sizeof(since)),
        when_write_iso(r->until_ns < r->now_ns ? r->until_ns : r->now_ns, until,
                       sizeof(until)));
    return STATUS_NO;
}

static int
read_recorded_calls(struct replay *r, const struct policy *present)
{
    struct command_line *line = r->line;
    struct record now;
    int rc =
        admin_replay(line->registry, present->name, line->option[OPTION_SCOPE],
                     r->since_ns, r->until_ns, &r->history);

    if (rc) {
        return say_failure(rc, "history");
    }
    if (r->history.past.damaged > 0) {
        history_say_damaged(&r->history.past, r->history.past.damaged);
    }
    if (figures_calls(&r->history.recorded) == 0 ||
        r->history.end_ns <= r->history.begin_ns) {
        return say_no_calls(r);
    }
    if (!source_is_file(line->operands[0]) &&
        admin_policy(line->registry, present->name, &now) == 0) {
        r->version = now.version;
        record_free(&now);
    }
    past_figures(&r->history.recorded, 0, &r->recorded);
    r->traffic.for_ns = r->history.end_ns - r->history.begin_ns;
    r->traffic.failure = traffic_failure(present);
    add_assumptions(r);
    return 0;
}

static int
read_replay_options(struct replay *r)
{
    struct command_line *line = r->line;
    uint32_t seed = 1;

    if (!line->registry) {
        return say_failure(BIDE_EMISSING, "registry");
    }
    r->now_ns = past_now_ns(admin_past(line->registry));
    if (!line->option[OPTION_SINCE]) {
        line->option[OPTION_SINCE] = "-1h";
    }
    if (number_read_option(line, OPTION_SEED, 0, &seed)) {
        return STATUS_USAGE;
    }
    r->traffic.seed = seed;
    return guard_scope_check(line)
               ? STATUS_INPUT
               : history_times(line, r->now_ns, &r->since_ns, &r->until_ns);
}

int
simulate_replay(struct command_line *line)
{
    struct replay *r = calloc(1, sizeof(*r));
    struct simulate_rules rules = {0};
    int status;

    if (!r) {
        return say_no_memory();
    }
    r->line = line;
    status = read_replay_options(r);
    if (status == 0) {
        status = simulate_rules(line, &rules);
    }
    if (status == 0) {
        r->simulated = (struct simulated){
            .name = rules.policy[0]->name,
            .changes = rules.changes,
            .traffic = &r->traffic,
            .policy = {rules.policy[0], rules.policy[1]},
            .runs = rules.runs,
        };
        status = read_recorded_calls(r, rules.policy[0]);
    }
    if (status == 0) {
        status =
            simulated_run(&r->simulated, &r->history,
                          "choose a shorter period with --since and --until");
    }
    if (status == 0 &&
        (line->option[OPTION_JSON] ? print_replay_json(r) : print_replay(r))) {
        status = say_no_memory();
    }
    free(r->simulated.report);
    admin_replay_free(&r->history);
    simulate_rules_free(&rules);
    free(r);
    return status;
}
