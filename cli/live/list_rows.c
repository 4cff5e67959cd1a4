/* The table of bide list, and the notes below it. */
#include "list.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/live.h"
#include "cli/command/when.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "cli/view/guard.h"
#include "cli/view/layer.h"
#include "policy/policy.h"
#include "store/policies/record.h"

/* Limit of notes of each kind; further ones are only counted, or left out. */
enum { NOTES_MAX = 8 };

/* Limit of rows for the scopes of a policy; scopes with an open breaker or a
 * used budget come first.  `bide stats` shows all scopes. */
enum { SCOPES_SHOWN = 16 };

enum column {
    POLICY,
    CALLS, /* these in the order of enum now_figure */
    OK,
    FAILED,
    RETRIES,
    P95,
    BREAKER,
    BUDGET,
    WAITING,
    WARNING,
    OVER,
    VER,
    IMPORTANCE,
    RULES,
};

struct table *
list_table(const struct list *list)
{
    const struct table_column columns[] = {
        [POLICY] = {"POLICY", TABLE_NAME},
        [CALLS] = {list->all ? "CALLS" : "CALLS/s", TABLE_RIGHT | TABLE_SPARE},
        [OK] = {"OK", TABLE_RIGHT},
        [FAILED] = {list->all ? "FAILED" : "FAILED/s", TABLE_RIGHT},
        [RETRIES] = {"RETRIES", TABLE_RIGHT | 3 * TABLE_SPARE},
        [P95] = {"P95", TABLE_RIGHT | 4 * TABLE_SPARE},
        [BREAKER] = {"BREAKER", 0},
        [BUDGET] = {"BUDGET", TABLE_RIGHT | 5 * TABLE_SPARE},
        [WAITING] = {"WAITING", TABLE_RIGHT | 6 * TABLE_SPARE},
        [WARNING] = {"WARNING", TABLE_SPARE},
        [OVER] = {"OVER", TABLE_RIGHT | 2 * TABLE_SPARE},
        [VER] = {"VER", TABLE_RIGHT | 7 * TABLE_SPARE},
        [IMPORTANCE] = {"IMPORTANCE", 9 * TABLE_SPARE},
        [RULES] = {"RULES", TABLE_NAME | 8 * TABLE_SPARE},
    };

    return table_new(columns, sizeof(columns) / sizeof(columns[0]));
}

/* ---- notes ---- */

static void add_note(struct list_notes *to, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds a line, once. */
static void
add_note(struct list_notes *to, const char *format, ...)
{
    char *note = NULL, *safe = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&note, format, args) >= 0) {
        safe = text_safe(note);
        free(note);
    }
    va_end(args);
    to->lines.failed |= !safe;
    if (safe && !(to->lines.bytes && strstr(to->lines.bytes, safe)) &&
        to->count++ < NOTES_MAX) {
        draft_text(&to->lines, safe);
        draft_text(&to->lines, "\n");
    }
    free(safe);
}

static void
add_damage_note(struct list *list, const char *name, const char *part)
{
    add_note(&list->notes,
             "note: %s: the state of its %s is damaged, calls continue; to "
             "repair it: bide %s %s reset",
             name, part, part, name);
}

static void
add_guard_notes(struct list *list, const char *name,
                const struct admin_guard *g, const struct count *c)
{
    char *note;

    if (g->damaged) {
        add_damage_note(list, name, "breaker");
    }
    if (g->budget_damaged) {
        add_damage_note(list, name, "budget");
    }
    if (c && c->cell.scopes_refused > 0) {
        note = guard_scopes_note(name, c->cell.scopes, c->cell.scopes_refused);
        add_note(&list->notes, "%s", note ? note : "note");
        free(note);
    }
}

