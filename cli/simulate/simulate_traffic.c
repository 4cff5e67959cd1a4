/* bide simulate --calls, --fail: simulates many calls with drawn outcomes. */
#include <stdio.h>
#include <stdlib.h>

#include "admin/replay.h"
#include "base/draft.h"
#include "base/duration.h"
#include "cli/command/number.h"
#include "cli/command/say.h"
#include "cli/out/json.h"
#include "cli/out/table.h"
#include "cli/policy/setting.h"
#include "cli/policy/source.h"
#include "policy/policy.h"
#include "simulate/traffic_read.h"
#include "simulate.h"

/* ---- options ---- */

static const char *
option_or_default(const struct command_line *line, enum option option,
                  const char *standard)
{
    return line->option[option] ? line->option[option] : standard;
}

static int
read_traffic_options(struct command_line *line, struct simulated *s)
{
    struct traffic *t = &s->traffic;
    const char *outcome = line->option[OPTION_OUTCOME];
    enum option wrong = OPTION_COUNT;
    char why[TRAFFIC_WHY];
    uint32_t seed = 1;

    s->calls = option_or_default(line, OPTION_CALLS, "100/s");
    s->fail = option_or_default(line, OPTION_FAIL, "10%");
    s->takes = option_or_default(line, OPTION_LATENCY, "20ms");
    s->failure_takes = option_or_default(line, OPTION_FAIL_LATENCY, s->takes);
    if (traffic_read_calls(s->calls, t, why)) {
        wrong = OPTION_CALLS;
    } else if (traffic_read_fail(s->fail, t, why)) {
        wrong = OPTION_FAIL;
    } else if (traffic_read_for(option_or_default(line, OPTION_FOR, "60s"), t,
                                why)) {
        wrong = OPTION_FOR;
    } else if (traffic_read_time(s->takes, &t->success_takes, why)) {
        wrong = OPTION_LATENCY;
    } else if (traffic_read_time(s->failure_takes, &t->failure_takes, why)) {
        wrong = OPTION_FAIL_LATENCY;
    } else if (outcome && traffic_read_outcome(outcome, t, why)) {
        wrong = OPTION_OUTCOME;
    } else if (number_read_option(line, OPTION_SEED, 0, &seed)) {
        return STATUS_USAGE;
    }
    if (wrong != OPTION_COUNT) {
        say("--%s: %s", option_rows[wrong].name, why);
        return STATUS_INPUT;
    }
    t->seed = seed;
    return 0;
}

/* ---- the rules ---- */

/* Returns "budget=own attempts=5", malloc'ed, or NULL without memory. */
static char *
join_operands(char *const *operands)
{
    struct draft d = {0};

    for (; *operands; operands++) {
        draft_print(&d, "%s%s", *operands, operands[1] ? " " : "");
    }
    return draft_take(&d);
}

/* Reads the policy without the changes of the command line. */
static int
read_present(struct source *source, struct command_line *line,
             struct policy_text **out)
{
    char *first_change = line->operands[1];
    int status;

    line->operands[1] = NULL;
    status = source_policy(source, line, out);
    line->operands[1] = first_change;
    return status;
}

int
simulated_rules(struct command_line *line, struct simulated *out)
{
    int status = read_present(&out->source, line, &out->text[0]);

    out->runs = line->operands[1] ? 2 : 1;
    if (status == 0 && out->runs == 2) {
        out->changes = join_operands(line->operands + 1);
        out->text[1] = policy_text_copy(out->text[0]);
        status = out->changes && out->text[1]
                     ? setting_try(line, line->operands + 1, out->text[1])
                     : say_no_memory();
    }
    for (int i = 0; i < out->runs && status == 0; i++) {
        struct faults faults = {0};
        int rc = policy_compile(out->text[i], source_find, &out->source,
                                line->operands[0], &out->policy[i], &faults);

        status = say_refusal(rc, &faults, line->operands[0], NULL);
    }
    return status;
}

void
simulated_free(struct simulated *s)
{
    for (int i = 0; i < 2; i++) {
        policy_free(s->policy[i]);
        policy_text_free(s->text[i]);
    }
    free(s->changes);
    free(s->report);
    source_free(&s->source);
}

