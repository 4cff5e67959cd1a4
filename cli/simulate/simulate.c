/* bide simulate: runs calls under a policy in virtual time.  This file runs
 * scripts (--script) and chooses between the kinds of simulation. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"
#include "cli/command/say.h"
#include "cli/out/json.h"
#include "cli/out/table.h"
#include "cli/policy/source.h"
#include "policy/policy.h"
#include "simulate/simulate.h"
#include "simulate.h"

static const char *const says[] = {
    [MACHINE_GO] = "go",
    [MACHINE_WAIT] = "wait",
    [MACHINE_REFUSED] = "refused",
    [MACHINE_DONE] = "done",
};

static int
print_event(void *arg, const struct simulate_event *e)
{
    const struct machine *m = e->m;
    struct json *j = json_object_new();

    (void)arg;
    json_put_ms(j, "t_ms", e->t_ns);
    json_put_text(j, "call", e->call);
    json_put_count(j, "attempt", e->m->attempts);
    json_put_text(j, "says", says[e->m->state]);
    if (m->state == MACHINE_WAIT ||
        (m->state == MACHINE_REFUSED && m->wake_ns != DURATION_NONE)) {
        json_put_ms(j, "until_ms", m->wake_ns);
    }
    if (m->state == MACHINE_DONE) {
        json_put_text(j, "verdict", bide_verdict_name(m->verdict));
    }
    if (m->state == MACHINE_REFUSED || m->state == MACHINE_DONE) {
        if (m->reason != BIDE_BY_NONE) {
            json_put_text(j, "reason", bide_reason_name(m->reason));
        }
        if (m->end != BIDE_END_NONE) {
            json_put_text(j, "end", bide_end_name(m->end));
        }
    }
    return json_out(j);
}

static void
add_detail_cell(struct table *t, const struct machine *m)
{
    const char *verdict = bide_verdict_name(m->verdict);
    const char *reason = bide_reason_name(m->reason);
    bool same = strcmp(verdict, reason) == 0 || m->verdict == BIDE_SUCCEEDED;
    bool known = m->wake_ns != DURATION_NONE;
    struct brief until = duration_write(m->wake_ns);

    switch (m->state) {
    case MACHINE_GO:
        table_cell(t, 4, "%s", "");
        return;
    case MACHINE_WAIT:
        table_cell(t, 4, "until %s", until.text);
        return;
    case MACHINE_REFUSED:
        table_cell(t, 4, "%s%s%s", reason, known ? ", until " : "",
                   known ? until.text : "");
        break;
    case MACHINE_DONE:
        table_cell(t, 4, "%s%s%s%s%s", verdict, same ? "" : ": ",
                   same ? "" : reason,
                   m->end == BIDE_END_NONE ? "" : ", the call is ",
                   m->end == BIDE_END_NONE ? "" : bide_end_name(m->end));
        break;
    }
    if (m->state == MACHINE_REFUSED || m->verdict != BIDE_SUCCEEDED) {
        table_mark_row(t);
    }
}

static int
add_event_row(void *arg, const struct simulate_event *e)
{
    struct table *t = arg;

    table_row_of(t, duration_write(e->t_ns).text);
    table_cell(t, 1, "%s", e->call);
    table_cell(t, 2, "%u", e->m->attempts);
    table_cell(t, 3, "%s", says[e->m->state]);
    add_detail_cell(t, e->m);
    return 0;
}

static int
run_script(struct command_line *line, struct source *source,
           const struct policy_text *text, const struct script *script,
           double draw)
{
    static const struct table_column columns[] = {{"AT", TABLE_RIGHT},
                                                  {"CALL", 0},
                                                  {"ATTEMPT", TABLE_RIGHT},
                                                  {"SAYS", 0},
                                                  {"", 0}};
    bool as_json = line->option[OPTION_JSON] != NULL;
    struct table *t = as_json ? NULL : table_new(columns, 5);
    struct faults faults = {0};
    int rc, printed = 0;

    rc = simulate_script(text, source_find, source, script, draw,
                         as_json ? print_event : add_event_row, t, &faults);
    if (!as_json && rc == 0) {
        printed = table_print(t);
    } else {
        table_free(t);
    }
    rc = say_refusal(rc, &faults, policy_text_name(text), NULL);
    return rc ? rc : printed ? say_no_memory() : STATUS_DONE;
}

/* ---- the script ---- */

