/* bide stats: call statistics since the live state was created. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/live.h"
#include "cli/command/say.h"
#include "cli/out/json.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "cli/view/count.h"
#include "cli/view/figure.h"
#include "cli/view/guard.h"
#include "policy/policy.h"
#include "history.h"

/* Reads the rules, breakers and budgets of the cells. */
static int
read_guards(struct admin *registry, struct counts *cells)
{
    int rc = 0;

    for (size_t i = 0; i < cells->count && rc == 0; i++) {
        struct policy *p = NULL;

        if (counts_first(cells, i)) {
            rc = guard_policy(registry, cells->list[i].cell.name, &p);
        }
        if (p) {
            counts_follow(cells, registry, p);
        }
    }
    return rc;
}

/* ---- as JSON ---- */

static struct json *
put_figures(struct json *array, const struct admin_cell *c)
{
    struct json *j = json_add_object(array);

    json_put_text(j, "policy", c->name);
    if (!c->is_sum) {
        json_put_text(j, "scope", c->scope);
    }
    json_put_count(j, "version", c->stats.version);
    figure_json(j, &c->stats, c->outcomes, c->outcome_count);
    return j;
}

static int
print_stats_json(const struct counts *cells)
{
    struct json *object = json_object_new();
    struct json *array = json_in_array(object, "policies");

    for (size_t i = 0; i < cells->count; i++) {
        if (!cells->list[i].cell.only_scopes) {
            const struct count *cell = &cells->list[i];

            guard_put(put_figures(array, &cell->cell), cell->policy,
                      &cell->guard);
        }
    }
    array = json_in_array(object, "sums");
    for (size_t i = 0; i < cells->sum_count; i++) {
        put_figures(array, &cells->sums[i].cell);
    }
    return json_out(object);
}

/* ---- as text ---- */

/* Columns, in order: NAME, SCOPE, the figures of calls and of attempts,
 * BREAKER, BUDGET. */
enum { NAME, SCOPE, FIRST_FIGURE, BREAKER = FIRST_FIGURE + FIGURES, BUDGET };
enum { COLUMNS = BUDGET + 1 };

static const char *
column_title(size_t column)
{
    static const char *const titles[COLUMNS] = {[NAME] = "POLICY",
                                                [SCOPE] = "SCOPE",
                                                [BREAKER] = "BREAKER",
                                                [BUDGET] = "BUDGET"};

    return titles[column] ? titles[column]
                          : figure_title(column - FIRST_FIGURE);
}

static bool
has_column(const struct count *cell, size_t column)
{
    switch (column) {
    case SCOPE:
        return *cell->cell.scope != '\0';
    case BREAKER:
        return guard_has_breaker(cell->policy);
    case BUDGET:
        return guard_has_budget(cell->policy);
    default:
        return figure_shown(&cell->cell.stats, column - FIRST_FIGURE);
    }
}

static bool
is_shown(const struct counts *cells, size_t column)
{
    bool any = column == NAME;

    for (size_t i = 0; i < cells->count && !any; i++) {
        any = has_column(&cells->list[i], column);
    }
    return any;
}

static void
add_guard_cell(struct table *t, size_t at, size_t column,
               const struct admin_guard *g)
{
    if (column == BUDGET) {
        table_cell(t, at, "%s", guard_level(g).text);
        return;
    }
    table_cell(t, at, "%s", guard_state(g).text);
    if (!guard_is_closed(g)) {
        table_mark_cell(t, at);
    }
}

static void
add_column_cell(struct table *t, size_t at, size_t column,
                const struct count *cell)
{
    const struct admin_cell *c = &cell->cell;
    size_t figure = column - FIRST_FIGURE;

    switch (column) {
    case NAME:
        table_cell(t, at, "%s", c->name);
        if (c->missing) {
            table_mark_row(t);
        }
        break;
    case SCOPE:
        table_cell(t, at, "%s", c->is_sum ? "(all)" : guard_scope(c->scope));
        break;
    case BREAKER:
    case BUDGET:
        if (!c->is_sum) {
            add_guard_cell(t, at, column, &cell->guard);
        }
        break;
    default:
        if (figure < FIGURE_LATENCY || c->stats.latency_succeeded.count > 0) {
            table_cell(t, at, "%s", figure_write(&c->stats, figure).text);
        }
    }
}

