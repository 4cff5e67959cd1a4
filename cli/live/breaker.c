/* bide breaker: shows the circuit breaker of a policy, forces or resets it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/change.h"
#include "admin/guard.h"
#include "base/clock.h"
#include "base/duration.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "cli/policy/edit.h"
#include "cli/view/guard.h"
#include "policy/policy.h"
#include "rule/guard.h"

enum { TRANSITIONS_SHOWN = 16 };

/* The first two are values of the key `breaker`; reset changes no key. */
static const char *const actions[] = {"open", "closed", "auto", "reset"};
enum { AUTO = 2, RESET };

/* ---- the rules in a line ---- */

static void
write_opening_rules(FILE *out, const struct breaker_rules *b)
{

    fprintf(out, "opens when %.15g%% of ", b->failure_rate * 100);
    if (b->window.calls > 0) {
        fprintf(out, "the last %u attempts (at least %u) fail", b->window.calls,
                b->min_calls < b->window.calls ? b->min_calls
                                               : b->window.calls);
    } else {
        fprintf(out, "at least %u attempts fail within %s", b->min_calls,
                duration_round(b->window.ns).text);
    }
    if (b->consecutive != UINT32_MAX) {
        fprintf(out, ", or %u in a row fail", b->consecutive);
    }
    if (b->slow_after_ns != DURATION_NONE) {
        fprintf(out, ", or %.15g%% take longer than %s", b->slow_rate * 100,
                duration_round(b->slow_after_ns).text);
    }
}

/* Returns "opens when 50% of at least 20 attempts fail within 10s; stays open
 * for 30s; then 3 probes", malloc'ed; NULL without memory. */
static char *
describe_breaker(const struct breaker_rules *b)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    if (!out) {
        return NULL;
    }
    write_opening_rules(out, b);
    if (b->min_processes > 1) {
        fprintf(out, ", in at least %u processes", b->min_processes);
    }
    fprintf(out, "; stays open for %s", duration_round(b->open_for_ns).text);
    if (b->open_factor > 1) {
        fprintf(out, ", x%.15g each time, up to %s", b->open_factor,
                duration_round(b->open_max_ns).text);
    }
    fprintf(out, "; then %u %s", b->probes,
            text_plural(b->probes, "probe", "probes"));
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* ---- tables ---- */

/* Returns the time when the breaker entered its present state, in ns since
 * 1970; 0 if unknown. */
static uint64_t
state_since_ns(const struct admin_guard *g)
{
    return g->mode == BREAKER_ON && g->transitions > 0 &&
                   g->transition[0].to == g->state
               ? g->transition[0].realtime_ns
               : 0;
}

static int
print_states(const struct counts *parts)
{
    static const struct table_column columns[] = {{"SCOPE", TABLE_NAME},
                                                  {"STATE", 0},
                                                  {"SINCE", 0},
                                                  {"OPENED", TABLE_RIGHT}};
    struct table *t = table_new(columns, 4);

    for (size_t i = 0; i < parts->count; i++) {
        const struct admin_guard *g = &parts->list[i].guard;

        table_row_of(t, guard_scope(parts->list[i].cell.scope));
        table_cell(t, 1, "%s%s", guard_state(g).text,
                   g->damaged ? " (damaged)" : "");
        if (state_since_ns(g) > 0) {
            table_cell(t, 2, "%s",
                       when_write(state_since_ns(g), clock_realtime_ns()).text);
        }
        table_cell(t, 3, "%s", text_count(g->opened).text);
        if (!guard_is_closed(g)) {
            table_mark_row(t);
        }
    }
    return table_print(t);
}

struct transition_row {
    uint64_t when_ns;
    size_t order; /* order of reading: in a scope, the newest is first */
    const char *scope;
    int to;
};

static int
order_newest_first(const void *a, const void *b)
{
    const struct transition_row *x = a, *y = b;

    if (x->when_ns != y->when_ns) {
        return x->when_ns < y->when_ns ? 1 : -1;
    }
    return x->order < y->order ? -1 : 1;
}

static size_t
collect_transitions(const struct counts *parts, struct transition_row *out)
{
    size_t count = 0;

    for (size_t i = 0; i < parts->count; i++) {
        const struct admin_guard *g = &parts->list[i].guard;

        for (uint32_t k = 0; k < g->transitions; k++, count++) {
            out[count] = (struct transition_row){
                g->transition[k].realtime_ns, count, parts->list[i].cell.scope,
                g->transition[k].to};
        }
    }
    qsort(out, count, sizeof(*out), order_newest_first);
    return count;
}

static int
print_transitions(const struct counts *parts)
{
    static const struct table_column columns[] = {
        {"WHEN", 0}, {"SCOPE", TABLE_NAME}, {"NEW STATE", 0}};
    struct transition_row *rows =
        calloc(parts->count * TRANSITIONS, sizeof(*rows));
    size_t count = rows ? collect_transitions(parts, rows) : 0;
    struct table *t;

    if (!rows) {
        return BIDE_ENOMEM;
    }
    if (count == 0) {
        free(rows);
        return 0;
    }
    putchar('\n');
    t = table_new(columns, 3);
    for (size_t i = 0; i < count && i < TRANSITIONS_SHOWN; i++) {
        table_row(t);
        table_cell(t, 0, "%s",
                   when_write(rows[i].when_ns, clock_realtime_ns()).text);
        table_cell(t, 1, "%s", guard_scope(rows[i].scope));
        table_cell(t, 2, "%s", guard_word(rows[i].to));
    }
    free(rows);
    return table_print(t);
}