int
list_add_layers(void *arg, const char *of, const struct record_part *parts,
                size_t count)
{
    struct list *list = arg;

    for (size_t i = 0; i < count;) {
        uint64_t until_ns = parts[i].until_ns;
        char *line = layer_line(parts, count, NULL, list->now_ns, &i);

        if (!list->ends_ns || until_ns < list->ends_ns) {
            list->ends_ns = until_ns;
        }
        add_note(&list->temporary, "* temporary: %s: bide log %s",
                 line ? line : "?", of ? of : list->name);
        free(line);
    }
    return 0;
}

/* ---- rows ---- */

/* Fills the cells of the figures. */
static void
add_figure_cells(const struct list *list, const struct count *c)
{
    struct table *t = list->table;
    const struct bide_stats *s = list->all ? &c->cell.stats : &c->cell.now;
    uint64_t firsts = count_firsts(s);

    if (counter_calls(s) + s->attempts > 0) {
        for (int f = NOW_CALLS; f <= NOW_P95; f++) {
            table_cell(t, CALLS + (size_t)f, "%s",
                       now_write(&c->cell, (enum now_figure)f, list->all).text);
        }
        if (!list->all && *now_over(&c->cell).text) {
            table_cell(t, OVER, "%s", now_over(&c->cell).text);
        }
    }
    if (c->sleeping > 0) {
        table_cell(t, WAITING, "%u", c->sleeping);
    }
    if (firsts > 0 && s->retries * 5 > firsts) {
        table_mark_cell(t, RETRIES); /* more than 20 % of the calls */
    }
    if (!list->all && now_failing(&c->cell)) {
        table_mark_cell(t, OK);
        table_mark_cell(t, FAILED);
    }
}

static void
add_guard_cells(struct table *t, const struct admin_guard *g)
{
    if (g->mode != BREAKER_OFF) {
        table_cell(t, BREAKER, "%s", guard_state(g).text);
    }
    if (g->has_budget) {
        table_cell(t, BUDGET, "%s", guard_level(g).text);
    }
    if (!guard_is_closed(g)) {
        table_mark_cell(t, BREAKER);
    }
    if (g->has_budget && g->budget_level < 0.5) {
        table_mark_cell(t, BUDGET);
    }
}

/* Adds a row for each scope, at most SCOPES_SHOWN. */
static void
add_scope_rows(struct list *list, const char *name, const struct count *c)
{
    size_t shown = 0, scopes = 0;

    for (int usual = 0; usual < 2; usual++) {
        for (size_t i = 0; i < c->part_count; i++) {
            const struct count *part = &c->parts[i];

            if (guard_is_usual(&part->guard) != (usual == 1) ||
                !*part->cell.scope || scopes++ >= SCOPES_SHOWN) {
                continue;
            }
            shown++;
            table_row(list->table);
            table_cell(list->table, POLICY, "%s/%s", name,
                       guard_scope(part->cell.scope));
            table_cell(list->table, VER, " ");
            add_figure_cells(list, part);
            add_guard_cells(list->table, &part->guard);
        }
    }
    if (scopes > shown) {
        add_note(&list->notes, "note: %s has %zu more scopes: bide stats %s",
                 name, scopes - shown, name);
    }
}

/* Adds the mark and the reasons of a warning by the last minute. */
static void
add_warning(struct list *list, const struct list_row *row)
{
    struct alarm_verdict v;
    uint64_t since_ns;

    list_judge(row, &v);
    if (v.level == ALARM_OK || v.level == ALARM_UNKNOWN) {
        return;
    }
    table_cell(list->table, WARNING, "%s", alarm_word(v.level));
    table_mark_cell(list->table, WARNING);
    since_ns = list_since_ns(list, row);
    add_note(&list->warnings, "%s: %s: %s%s%s", alarm_word(v.level),
             list_row_name(row), v.words, since_ns ? ", since " : "",
             since_ns ? when_write(since_ns, list->now_ns).text : "");
}

