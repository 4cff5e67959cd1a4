/* What rules make of many calls whose outcomes are drawn: bide simulate
 * --calls, --fail. */
#include <stdlib.h>
#include <string.h>

#include "say.h"
#include "setting.h"
#include "simulate.h"
#include "source.h"

/* ---- options ---- */

static const char *
option_or(const struct command_line *line, enum option option,
          const char *standard)
{
    return line->option[option] ? line->option[option] : standard;
}

static int
refuse(enum option option, const char *why)
{
    say("--%s: %s", option_rows[option].name, why);
    return STATUS_INPUT;
}

static int
read_options(struct command_line *line, struct simulated *s, struct traffic *t)
{
    char why[200];
    uint32_t seed = 1;

    s->calls = option_or(line, OPTION_CALLS, "100/s");
    s->fail = option_or(line, OPTION_FAIL, "10%");
    s->takes = option_or(line, OPTION_LATENCY, "20ms");
    s->failure_takes = option_or(line, OPTION_FAIL_LATENCY, s->takes);
    if (traffic_read_calls(s->calls, t, why, sizeof(why))) {
        return refuse(OPTION_CALLS, why);
    }
    if (traffic_read_fail(s->fail, t, why, sizeof(why))) {
        return refuse(OPTION_FAIL, why);
    }
    if (traffic_read_for(option_or(line, OPTION_FOR, "60s"), t, why,
                         sizeof(why))) {
        return refuse(OPTION_FOR, why);
    }
    if (traffic_read_time(s->takes, &t->success_takes, why, sizeof(why))) {
        return refuse(OPTION_LATENCY, why);
    }
    if (traffic_read_time(s->failure_takes, &t->failure_takes, why,
                          sizeof(why))) {
        return refuse(OPTION_FAIL_LATENCY, why);
    }
    if (line->option[OPTION_OUTCOME] &&
        traffic_read_outcome(line->option[OPTION_OUTCOME], t, why,
                             sizeof(why))) {
        return refuse(OPTION_OUTCOME, why);
    }
    if (line->option[OPTION_SEED] &&
        setting_count(line, OPTION_SEED, 0, &seed)) {
        return STATUS_USAGE;
    }
    t->seed = seed;
    return 0;
}

/* ---- the rules ---- */

/* "budget=own attempts=5".  malloc'ed, NULL without memory. */
static char *
join(char *const *operands)
{
    size_t size = 1;
    char *text, *at;

    for (char *const *o = operands; *o; o++) {
        size += strlen(*o) + 1;
    }
    text = malloc(size);
    if (!text) {
        return NULL;
    }
    *text = '\0';
    at = text;
    for (; *operands; operands++) {
        at = stpcpy(stpcpy(at, *operands), operands[1] ? " " : "");
    }
    return text;
}

/* The policy without the changes of the command line. */
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
compile(struct source *source, const struct policy_text *text, const char *file,
        struct policy **out)
{
    struct faults faults = {0};
    int rc = policy_compile(text, source_find, source, file, out, &faults);

    if (rc) {
        return say_refusal(rc, &faults, file, NULL);
    }
    faults_free(&faults);
    return 0;
}

/* ---- running ---- */

static int
run(struct simulated *s, bool as_json)
{
    int rc = 0;

    s->report = calloc((size_t)s->runs, sizeof(*s->report));
    if (!s->report) {
        return say_no_memory();
    }
    for (int i = 0; i < s->runs && rc == 0; i++) {
        const char *why = "";

        rc = traffic_run(s->policy[i], s->traffic, &s->report[i], &why);
        if (rc == BIDE_EINPUT) {
            say("%s: %s", s->name, why);
            say("fewer --calls, or a shorter --for, will do");
        } else if (rc) {
            say_no_memory();
        }
    }
    if (rc == 0) {
        rc = as_json ? simulated_json(s) : simulated_print(s);
        if (rc) {
            say_no_memory();
        }
    }
    free(s->report);
    return say_status(rc);
}

/* The present rules, and the changed ones where there are any. */
static int
compile_and_run(struct command_line *line, struct source *source,
                struct simulated *s, struct traffic *t,
                const struct policy_text *const *texts)
{
    struct policy *policies[2] = {NULL, NULL};
    int status = 0;

    for (int i = 0; i < s->runs && status == 0; i++) {
        status = compile(source, texts[i], line->operands[0], &policies[i]);
        s->policy[i] = policies[i];
    }
    if (status == 0) {
        if (!line->option[OPTION_OUTCOME]) {
            t->failure = traffic_failure(policies[0]);
        }
        s->name = policies[0]->name;
        status = run(s, line->option[OPTION_JSON] != NULL);
    }
    policy_free(policies[0]);
    policy_free(policies[1]);
    return status;
}

int
simulate_traffic(struct command_line *line)
{
    struct source source = {0};
    struct traffic traffic = {0};
    struct policy_text *now = NULL, *changed = NULL;
    char *changes = join(line->operands + 1);
    struct simulated s = {.traffic = &traffic, .runs = 1};
    int status = changes ? read_options(line, &s, &traffic) : say_no_memory();

    if (status == 0) {
        status = read_present(&source, line, &now);
    }
    if (status == 0 && line->operands[1]) {
        s.changes = changes;
        s.runs = 2;
        changed = policy_text_copy(now);
        status = changed ? setting_try(line, line->operands + 1, changed)
                         : say_no_memory();
    }
    if (status == 0) {
        const struct policy_text *texts[2] = {now, changed};

        status = compile_and_run(line, &source, &s, &traffic, texts);
    }
    free(changes);
    policy_text_free(now);
    policy_text_free(changed);
    source_free(&source);
    return status;
}
