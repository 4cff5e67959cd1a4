/* bide budget: shows the retry budget of a policy, or fills it. */
#include <stdio.h>
#include <string.h>

#include "admin/guard.h"
#include "admin/read.h"
#include "base/duration.h"
#include "cli/command/say.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "cli/view/guard.h"
#include "policy/policy.h"
#include "store/policies/record.h"

/* ---- the policies that share it ---- */

struct budget_members {
    struct admin *registry;
    const struct policy *of;
    struct json *array; /* NULL: print the names */
    size_t count;
};

static int
add_if_member(void *arg, const struct record *r)
{
    struct budget_members *m = arg;
    struct policy *p;
    int rc = guard_compile(m->registry, r, &p);

    if (rc == 0 && p && strcmp(p->budget.group, m->of->budget.group) == 0) {
        if (m->array) {
            json_put_text(m->array, NULL, r->name);
        } else {
            printf("%s%s", m->count > 0 ? ", " : "", r->name);
        }
        m->count++;
    }
    policy_free(p);
    return rc;
}

static bool
has_own_budget(const struct policy *p)
{
    return strcmp(p->budget.group, "own") == 0;
}

/* Adds each policy that shares the budget; adds none if it is not shared. */
static int
add_members(struct budget_members *m)
{
    return has_own_budget(m->of)
               ? 0
               : admin_each_policy(m->registry, add_if_member, m);
}

/* ---- the table ---- */

static void
print_budget_rules(const struct policy *p)
{
    const struct budget_rules *b = &p->budget;

    if (has_own_budget(p)) {
        printf("%s: a budget of its own", p->name);
    } else {
        printf("%s: budget %s", p->name, b->group);
    }
    if (b->kind == BUDGET_RATIO) {
        printf("; retries up to %.15g%% of the calls%s plus %.15g/s, over %s\n",
               b->ratio * 100, b->earn == EARN_SUCCESS ? " that succeed" : "",
               b->min_rate, duration_round(b->window_ns).text);
        return;
    }
    printf("; %.15g tokens, a %s costs %.15g, a success returns %.15g",
           (double)b->capacity / 1000,
           b->charge == CHARGE_RETRY ? "retry" : "failure",
           (double)b->cost / 1000, (double)b->deposit / 1000);
    if (b->refill_per_s > 0) {
        printf("; refilled at %.15g/s", (double)b->refill_per_s / 1000);
    }
    if (b->threshold > 0) {
        printf("; retries only above %.15g%%", b->threshold * 100);
    }
    putchar('\n');
}

static int
print_members(struct command_line *line, const struct policy *p)
{
    struct budget_members m = {line->registry, p, NULL, 0};
    int rc;

    if (has_own_budget(p)) {
        return 0;
    }
    fputs("shared by ", stdout);
    rc = add_members(&m);
    putchar('\n');
    return rc;
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
    return table_print(t);
}

static int
print_budget(struct command_line *line, const struct policy *p,
             const struct counts *parts)
{
    int rc;

    print_budget_rules(p);
    rc = print_members(line, p);
    if (rc) {
        return rc;
    }
    putchar('\n');
    rc = print_levels(p, parts);
    if (rc == 0) {
        puts("REFUSED counts retries since the live state was created.");
    }
    return rc;
}

/* ---- JSON ---- */

static int
print_json(struct command_line *line, const struct policy *p,
           const struct counts *parts)
{
    struct json *j = json_object_new();
    struct budget_members m = {line->registry, p, NULL, 0};
    int rc;

    json_put_text(j, "policy", p->name);
    json_put_text(j, "group", p->budget.group);
    m.array = json_in_array(j, "members");
    if (has_own_budget(p)) {
        json_put_text(m.array, NULL, p->name);
    }
    rc = m.array ? add_members(&m) : 0;
    if (rc) {
        json_free(j);
        return rc;
    }
    guard_put_parts(j, p, parts->list, parts->count);
    return json_out(j);
}

/* ---- the command ---- */

static int
fill_budget(struct command_line *line, const struct policy *p,
            const struct counts *parts)
{
    for (size_t i = 0; i < parts->count; i++) {
        const struct count *part = &parts->list[i];
        int rc =
            admin_reset_budget(line->registry, p, p->name, part->cell.scope);

        if (rc == BIDE_ENOPOLICY) {
            printf("%s: no process has used it yet: it is full\n", p->name);
            break;
        }
        if (rc) {
            return say_failure(rc, p->name);
        }
        printf("%s%s%s: full, was at %s\n", p->name,
               *part->cell.scope ? " " : "",
               *part->cell.scope ? guard_scope(part->cell.scope) : "",
               guard_level(&part->guard).text);
    }
    return STATUS_DONE;
}

static int
report_no_budget(struct command_line *line, const struct policy *p)
{
    struct counts none = {0};
    int rc = line->option[OPTION_JSON] ? print_json(line, p, &none) : 0;

    if (rc) {
        return say_failure(rc, p->name);
    }
    say("%s: the policy has no budget", p->name);
    say("to give it one: bide set %s budget=own", p->name);
    return STATUS_NO;
}

static int
show_or_fill(struct command_line *line, const struct policy *p, bool to_fill)
{
    /* All scopes of its members have one shared budget. */
    const char *scope =
        has_own_budget(p) ? guard_scope_read(line->option[OPTION_SCOPE]) : "";
    struct counts parts = {0};
    int rc, status = guard_parts_find(line, p, scope, &parts);

    if (status == 0 && to_fill) {
        status = fill_budget(line, p, &parts);
    } else if (status == 0) {
        rc = line->option[OPTION_JSON] ? print_json(line, p, &parts)
                                       : print_budget(line, p, &parts);
        status = rc ? say_failure(rc, p->name) : STATUS_DONE;
    }
    counts_free(&parts);
    return status;
}

int
budget_command(struct command_line *line)
{
    const char *word = line->count > 1 ? line->operands[1] : NULL;
    struct policy *p;
    int status;

    if (word && strcmp(word, "reset") != 0) {
        return say_usage(line, "%s: no such action; the only action is reset",
                         word);
    }
    if (word && line->option[OPTION_JSON]) {
        return say_usage(line, "--json: only to show the state");
    }
    status = guard_find(line, &p);
    if (status) {
        return status;
    }
    if (!guard_has_budget(p)) {
        status = report_no_budget(line, p);
    } else if (line->option[OPTION_SCOPE] && !has_own_budget(p)) {
        status = say_usage(line, "--scope: budget %s is shared by all scopes",
                           p->budget.group);
    } else {
        status = show_or_fill(line, p, word != NULL);
    }
    policy_free(p);
    return status;
}