static void
add_rules_cells(struct list *list, const struct list_row *row)
{
    const struct policy *p = row->policy;
    char rules[128];

    table_cell(list->table, VER, "%u%s", row->record->version,
               list->ends_ns ? "*" : " ");
    if (p) {
        table_cell(list->table, IMPORTANCE, "%s",
                   guard_importance(p->importance));
        table_cell(list->table, RULES, "%s%s", p->paused ? "PAUSED, " : "",
                   policy_summary(p, rules, sizeof(rules)));
    } else {
        table_cell(list->table, RULES, "%s: bide %s %s",
                   list->unread ? "could not be read" : "not valid",
                   list->unread ? "doctor" : "show",
                   list->unread ? "" : row->record->name);
    }
}

/* Fills the cells of rules for a name that is not defined. */
static void
add_used_cells(struct list *list, const struct list_row *row)
{
    const struct admin_cell *c = &row->count->cell;
    const struct who *w = c->declared ? &c->declared->by : &c->asked_by;
    char rules[128] = "", by[80] = "";

    if (row->policy) {
        policy_summary(row->policy, rules, sizeof(rules));
    }
    if (w->pid > 0) {
        snprintf(by, sizeof(by), " by pid %u%s%s%s", w->pid,
                 *w->program ? " " : "", w->program, who_where(w));
    }
    table_cell(list->table, VER, "- ");
    table_cell(list->table, RULES, "%s%s(%s%s)", rules, *rules ? " " : "",
               c->declared       ? "declared"
               : row->is_default ? "not defined, so default applies: used"
                                 : "not defined: used",
               by);
}

void
list_add_row(struct list *list, const struct list_row *row)
{
    const struct policy *p = row->policy;
    const struct count *c = row->count;
    const char *name = list_row_name(row);

    table_row_of(list->table, name);
    table_rank(list->table, list_rank(list, row));
    if (row->record) {
        add_rules_cells(list, row);
        add_guard_cells(list->table, &row->worst);
        add_guard_notes(list, name, &row->worst, c);
    } else {
        add_used_cells(list, row);
    }
    if (!row->record || !p || p->paused) {
        table_mark_row(list->table);
    }
    if (c) {
        add_figure_cells(list, c);
    }
    add_warning(list, row);
    if (p && p->paused) {
        table_cell(list->table, BREAKER, "PAUSED");
    }
    if (list->scopes && c) {
        add_scope_rows(list, name, c);
    }
}

/* ---- printing ---- */

/* Prints a line for each note, after an empty line.  Returns 0 or BIDE_ENOMEM.
 */
static int
print_notes(const struct list_notes *notes)
{
    if (notes->count > 0 && !notes->lines.failed) {
        printf("\n%s", notes->lines.bytes);
    }
    return notes->lines.failed ? BIDE_ENOMEM : 0;
}

static void
add_notes_on_cells(struct list *list)
{
    if (list->counts.added_up > 0) {
        add_note(&list->notes,
                 "note: %u more names and scopes are added up as %s",
                 list->counts.added_up, ADMIN_OTHERS);
    }
    if (admin_refused(list->registry) > 0) {
        add_note(&list->notes, "note: names that got no cell share "
                               "one, which is not shown: bide doctor");
    }
}

int
list_print_table(struct list *list)
{
    int rc = 0;

    if (list->shown > 0) {
        rc = table_print(list->table);
        if (text_to_terminal() && list->counts.count > 0) {
            puts(list->all ? "Totals since the live state was created."
                           : "Of the last minute, or of OVER; --all: totals.");
        }
    } else {
        fputs(list->pattern
                  ? ""
                  : "There are no policies yet. Next: bide apply FILE\n",
              stdout);
        table_free(list->table);
    }
    add_notes_on_cells(list);
    rc = print_notes(&list->warnings) ? BIDE_ENOMEM : rc;
    rc = print_notes(&list->temporary) ? BIDE_ENOMEM : rc;
    if (list->temporary.count > NOTES_MAX) {
        printf("* and %zu more are temporary\n",
               list->temporary.count - NOTES_MAX);
    }
    return print_notes(&list->notes) ? BIDE_ENOMEM : rc;
}
