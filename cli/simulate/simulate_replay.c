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
#include "cli/out/text.h"
#include "cli/view/guard.h"
#include "live/counters.h"
#include "policy/rules.h"
#include "record/past.h"
#include "store/history/figures.h"
#include "store/policies/record.h"
#include "simulate.h"

/* Intervals that are longer than this are mentioned in the assumptions: their
 * peaks are unknown. */
#define COARSE_NS (5 * UINT64_C(60000000000))

enum { ASSUMED_MAX = 10 };

struct replay {
    struct command_line *line;
    struct admin_replay history;
    struct bide_stats recorded;
    uint32_t version; /* of the present rules; 0: they come from a file */
    struct simulated simulated;
    struct traffic_report report; /* the figures of `recorded` that it has */
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
    char outcome[64];

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
            duration_round(h->longest_ns).text);
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
        bide_outcome_name(r->simulated.traffic.failure, outcome,
                          sizeof(outcome));
        add_assumption(
            r,
            "%llu failed attempts have no recorded outcome. They get the "
            "outcomes of other attempts, or %s if no other "
            "outcome is known.",
            (unsigned long long)h->unknown, outcome);
    }
}

/* ---- as text ---- */

static int
print_replay(const struct replay *r)
{
    const struct simulated *s = &r->simulated;

    text_put(stdout, s->policy[0]->name, false);
    printf(", %s to %s, seed %llu\n",
           when_write(r->history.begin_ns, r->now_ns).text,
           when_write(r->history.end_ns, r->now_ns).text,
           (unsigned long long)s->traffic.seed);
    if (s->changes) {
        fputs("changed: ", stdout);
        text_put(stdout, s->changes, false);
        putchar('\n');
    }
    putchar('\n');
    if (simulated_print(s)) {
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
    struct json *attempt;

    simulated_json_figures(j, &r->report, true);
    for (size_t i = 0; i < COUNTER_ROWS; i++) {
        const struct counter_row *row = &counter_rows[i];

        /* The simulation does not know the importance, which divides
         * `exhausted`. */
        if (row->name && row->unit == COUNTER_OF_CALLS &&
            !(row->flags & COUNTER_IS_EXHAUSTED)) {
            json_put_count(j, row->name, counter_of(&r->recorded, row));
        }
    }
    attempt = json_in_object(j, "attempt_ms");
    for (size_t i = 0; i < PERCENTILES; i++) {
        json_put_ms(attempt, percentiles[i].name, r->simulated.recorded_ns[i]);
    }
}

static int
print_replay_json(const struct replay *r)
{
    struct json *j = simulated_json(&r->simulated), *array;

    json_put_s(j, "begin", r->history.begin_ns);
    json_put_s(j, "end", r->history.end_ns);
    json_put_count(j, "scopes", r->history.scope_count);
    json_put_count(j, "first_version", r->history.first_version);
    json_put_count(j, "last_version", r->history.last_version);
    json_put_count(j, "present_version", r->version);
    json_put_count(j, "damaged", r->history.past.damaged);
    json_put_count(j, "seed", r->simulated.traffic.seed);
    put_recorded_figures(json_in_object(j, "recorded"), r);
    simulated_json_runs(j, &r->simulated);
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
    say("%s: no calls were recorded from %s to %s",
        r->simulated.policy[0]->name, when_write_iso(r->since_ns).text,
        when_write_iso(r->until_ns < r->now_ns ? r->until_ns : r->now_ns).text);
    return STATUS_NO;
}

/* Fills in the recorded calls as if they were simulated. */
static void
report_recorded_calls(struct replay *r)
{
    const struct figures *f = &r->history.recorded;
    const struct bide_stats *s = &r->recorded;

    past_figures(f, 0, &r->recorded);
    r->report = (struct traffic_report){
        .calls = figures_calls(f),
        .attempts = s->attempts,
        .attempts_failed = s->attempts_failed,
        .breaker_opened = f->opened,
        .recovered = s->recovered,
        .verdict = {[BIDE_SUCCEEDED] = s->succeeded,
                    [BIDE_EXHAUSTED] = s->exhausted,
                    [BIDE_REFUSED] = s->refused,
                    [BIDE_REJECTED] = s->rejected},
    };
    for (size_t i = 0; i < PERCENTILES; i++) {
        r->simulated.recorded_ns[i] = figures_at_ns(f, percentiles[i].share);
    }
    r->simulated.recorded = &r->report;
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
    report_recorded_calls(r);
    r->simulated.traffic.for_ns = r->history.end_ns - r->history.begin_ns;
    r->simulated.traffic.failure = traffic_failure(present);
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
    r->simulated.traffic.seed = seed;
    return guard_scope_check(line)
               ? STATUS_INPUT
               : history_times(line, r->now_ns, &r->since_ns, &r->until_ns);
}

int
simulate_replay(struct command_line *line)
{
    struct replay *r = calloc(1, sizeof(*r));
    int status;

    if (!r) {
        return say_no_memory();
    }
    r->line = line;
    status = read_replay_options(r);
    status = status ? status : simulated_rules(line, &r->simulated);
    status = status ? status : read_recorded_calls(r, r->simulated.policy[0]);
    if (status == 0) {
        status =
            simulated_run(&r->simulated, &r->history,
                          "choose a shorter period with --since and --until");
    }
    if (status == 0 &&
        (line->option[OPTION_JSON] ? print_replay_json(r) : print_replay(r))) {
        status = say_no_memory();
    }
    admin_replay_free(&r->history);
    simulated_free(&r->simulated);
    free(r);
    return status;
}