/* ---- running ---- */

/* Adds the report of the traffic under the rules of run `run`.  Returns 0, or
 * the exit status after an error message. */
static int
run_once(struct simulated *s, size_t run, const struct traffic *t,
         const char *remedy)
{
    struct traffic_report *one = malloc(sizeof(*one));
    const char *why = "";
    int rc = one ? traffic_run(s->policy[run], t, one, &why) : BIDE_ENOMEM;

    if (rc == 0) {
        traffic_add(&s->report[run], one);
    }
    free(one);
    if (rc == BIDE_EINPUT) {
        say("%s: %s", s->policy[0]->name, why);
        say("%s", remedy);
        return STATUS_INPUT;
    }
    return rc ? say_no_memory() : 0;
}

int
simulated_run(struct simulated *s, const struct admin_replay *recorded,
              const char *remedy)
{
    size_t scopes = recorded ? recorded->scope_count : 1;
    int status = 0;

    s->report = calloc((size_t)s->runs, sizeof(*s->report));
    if (!s->report) {
        return say_no_memory();
    }
    for (size_t i = 0; i < (size_t)s->runs * scopes && status == 0; i++) {
        struct traffic t = s->traffic;

        if (recorded) {
            t.profile = &recorded->scopes[i % scopes].profile;
            t.seed += i % scopes;
        }
        status = run_once(s, i / scopes, &t, remedy);
    }
    return status;
}

/* ---- output ---- */

static int
print_traffic_json(const struct simulated *s)
{
    struct json *j = simulated_json(s);
    char outcome[64];

    bide_outcome_name(s->traffic.failure, outcome, sizeof(outcome));
    json_put_number(j, "calls_per_s", s->traffic.calls_per_s);
    json_put_text(j, "arrivals", s->traffic.even ? "even" : "poisson");
    json_put_ms(j, "for_ms", s->traffic.for_ns);
    json_put_text(j, "fail", s->fail);
    json_put_text(j, "outcome", outcome);
    json_put_text(j, "latency", s->takes);
    json_put_text(j, "fail_latency", s->failure_takes);
    json_put_count(j, "seed", s->traffic.seed);
    simulated_json_runs(j, s);
    return json_out(j);
}

static int
print_traffic(const struct simulated *s)
{
    static const struct table_column columns[] = {{"", 0}, {"", TABLE_WRAP}};
    struct table *t = table_new(columns, 2);
    char outcome[64];

    bide_outcome_name(s->traffic.failure, outcome, sizeof(outcome));
    table_row_of(t, "policy");
    table_cell(t, 1, "%s", s->policy[0]->name);
    table_row_of(t, "calls");
    table_cell(t, 1, "%s%s for %s, seed %llu", s->calls,
               s->traffic.even ? "" : " (Poisson)",
               duration_write(s->traffic.for_ns).text,
               (unsigned long long)s->traffic.seed);
    table_row_of(t, "attempts");
    table_cell(t, 1, "take %s", s->takes);
    table_row_of(t, "failures");
    table_cell(t, 1, "%s; %s after %s", s->fail, outcome, s->failure_takes);
    if (s->changes) {
        table_row_of(t, "changed");
        table_cell(t, 1, "%s", s->changes);
    }
    if (table_print_bare(t)) {
        return BIDE_ENOMEM;
    }
    putchar('\n');
    return simulated_print(s);
}

int
simulate_traffic(struct command_line *line)
{
    struct simulated s = {0};
    int status = read_traffic_options(line, &s);

    status = status ? status : simulated_rules(line, &s);
    if (status == 0) {
        if (!line->option[OPTION_OUTCOME]) {
            s.traffic.failure = traffic_failure(s.policy[0]);
        }
        status =
            simulated_run(&s, NULL, "use a lower --calls or a shorter --for");
    }
    if (status == 0 && (line->option[OPTION_JSON] ? print_traffic_json(&s)
                                                  : print_traffic(&s))) {
        status = say_no_memory();
    }
    simulated_free(&s);
    return status;
}
