/* The circuit breaker of a policy, to be looked at, forced and set back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/guard.h"
#include "base/clock.h"
#include "base/duration.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "cli/view/guard.h"
#include "policy/policy.h"
#include "rule/guard.h"

enum { TURNS_SHOWN = 16 };

/* The words, and what the key `breaker` becomes. */
static const struct {
    const char *word, *value; /* NULL: live state, no key; "": as it was */
} words[] = {
    {"open", "open"},
    {"closed", "closed"},
    {"auto", ""},
    {"reset", NULL},
};

/* ---- the rules in a line ---- */

static void
write_rates(FILE *out, const struct breaker_rules *b)
{
    char text[32];

    fprintf(out, "opens when %.15g%% of ", b->failure_rate * 100);
    if (b->window.calls > 0) {
        fprintf(out, "the last %u (at least %u) fail", b->window.calls,
                b->min_calls < b->window.calls ? b->min_calls
                                               : b->window.calls);
    } else {
        fprintf(out, "at least %u fail within %s", b->min_calls,
                duration_round(b->window.ns, text, sizeof(text)));
    }
    if (b->consecutive != UINT32_MAX) {
        fprintf(out, ", or %u in a row", b->consecutive);
    }
    if (b->slow_after_ns != DURATION_NONE) {
        fprintf(out, ", or %.15g%% take over %s", b->slow_rate * 100,
                duration_round(b->slow_after_ns, text, sizeof(text)));
    }
}

