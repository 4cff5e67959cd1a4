/* bide limit: shows the places of a policy, or frees them. */
#include <stdio.h>
#include <string.h>

#include "admin/guard.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "shared.h"

static bool
has_limit(const struct policy *p)
{
    return strcmp(p->limit.group, "none") != 0;
}

static void
print_limit_rules(const struct policy *p)
{
    const struct limit_rules *r = &p->limit;

    printf("; %u attempts at once", r->places);
    if (r->reserve > 0) {
        printf("; %.15g%% for mandatory policies only", r->reserve * 100);
    }
    putchar('\n');
}

static struct brief
write_used(const struct admin_guard *g)
{
    struct brief out;

    snprintf(out.text, sizeof(out.text), "%u in use", g->places_used);
    return out;
}

static int
print_places(const struct policy *p, const struct counts *parts)
{
    static const struct table_column columns[] = {{"SCOPE", TABLE_NAME},
                                                  {"USED", TABLE_RIGHT},
                                                  {"PLACES", TABLE_RIGHT},
                                                  {"REFUSED", TABLE_RIGHT}};
    struct table *t = table_new(columns, 4);

    for (size_t i = 0; i < parts->count; i++) {
        const struct admin_guard *g = &parts->list[i].guard;

        table_row_of(t, guard_scope(parts->list[i].cell.scope));
        table_cell(t, 1, "%u", g->places_used);
        table_cell(t, 2, "%u", p->limit.places);
        table_cell(t, 3, "%s", text_count(g->by_limit).text);
        if (g->places_used >= p->limit.places) {
            table_mark_row(t);
        }
    }
    return table_print(t);
}

int
limit_command(struct command_line *line)
{
    static const struct shared_view view = {
        GROUP_LIMIT,  has_limit,  print_limit_rules,
        print_places, write_used, admin_reset_limit,
    };

    return shared_command(line, &view);
}