static int
print_breaker(const struct policy *p, const struct counts *parts,
              const char *rules)
{
    printf("%s: breaker %s", p->name, guard_mode(p->breaker.mode));
    if (p->breaker.mode == BREAKER_ON) {
        printf("; %s\n\n", rules);
    } else {
        printf(" (forced); to end that: bide breaker %s auto\n\n", p->name);
    }
    return print_states(parts) ? BIDE_ENOMEM : print_transitions(parts);
}

/* ---- JSON ---- */

static void
put_scope(struct json *array, const struct policy *p, const struct count *part)
{
    const struct admin_guard *g = &part->guard;
    struct json *j = json_add_object(array), *transitions;

    json_put_text(j, "scope", part->cell.scope);
    guard_put(j, p, g);
    json_put_time(j, "since", state_since_ns(g));
    transitions = json_in_array(j, "transitions");
    for (uint32_t i = 0; i < g->transitions; i++) {
        struct json *one = json_add_object(transitions);

        json_put_text(one, "to", guard_word(g->transition[i].to));
        json_put_s(one, "when", g->transition[i].realtime_ns);
    }
}

static int
print_json(const struct policy *p, const struct counts *parts,
           const char *rules)
{
    struct json *j = json_object_new(), *array;

    json_put_text(j, "policy", p->name);
    json_put_text(j, "mode", guard_mode(p->breaker.mode));
    json_put_text(j, "rules", rules);
    array = json_in_array(j, "scopes");
    for (size_t i = 0; i < parts->count; i++) {
        put_scope(array, p, &parts->list[i]);
    }
    return json_out(j);
}

/* ---- show and reset ---- */

static int
show_breaker(struct command_line *line, const struct policy *p,
             const struct counts *parts)
{
    char *rules = describe_breaker(&p->breaker);
    int rc = BIDE_ENOMEM;

    if (rules) {
        rc = line->option[OPTION_JSON] ? print_json(p, parts, rules)
                                       : print_breaker(p, parts, rules);
    }
    free(rules);
    return rc ? say_no_memory() : STATUS_DONE;
}

static int
reset_breaker(struct command_line *line, const struct policy *p,
              const struct counts *parts)
{
    for (size_t i = 0; i < parts->count; i++) {
        const struct count *part = &parts->list[i];
        int rc;

        if (part->unused) {
            printf("%s: no process has used it yet: nothing to reset\n",
                   p->name);
            break;
        }
        rc = admin_reset_breaker(line->registry, p->name, part->cell.scope);
        if (rc) {
            return say_failure(rc, p->name);
        }
        printf("%s%s%s: closed, was %s\n", p->name,
               *part->cell.scope ? " " : "",
               *part->cell.scope ? guard_scope(part->cell.scope) : "",
               guard_state(&part->guard).text);
    }
    if (p->breaker.mode != BREAKER_ON) {
        printf("It is still forced %s. To end that: bide breaker %s auto\n",
               guard_mode(p->breaker.mode), p->name);
    }
    return STATUS_DONE;
}

static int
report_off(struct command_line *line, const struct policy *p)
{
    struct counts none = {0};

    if (line->option[OPTION_JSON] && print_json(p, &none, "off")) {
        return say_no_memory();
    }
    say("%s: the breaker is off", p->name);
    say("to switch it on: bide set %s breaker=on", p->name);
    return STATUS_NO;
}

static int
use_live_state(struct command_line *line, bool to_reset)
{
    const char *scope = guard_scope_read(line->option[OPTION_SCOPE]);
    struct counts parts = {0};
    struct policy *p;
    int status = guard_find(line, &p);

    if (status) {
        return status;
    }
    if (!guard_has_breaker(p)) {
        status = report_off(line, p);
    } else {
        status = guard_parts_find(line, p, scope, &parts);
        status = status     ? status
                 : to_reset ? reset_breaker(line, p, &parts)
                            : show_breaker(line, p, &parts);
    }
    counts_free(&parts);
    policy_free(p);
    return status;
}

/* ---- the command ---- */

/* Refuses options that do not fit the action.  `changes`: the action changes
 * the key.  `resets`: it resets the state.  Returns 0 or the exit status. */
static int
check_action_options(struct command_line *line, bool changes, bool resets)
{
    static const enum option of_change[] = {OPTION_NOTE, OPTION_IF_VERSION,
                                            OPTION_FOR, OPTION_DRY_RUN};

    for (size_t i = 0; !changes && i < sizeof(of_change) / sizeof(*of_change);
         i++) {
        if (line->option[of_change[i]]) {
            return say_usage(line, "--%s: only with open, closed and auto",
                             option_rows[of_change[i]].name);
        }
    }
    if (changes && line->option[OPTION_SCOPE]) {
        return say_usage(line,
                         "--scope: only with reset, or to show the state; "
                         "%s applies to all scopes",
                         line->operands[1]);
    }
    return resets && line->option[OPTION_JSON]
               ? say_usage(line, "--json: not with reset")
               : 0;
}

int
breaker_command(struct command_line *line)
{
    const char *word = line->count > 1 ? line->operands[1] : NULL;
    struct admin_setting setting = {"breaker", NULL};
    size_t i = 0, count = sizeof(actions) / sizeof(actions[0]);
    bool changes;
    int status;

    while (word && i < count && strcmp(actions[i], word) != 0) {
        i++;
    }
    if (i == count) {
        return say_usage(line, "%s: not one of open, closed, auto, reset",
                         word);
    }
    changes = word && i < RESET;
    status = check_action_options(line, changes, word && !changes);
    if (status) {
        return status;
    }
    setting.value = i < AUTO ? word : NULL;
    return changes ? edit_keys(line, 1, &setting, 1, !setting.value)
                   : use_live_state(line, word != NULL);
}
