/* bide rate: shows the rate of a policy, or fills its bucket. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "admin/guard.h"
#include "base/duration.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "shared.h"

static bool
has_rate(const struct policy *p)
{
    return strcmp(p->rate.group, "none") != 0;
}

/* Writes a rate as the key rate_limit takes it: 5/m. */
static struct brief
write_per(double per_s)
{
    bool hours = per_s < 1.0 / 60, minutes = !hours && per_s < 1;
    double number = per_s * (hours ? 3600 : minutes ? 60 : 1);
    struct brief out;

    snprintf(out.text, sizeof(out.text), number < 1000 ? "%.3g/%c" : "%.0f/%c",
             number,
             hours     ? 'h'
             : minutes ? 'm'
                       : 's');
    return out;
}

static void
print_rate_rules(const struct policy *p)
{
    const struct rate_rules *r = &p->rate;

    printf("; up to %s, ", write_per(r->per_s).text);
    if (r->adapt == ADAPT_NONE) {
        printf("%u at once", r->burst);
    } else {
        printf("at least %s, lowered by throttle outcomes",
               write_per(r->min_per_s).text);
    }
    if (r->reserve > 0) {
        printf("; %.15g%% for mandatory policies only", r->reserve * 100);
    }
    puts(p->hint.holds == HINT_HOLDS_ALL ? "; a server's wait holds all calls"
                                         : "");
}

static struct brief
write_tokens(const struct admin_guard *g)
{
    struct brief out;

    snprintf(out.text, sizeof(out.text), "%.0f of %.0f", floor(g->rate.tokens),
             floor(g->rate.burst));
    return out;
}

static int
print_rates(const struct policy *p, const struct counts *parts)
{
    static const struct table_column columns[] = {{"SCOPE", TABLE_NAME},
                                                  {"RATE", TABLE_RIGHT},
                                                  {"TOKENS", TABLE_RIGHT},
                                                  {"HELD", TABLE_RIGHT},
                                                  {"REFUSED", TABLE_RIGHT}};
    struct table *t = table_new(columns, 5);

    (void)p;
    for (size_t i = 0; i < parts->count; i++) {
        const struct admin_guard *g = &parts->list[i].guard;

        table_row_of(t, guard_scope(parts->list[i].cell.scope));
        if (!isinf(g->rate.per_s)) { /* else nothing waits yet */
            table_cell(t, 1, "%s%s", write_per(g->rate.per_s).text,
                       g->rate.is_damaged ? " (damaged)" : "");
            table_cell(t, 2, "%s", write_tokens(g).text);
        }
        if (g->held_ns) {
            table_cell(t, 3, "%s", duration_round(g->held_ns).text);
        }
        table_cell(t, 4, "%s", text_count(g->by_rate + g->by_hint).text);
        if (g->rate.is_learned || g->held_ns) {
            table_mark_row(t);
        }
    }
    return table_print(t);
}

int
rate_command(struct command_line *line)
{
    static const struct shared_view view = {
        GROUP_RATE,  has_rate,     print_rate_rules,
        print_rates, write_tokens, admin_reset_rate,
    };

    return shared_command(line, &view);
}
