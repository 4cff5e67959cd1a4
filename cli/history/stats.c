/* bide stats: call statistics since the live state was created. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/guard.h"
#include "admin/live.h"
#include "base/array.h"
#include "cli/command/say.h"
#include "cli/out/json.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "cli/view/count.h"
#include "cli/view/figure.h"
#include "cli/view/guard.h"
#include "policy/policy.h"
#include "history.h"

/* Limit of outcomes in the text output; --json prints all. */
enum { OUTCOMES_SHOWN = 8 };

struct stats_cell {
    struct admin_cell live;
    struct cell_outcome *outcomes;
    struct policy *policy; /* NULL: not defined or not valid; owned by the first
                              cell of a name */
    struct admin_guard guard;
};

struct stats_cells {
    size_t count;
    struct stats_cell *list; /* by name and scope */
};

/* Reports whether cell `i` is the first one with its name. */
static bool
is_first_of_name(const struct stats_cells *cells, size_t i)
{
    return i == 0 ||
           strcmp(cells->list[i - 1].live.name, cells->list[i].live.name) != 0;
}

static void
cells_free(struct stats_cells *cells)
{
    for (size_t i = 0; i < cells->count; i++) {
        free(cells->list[i].outcomes);
        if (is_first_of_name(cells, i)) {
            policy_free(cells->list[i].policy);
        }
    }
    free(cells->list);
}

static int
add_stats_cell(void *arg, const struct admin_cell *c)
{
    struct stats_cells *cells = arg;
    struct cell_outcome *outcomes =
        calloc(c->outcome_count + 1, sizeof(*outcomes));
    struct stats_cell *cell =
        outcomes ? array_add(&cells->list, &cells->count, sizeof(*cell)) : NULL;

    if (!cell) {
        free(outcomes);
        return BIDE_ENOMEM;
    }
    if (c->outcome_count > 0) {
        memcpy(outcomes, c->outcomes, c->outcome_count * sizeof(*outcomes));
    }
    cell->live = *c;
    cell->live.outcomes = cell->outcomes = outcomes;
    return 0;
}

static int
compare_stats_cells(const void *a, const void *b)
{
    const struct stats_cell *x = a, *y = b;
    int order = strcmp(x->live.name, y->live.name);

    return order ? order : strcmp(x->live.scope, y->live.scope);
}

/* Sorts the cells and reads their breakers and budgets. */
static int
sort_and_read_guards(struct admin *registry, struct stats_cells *cells)
{
    int rc = 0;

    if (cells->count > 0) {
        qsort(cells->list, cells->count, sizeof(*cells->list),
              compare_stats_cells);
    }
    for (size_t i = 0; i < cells->count && rc == 0; i++) {
        struct stats_cell *c = &cells->list[i];

        if (!is_first_of_name(cells, i)) {
            c->policy = cells->list[i - 1].policy;
        } else {
            rc = guard_policy(registry, c->live.name, &c->policy);
        }
        if (guard_has_breaker(c->policy) || guard_has_budget(c->policy)) {
            admin_guard(registry, c->policy, c->live.name, c->live.scope,
                        &c->guard);
        }
    }
    return rc;
}

/* ---- as JSON ---- */

static void
put_cell(struct json *array, const struct stats_cell *cell)
{
    const struct admin_cell *c = &cell->live;
    const struct bide_stats *s = &c->stats;
    struct json *j = json_add_object(array), *inside;

    json_put_text(j, "policy", c->name);
    json_put_text(j, "scope", c->scope);
    json_put_count(j, "version", s->version);
    figure_json(j, s);
    figure_latency_json(j, s);
    inside = json_in_object(j, "outcomes");
    for (size_t i = 0; i < c->outcome_count; i++) {
        json_put_count(inside, c->outcomes[i].name, c->outcomes[i].count);
    }
    guard_put(j, cell->policy, &cell->guard);
}