static void
add_stats_row(struct table *t, const size_t *which, size_t count,
              const struct count *cell)
{
    table_row(t);
    for (size_t k = 0; k < count; k++) {
        add_column_cell(t, k, which[k], cell);
    }
}

/* Returns the sum of a name, if count `i` is the first of several with it. */
static const struct count *
sum_before(const struct counts *cells, size_t i)
{
    const struct count *end = counts_end(cells), *one = &cells->list[i];
    size_t shown = 0;

    if (!counts_first(cells, i)) {
        return NULL;
    }
    for (; one < end && !strcmp(one->cell.name, cells->list[i].cell.name);
         one++) {
        shown += !one->cell.only_scopes;
    }
    return shown > 1 ? counts_sum(cells, cells->list[i].cell.name) : NULL;
}

static int
print_stats_table(const struct counts *cells)
{
    struct table_column columns[COLUMNS];
    size_t which[COLUMNS], count = 0;
    struct table *t;

    for (size_t i = 0; i < COLUMNS; i++) {
        if (is_shown(cells, i)) {
            columns[count] = (struct table_column){
                column_title(i), i < FIRST_FIGURE ? TABLE_NAME : TABLE_RIGHT};
            which[count++] = i;
        }
    }
    t = table_new(columns, count);
    for (size_t i = 0; i < cells->count; i++) {
        const struct count *sum = sum_before(cells, i);

        if (sum) {
            add_stats_row(t, which, count, sum);
        }
        if (!cells->list[i].cell.only_scopes) {
            add_stats_row(t, which, count, &cells->list[i]);
        }
    }
    return table_print(t);
}

static void
print_missing(const struct counts *cells)
{
    bool any = false;

    for (size_t i = 0; i < cells->count; i++) {
        const struct admin_cell *c = &cells->list[i].cell;

        if (c->missing && counts_first(cells, i)) {
            fputs(any ? ", " : "\nnot defined: ", stdout);
            text_put(stdout, c->name, false);
            any = true;
        }
    }
    if (any) {
        putchar('\n');
    }
}

static void
print_scopes(const struct counts *cells)
{
    for (size_t i = 0; i < cells->count; i++) {
        const struct admin_cell *c = &cells->list[i].cell;

        if (c->scopes_refused > 0) {
            char *note =
                guard_scopes_note(c->name, c->scopes, c->scopes_refused);

            putchar('\n');
            text_put(stdout, note ? note : "note", false);
            putchar('\n');
            free(note);
        }
    }
}

static int
print_stats_text(const struct counts *cells, const char *name, bool seen)
{
    const struct count *sum = name ? counts_sum(cells, name) : NULL;

    if (cells->count == 0) {
        puts(seen ? "No calls yet." : "No calls are known.");
        return 0;
    }
    if (print_stats_table(cells)) {
        return BIDE_ENOMEM;
    }
    print_missing(cells);
    print_scopes(cells);
    if (name) {
        putchar('\n');
        for (size_t i = 0; i < cells->count; i++) {
            const struct admin_cell *c = &cells->list[i].cell;

            figure_outcomes(*c->scope ? guard_scope(c->scope) : "", c->outcomes,
                            c->outcome_count);
        }
        if (sum) {
            figure_print_calls(&sum->cell.stats);
        }
        puts("Totals since the live state was created. P50 to P99 of the table "
             "are of succeeded attempts.");
    }
    return 0;
}

int
stats_command(struct command_line *line)
{
    const char *name = line->operands[0];
    struct counts cells = {0};
    int rc, status = STATUS_DONE;

    if (name && !policy_name_ok(name)) {
        return say_no_policy(line->registry, name);
    }
    if (history_asked(line)) {
        return history_command(line);
    }
    rc = counts_read(line->registry, name, COUNTS_OUTCOMES | COUNTS_SUMS,
                     &cells);
    /* A policy without calls has no cell. */
    if (rc == 0 && name && cells.count == 0) {
        status = say_unless_found(line->registry, name, NULL);
    }
    if (rc == 0 && status == 0) {
        rc = read_guards(line->registry, &cells);
    }
    if (rc == 0 && status == 0) {
        rc = line->option[OPTION_JSON]
                 ? print_stats_json(&cells)
                 : print_stats_text(&cells, name,
                                    admin_has_live(line->registry));
    }
    counts_free(&cells);
    return rc ? say_failure(rc, "live state") : status;
}