static int
read_script(struct command_line *line, struct script **out)
{
    const char *path = line->option[OPTION_SCRIPT];
    struct faults faults = {0};
    char *bytes = NULL;
    size_t length;
    int rc = source_bytes(path, &bytes, &length, &faults);

    rc = rc ? rc : script_read(path, bytes, length, out, &faults);
    free(bytes);
    return say_refusal(rc, &faults, path, NULL);
}

static int
read_draw(struct command_line *line, double *out)
{
    const char *text = line->option[OPTION_RANDOM];
    char *end;
    double draw = text ? strtod(text, &end) : 0.5;

    if (text &&
        (end == text || *end || !isfinite(draw) || draw < 0 || draw > 1)) {
        return say_usage(line, "--random %s: not a number from 0 to 1", text);
    }
    *out = draw;
    return 0;
}

static int
simulate_script_file(struct command_line *line)
{
    const char *path = line->option[OPTION_SCRIPT];
    struct source source = {0};
    struct policy_text *text = NULL;
    struct script *script = NULL;
    double draw = 0;
    int status;

    if (strcmp(path, "-") == 0 && strcmp(line->operands[0], "-") == 0) {
        return say_usage(line, "-: standard input is either the policy or the "
                               "script, not both");
    }
    status = read_draw(line, &draw);
    status = status ? status : source_policy(&source, line, &text);
    status = status ? status : read_script(line, &script);
    status = status ? status : run_script(line, &source, text, script, draw);
    script_free(script);
    policy_text_free(text);
    source_free(&source);
    return status;
}

/* The options of each kind of simulation, up to an OPTION_COUNT. */
static const enum option of_script[] = {OPTION_SCRIPT, OPTION_RANDOM,
                                        OPTION_COUNT};
static const enum option of_traffic[] = {
    OPTION_CALLS,   OPTION_FAIL,         OPTION_FOR,  OPTION_OUTCOME,
    OPTION_LATENCY, OPTION_FAIL_LATENCY, OPTION_SEED, /* must be the last */
    OPTION_COUNT};
static const enum option of_replay[] = {
    OPTION_REPLAY, OPTION_SINCE, OPTION_UNTIL, OPTION_SCOPE, OPTION_COUNT};

/* Returns the name of the first of the options that is given, or NULL. */
static const char *
first_given(const struct command_line *line, const enum option *options)
{
    for (; *options != OPTION_COUNT; options++) {
        if (line->option[*options]) {
            return option_rows[*options].name;
        }
    }
    return NULL;
}

static int
check_kind(struct command_line *line)
{
    const char *script = first_given(line, of_script);
    const char *traffic = first_given(line, of_traffic);
    const char *replay = first_given(line, of_replay);

    if (replay && !line->option[OPTION_REPLAY]) {
        return say_usage(line, "--%s: works only with --replay", replay);
    }
    if (replay && traffic && strcmp(traffic, "seed") == 0) {
        traffic = NULL; /* --replay takes --seed as well */
    }
    if ((script && traffic) || (replay && (script || traffic))) {
        return say_usage(line,
                         "--%s and --%s exclude each other: choose scripted, "
                         "random or recorded calls",
                         script ? script : replay, traffic ? traffic : replay);
    }
    if (!traffic && !line->option[OPTION_SCRIPT] && !replay) {
        return say_usage(line, "no outcomes to simulate: use --script FILE, "
                               "--calls N/s --fail SHARE, or --replay");
    }
    return 0;
}

int
simulate_command(struct command_line *line)
{
    int status = check_kind(line);

    if (status) {
        return status;
    }
    return line->option[OPTION_SCRIPT]   ? simulate_script_file(line)
           : line->option[OPTION_REPLAY] ? simulate_replay(line)
                                         : simulate_traffic(line);
}