static int
print_stats_json(const struct stats_cells *cells)
{
    struct json *object = json_object_new();
    struct json *array = json_in_array(object, "policies");

    for (size_t i = 0; i < cells->count; i++) {
        if (!cells->list[i].live.only_scopes) {
            put_cell(array, &cells->list[i]);
        }
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
has_column(const struct stats_cell *cell, size_t column)
{
    switch (column) {
    case SCOPE:
        return *cell->live.scope != '\0';
    case BREAKER:
        return guard_has_breaker(cell->policy);
    case BUDGET:
        return guard_has_budget(cell->policy);
    default:
        return figure_shown(&cell->live.stats, column - FIRST_FIGURE);
    }
}

static bool
is_shown(const struct stats_cells *cells, size_t column)
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
    char text[32];

    if (column == BUDGET) {
        table_cell(t, at, "%s", guard_level(g, text, sizeof(text)));
        return;
    }
    table_cell(t, at, "%s", guard_state(g, text, sizeof(text)));
    if (!guard_is_closed(g)) {
        table_mark_cell(t, at);
    }
}

static void
add_column_cell(struct table *t, size_t at, size_t column,
                const struct stats_cell *cell)
{
    const struct admin_cell *c = &cell->live;
    size_t figure = column - FIRST_FIGURE;
    char text[32];

    switch (column) {
    case NAME:
        table_cell(t, at, "%s", c->name);
        if (c->missing) {
            table_mark_row(t);
        }
        break;
    case SCOPE:
        table_cell(t, at, "%s", guard_scope(c->scope));
        break;
    case BREAKER:
    case BUDGET:
        add_guard_cell(t, at, column, &cell->guard);
        break;
    default:
        if (figure < FIGURE_LATENCY || c->stats.latency_succeeded.count > 0) {
            table_cell(t, at, "%s",
                       figure_write(&c->stats, figure, text, sizeof(text)));
        }
    }
}

static int
print_stats_table(const struct stats_cells *cells)
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
        if (cells->list[i].live.only_scopes) {
            continue;
        }
        table_row(t);
        for (size_t k = 0; k < count; k++) {
            add_column_cell(t, k, which[k], &cells->list[i]);
        }
    }
    return table_print(t);
}

static void
print_cell_outcomes(const struct admin_cell *c)
{
    uint64_t all = 0, left = 0;
    char share[32];

    for (size_t i = 0; i < c->outcome_count; i++) {
        all += c->outcomes[i].count;
        left += i >= OUTCOMES_SHOWN ? c->outcomes[i].count : 0;
    }
    if (all == 0) {
        return;
    }
    fputs("outcomes", stdout);
    if (*c->scope) {
        printf(" of ");
        text_put(stdout, guard_scope(c->scope), false);
    }
    for (size_t i = 0; i < c->outcome_count && i < OUTCOMES_SHOWN; i++) {
        fputs("   ", stdout);
        text_put(stdout, c->outcomes[i].name, false);
        printf(" %s",
               text_share(c->outcomes[i].count, all, 0, share, sizeof(share)));
    }
    if (left > 0) {
        printf("   others %s", text_share(left, all, 0, share, sizeof(share)));
    }
    putchar('\n');
}

static void
print_missing(const struct stats_cells *cells)
{
    bool any = false;

    for (size_t i = 0; i < cells->count; i++) {
        const struct admin_cell *c = &cells->list[i].live;

        if (c->missing && is_first_of_name(cells, i)) {
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
print_scopes(const struct stats_cells *cells)
{
    for (size_t i = 0; i < cells->count; i++) {
        const struct admin_cell *c = &cells->list[i].live;

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
print_stats_text(const struct stats_cells *cells, const char *name, bool seen)
{
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
            print_cell_outcomes(&cells->list[i].live);
        }
        puts("Totals since the live state was created. P50 to P99 are of "
             "succeeded attempts.");
    }
    return 0;
}

int
stats_command(struct command_line *line)
{
    const char *name = line->operands[0];
    struct stats_cells cells = {0};
    int rc, status = STATUS_DONE;

    if (name && !policy_name_ok(name)) {
        return say_no_policy(line->registry, name);
    }
    if (history_asked(line)) {
        return history_command(line);
    }
    rc = admin_each_cell(line->registry, name, add_stats_cell, &cells);
    /* A policy without calls has no cell. */
    if (rc == 0 && name && cells.count == 0) {
        status = say_unless_policy(line->registry, name);
    }
    if (rc == 0 && status == 0) {
        rc = sort_and_read_guards(line->registry, &cells);
    }
    if (rc == 0 && status == 0) {
        rc = line->option[OPTION_JSON]
                 ? print_stats_json(&cells)
                 : print_stats_text(&cells, name,
                                    admin_has_live(line->registry));
    }
    cells_free(&cells);
    return rc ? say_failure(rc, "live state") : status;
}
