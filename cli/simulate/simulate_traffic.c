/* bide simulate --calls, --fail: simulates many calls with drawn outcomes. */
#include <stdlib.h>

#include "admin/replay.h"
#include "base/draft.h"
#include "cli/command/number.h"
#include "cli/command/say.h"
#include "cli/policy/setting.h"
#include "cli/policy/source.h"
#include "policy/policy.h"
#include "simulate/traffic.h"
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
read_traffic_options(struct command_line *line, struct simulated *s,
                     struct traffic *t)
{
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
        draft_text(&d, *operands);
        draft_text(&d, operands[1] ? " " : "");
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

static int
compile_rules(struct source *source, const struct policy_text *text,
              const char *file, struct policy **out)
{
    struct faults faults = {0};
    int rc = policy_compile(text, source_find, source, file, out, &faults);

    return say_refusal(rc, &faults, file, NULL);
}

int
simulate_rules(struct command_line *line, struct simulate_rules *out)
{
    int status;

    *out = (struct simulate_rules){.runs = line->operands[1] ? 2 : 1};
    status = read_present(&out->source, line, &out->text[0]);
    if (status == 0 && out->runs == 2) {
        out->changes = join_operands(line->operands + 1);
        out->text[1] = policy_text_copy(out->text[0]);
        status = out->changes && out->text[1]
                     ? setting_try(line, line->operands + 1, out->text[1])
                     : say_no_memory();
    }
    for (int i = 0; i < out->runs && status == 0; i++) {
        status = compile_rules(&out->source, out->text[i], line->operands[0],
                               &out->policy[i]);
    }
    return status;
}

void
simulate_rules_free(struct simulate_rules *r)
{
    for (int i = 0; i < 2; i++) {
        policy_free(r->policy[i]);
        policy_text_free(r->text[i]);
    }
    free(r->changes);
    source_free(&r->source);
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
        say("%s: %s", s->name, why);
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
        struct traffic t = *s->traffic;

        if (recorded) {
            t.profile = &recorded->scopes[i % scopes].profile;
            t.seed += i % scopes;
        }
        status = run_once(s, i / scopes, &t, remedy);
    }
    return status;
}

int
simulate_traffic(struct command_line *line)
{
    struct traffic traffic = {0};
    struct simulated s = {.traffic = &traffic};
    struct simulate_rules rules = {0};
    int status = read_traffic_options(line, &s, &traffic);

    if (status == 0) {
        status = simulate_rules(line, &rules);
    }
    if (status == 0) {
        if (!line->option[OPTION_OUTCOME]) {
            traffic.failure = traffic_failure(rules.policy[0]);
        }
        s.name = rules.policy[0]->name;
        s.changes = rules.changes;
        s.runs = rules.runs;
        s.policy[0] = rules.policy[0];
        s.policy[1] = rules.policy[1];
        status =
            simulated_run(&s, NULL, "use a lower --calls or a shorter --for");
    }
    if (status == 0 && (line->option[OPTION_JSON] ? simulated_json(&s)
                                                  : simulated_print(&s))) {
        status = say_no_memory();
    }
    free(s.report);
    simulate_rules_free(&rules);
    return status;
}