/* "opens when 50% of at least 20 fail within 10s; for 30s; then 3 probes". */
static char *
write_rules(const struct breaker_rules *b)
{
    char *text = NULL, time[32];
    size_t length;
    FILE *out = open_memstream(&text, &length);

    if (!out) {
        return NULL;
    }
    write_rates(out, b);
    if (b->min_processes > 1) {
        fprintf(out, ", in %u processes", b->min_processes);
    }
    fprintf(out, "; for %s",
            duration_round(b->open_for_ns, time, sizeof(time)));
    if (b->open_factor > 1) {
        fprintf(out, " x%.15g up to %s", b->open_factor,
                duration_round(b->open_max_ns, time, sizeof(time)));
    }
    fprintf(out, "; then %u %s", b->probes,
            text_plural(b->probes, "probe", "probes"));
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* ---- for people ---- */

/* When it came into the state that is shown, 0: not known. */
static uint64_t
since(const struct admin_guard *g)
{
    return g->mode == BREAKER_ON && g->transitions > 0 &&
                   g->transition[0].to == g->state
               ? g->transition[0].realtime_ns
               : 0;
}

static int
print_states(const struct guard_parts *parts)
{
    static const struct table_column columns[] = {{"SCOPE", TABLE_NAME},
                                                  {"STATE", 0},
                                                  {"SINCE", 0},
                                                  {"OPENED", TABLE_RIGHT}};
    struct table *t = table_new(columns, 4);
    char text[64];

    for (size_t i = 0; i < parts->count; i++) {
        const struct admin_guard *g = &parts->list[i].guard;

        table_row(t);
        table_cell(t, 0, "%s", guard_scope(parts->list[i].scope));
        table_cell(t, 1, "%s%s", guard_state(g, text, sizeof(text)),
                   g->damaged ? " (damaged)" : "");
        if (since(g) > 0) {
            table_cell(
                t, 2, "%s",
                when_write(since(g), clock_realtime_ns(), text, sizeof(text)));
        }
        table_cell(t, 3, "%s", text_count(g->opened, text, sizeof(text)));
        if (!guard_is_closed(g)) {
            table_mark_row(t);
        }
    }
    return table_print(t);
}

struct turn {
    uint64_t when_ns;
    size_t order; /* as they were found: the newest of a scope first */
    const char *scope;
    int to;
};

static int
newest_first(const void *a, const void *b)
{
    const struct turn *x = a, *y = b;

    if (x->when_ns != y->when_ns) {
        return x->when_ns < y->when_ns ? 1 : -1;
    }
    return x->order < y->order ? -1 : 1;
}

static size_t
gather_turns(const struct guard_parts *parts, struct turn *out)
{
    size_t count = 0;

    for (size_t i = 0; i < parts->count; i++) {
        const struct admin_guard *g = &parts->list[i].guard;

        for (uint32_t k = 0; k < g->transitions; k++, count++) {
            out[count] =
                (struct turn){g->transition[k].realtime_ns, count,
                              parts->list[i].scope, g->transition[k].to};
        }
    }
    qsort(out, count, sizeof(*out), newest_first);
    return count;
}

static int
print_turns(const struct guard_parts *parts)
{
    static const struct table_column columns[] = {
        {"WHEN", 0}, {"SCOPE", TABLE_NAME}, {"TURNED", 0}};
    struct turn *turns = calloc(parts->count * TRANSITIONS, sizeof(*turns));
    size_t count = turns ? gather_turns(parts, turns) : 0;
    struct table *t;
    char when[64];

    if (!turns) {
        return BIDE_ENOMEM;
    }
    if (count == 0) {
        free(turns);
        return 0;
    }
    putchar('\n');
    t = table_new(columns, 3);
    for (size_t i = 0; i < count && i < TURNS_SHOWN; i++) {
        table_row(t);
        table_cell(t, 0, "%s",
                   when_write(turns[i].when_ns, clock_realtime_ns(), when,
                              sizeof(when)));
        table_cell(t, 1, "%s", guard_scope(turns[i].scope));
        table_cell(t, 2, "%s", guard_word(turns[i].to));
    }
    free(turns);
    return table_print(t);
}

static int
print_people(const struct policy *p, const struct guard_parts *parts,
             const char *rules)
{
    printf("%s: breaker %s", p->name, guard_mode(p->breaker.mode));
    if (p->breaker.mode == BREAKER_ON) {
        printf("; %s\n\n", rules);
    } else {
        printf(" (forced); to let the rules decide: bide breaker %s auto\n\n",
               p->name);
    }
    return print_states(parts) ? BIDE_ENOMEM : print_turns(parts);
}

/* ---- JSON ---- */

static void
put_part(struct json *array, const struct policy *p,
         const struct guard_part *part)
{
    const struct admin_guard *g = &part->guard;
    struct json *j = json_add_object(array), *turns;

    json_put_text(j, "scope", part->scope);
    guard_put(j, p, g);
    if (since(g) > 0) {
        json_put_s(j, "since", since(g));
    } else {
        json_put_null(j, "since");
    }
    turns = json_in_array(j, "transitions");
    for (uint32_t i = 0; i < g->transitions; i++) {
        struct json *turn = json_add_object(turns);

        json_put_text(turn, "to", guard_word(g->transition[i].to));
        json_put_number(turn, "when",
                        (double)(g->transition[i].realtime_ns / 1000000) /
                            1000);
    }
}

static int
print_json(const struct policy *p, const struct guard_parts *parts,
           const char *rules)
{
    struct json *j = json_object_new(), *array;

    json_put_text(j, "policy", p->name);
    json_put_text(j, "mode", guard_mode(p->breaker.mode));
    json_put_text(j, "rules", rules);
    array = json_in_array(j, "scopes");
    for (size_t i = 0; i < parts->count; i++) {
        put_part(array, p, &parts->list[i]);
    }
    return json_out(j);
}

/* ---- showing and setting back ---- */

static int
show(struct command_line *line, const struct policy *p,
     const struct guard_parts *parts)
{
    char *rules = write_rules(&p->breaker);
    int rc = BIDE_ENOMEM;

    if (rules) {
        rc = line->option[OPTION_JSON] ? print_json(p, parts, rules)
                                       : print_people(p, parts, rules);
    }
    free(rules);
    return rc ? say_no_memory() : STATUS_DONE;
}

static int
reset(struct command_line *line, const struct policy *p,
      const struct guard_parts *parts)
{
    for (size_t i = 0; i < parts->count; i++) {
        const struct guard_part *part = &parts->list[i];
        char state[32];
        int rc;

        if (!part->used) {
            printf("%s: nobody uses it yet, there is nothing to reset\n",
                   p->name);
            break;
        }
        rc = admin_reset_breaker(line->registry, p->name, part->scope);
        if (rc) {
            return say_failure(rc, p->name);
        }
        printf("%s%s%s: closed, was %s\n", p->name, *part->scope ? " " : "",
               *part->scope ? guard_scope(part->scope) : "",
               guard_state(&part->guard, state, sizeof(state)));
    }
    if (p->breaker.mode != BREAKER_ON) {
        printf("It stays forced %s: bide breaker %s auto\n",
               guard_mode(p->breaker.mode), p->name);
    }
    return STATUS_DONE;
}

static int
say_off(struct command_line *line, const struct policy *p)
{
    struct guard_parts none = {0};

    if (line->option[OPTION_JSON] && print_json(p, &none, "off")) {
        return say_no_memory();
    }
    say("%s: the breaker is off", p->name);
    say("to switch it on: bide breaker %s auto", p->name);
    return STATUS_NO;
}

static int
use_live_state(struct command_line *line, bool to_reset)
{
    const char *scope = guard_scope_read(line->option[OPTION_SCOPE]);
    struct guard_parts parts = {0};
    struct policy *p;
    int rc, status = guard_scope_check(line);

    status = status ? status : guard_find(line, &p);
    if (status) {
        return status;
    }
    if (!guard_has_breaker(p)) {
        status = say_off(line, p);
        policy_free(p);
        return status;
    }
    rc = guard_parts_read(line->registry, p, scope, &parts);
    if (rc) {
        status = say_failure(rc, p->name);
    } else if (scope && !parts.list[0].used) {
        status = guard_no_scope(p, scope);
    } else {
        status = to_reset ? reset(line, p, &parts) : show(line, p, &parts);
    }
    guard_parts_free(&parts);
    policy_free(p);
    return status;
}

/* ---- the command ---- */

/* Options that go with a change of the key only, and with the others only. */
static int
check_options(struct command_line *line, bool changes, bool shows)
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
        return say_usage(line, "--scope: only with reset, or to look: what is "
                               "forced is so in all scopes");
    }
    return !shows && line->option[OPTION_JSON]
               ? say_usage(line, "--json: only to look")
               : 0;
}

int
breaker_command(struct command_line *line)
{
    const char *word = line->count > 1 ? line->operands[1] : NULL;
    size_t i = 0, count = sizeof(words) / sizeof(words[0]);
    bool changes;
    int status;

    while (word && i < count && strcmp(words[i].word, word) != 0) {
        i++;
    }
    if (i == count) {
        return say_usage(line, "%s: one of open, closed, auto, reset", word);
    }
    changes = word && words[i].value;
    status = check_options(line, changes, !word);
    if (status) {
        return status;
    }
    return changes ? force_breaker(line, words[i].value)
                   : use_live_state(line, word != NULL);
}
