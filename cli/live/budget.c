/* bide budget: shows the retry budget of a policy, or fills it. */
#include <stdio.h>

#include "admin/guard.h"
#include "base/duration.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "shared.h"

static void
print_budget_rules(const struct policy *p)
{
    const struct budget_rules *b = &p->budget;

    if (b->kind == BUDGET_RATIO) {
        printf("; retries up to %.15g%% of the calls%s plus %.15g/s, over %s",
               b->ratio * 100, b->earn == EARN_SUCCESS ? " that succeed" : "",
               b->min_rate, duration_round(b->window_ns).text);
    } else {
        printf("; %.15g tokens, a %s costs %.15g, a success returns %.15g",
               (double)b->capacity / 1000,
               b->charge == CHARGE_RETRY ? "retry" : "failure",
               (double)b->cost / 1000, (double)b->deposit / 1000);
    }
    if (b->kind == BUDGET_TOKENS && b->refill_per_s > 0) {
        printf("; refilled at %.15g/s", (double)b->refill_per_s / 1000);
    }
    if (b->kind == BUDGET_TOKENS && b->threshold > 0) {
        printf("; retries only above %.15g%%", b->threshold * 100);
    }
    if (b->reserve > 0) {
        printf("; %.15g%% for mandatory policies only", b->reserve * 100);
    }
    putchar('\n');
}

static int
print_levels(const struct policy *p, const struct counts *parts)
{
    static const struct table_column columns[] = {{"SCOPE", TABLE_NAME},
                                                  {"LEVEL", TABLE_RIGHT},
                                                  {"TOKENS", TABLE_RIGHT},
                                                  {"REFUSED", TABLE_RIGHT}};
    struct table *t = table_new(columns, 4);
    double capacity = (double)p->budget.capacity / 1000;
    int rc;

    for (size_t i = 0; i < parts->count; i++) {
        const struct admin_guard *g = &parts->list[i].guard;

        table_row_of(t, guard_scope(parts->list[i].cell.scope));
        table_cell(t, 1, "%s%s", guard_level(g).text,
                   g->budget_damaged ? " (damaged)" : "");
        if (p->budget.kind == BUDGET_TOKENS) {
            table_cell(t, 2, "%.15g of %.15g", guard_tokens(p, g), capacity);
        }
        table_cell(t, 3, "%s", text_count(g->budget_refused).text);
        if (g->budget_level < 1) {
            table_mark_row(t);
        }
    }
    rc = table_print(t);
    if (rc == 0) {
        puts("REFUSED counts retries since the live state was created.");
    }
    return rc;
}

int
budget_command(struct command_line *line)
{
    static const struct shared_view view = {
        GROUP_BUDGET, guard_has_budget, print_budget_rules,
        print_levels, guard_level,      admin_reset_budget,
    };

    return shared_command(line, &view);
}
