/* bide list: lists each policy with its rules and its live state. */
#include "list.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "admin/guard.h"
#include "admin/live.h"
#include "admin/read.h"
#include "base/clock.h"
#include "cli/command/say.h"
#include "cli/out/json.h"
#include "cli/out/table.h"
#include "cli/view/declared.h"
#include "cli/view/guard.h"
#include "cli/view/layer.h"
#include "policy/policy.h"
#include "record/past.h"
#include "store/policies/record.h"

/* The figures that --sort takes. */
static const enum now_figure sortings[] = {NOW_FAILED, NOW_CALLS, NOW_RETRIES,
                                           NOW_P95};

/* Limit of warnings whose beginning is looked up in the history. */
enum { LOOKED_UP_MAX = 8 };

const char *
list_row_name(const struct list_row *row)
{
    return row->record ? row->record->name : row->count->cell.name;
}

void
list_judge(const struct list_row *row, struct alarm_verdict *out)
{
    *out = (struct alarm_verdict){.level = ALARM_OK};
    if (row->record && row->policy && row->count) {
        now_judge(row->policy, row->count, &row->worst, out);
    }
}

static int
keep_since(void *arg, const struct past_alarm *a)
{
    *(uint64_t *)arg = a->recorded.level != ALARM_OK ? a->recorded.since_ns : 0;
    return 0;
}

uint64_t
list_since_ns(struct list *list, const struct list_row *row)
{
    char *name = strdup(list_row_name(row));
    uint64_t since_ns = 0;

    if (name && list->looked_up++ < LOOKED_UP_MAX &&
        admin_each_alarm(list->registry, &name, 1, keep_since, &since_ns)) {
        since_ns = 0;
    }
    free(name);
    return since_ns;
}

double
list_rank(const struct list *list, const struct list_row *row)
{
    return list->sort && row->count
               ? now_rank(&row->count->cell, *list->sort, list->all)
               : 0;
}

static bool
matches_pattern(const struct list *list, const char *name)
{
    return !list->pattern || fnmatch(list->pattern, name, 0) == 0;
}

/* Reads the state of the breaker and the budget in each scope; `p` and `c` may
 * be NULL. */
static void
read_guards(struct list *list, const struct policy *p, struct count *c,
            struct admin_guard *out)
{
    bool any = false;

    memset(out, 0, sizeof(*out));
    if (!guard_has_any(p) || admin_live_failed(list->registry)) {
        return;
    }
    for (size_t i = 0; c && guard_by_scope(p) && i < c->part_count; i++) {
        struct count *part = &c->parts[i];

        if (part->cell.only_scopes) {
            continue;
        }
        admin_guard(list->registry, p, p->name, part->cell.scope, &part->guard);
        if (!any) {
            *out = part->guard;
            c->worst_scope = part->cell.scope;
        } else if (guard_worse(out, &part->guard)) {
            c->worst_scope = part->cell.scope;
        }
        any = true;
    }
    if (!any) {
        admin_guard(list->registry, p, p->name, "", out);
    }
}

static void
add_row(struct list *list, const struct list_row *row)
{
    list->add(list, row);
    list->shown++;
}

static int
list_policy(void *arg, const struct record *r)
{
    struct list *list = arg;
    struct list_row row = {.record = r};
    struct count total;
    struct policy *p;
    int rc;

    if (!matches_pattern(list, r->name)) {
        return 0;
    }
    rc = admin_compile(list->registry, r, NULL, &p);
    list->unread = rc && rc != BIDE_EINPUT;
    list->ends_ns = 0;
    list->name = r->name;
    if (rc != BIDE_ENOMEM && list->table) { /* else nobody reads the notes */
        rc = layer_each(list->registry, r, list_add_layers, list);
    }
    if (rc != BIDE_ENOMEM) {
        bool used = counts_find(&list->counts, r->name, &total);

        rc = 0;
        read_guards(list, p, used ? &total : NULL, &row.worst);
        row.policy = p;
        row.count = used ? &total : NULL;
        add_row(list, &row);
    }
    policy_free(p);
    return rc;
}

/* Finds the rules that calls of a name follow that is not defined; `out` is
 * freed with policy_free.  Returns 0 or BIDE_ENOMEM. */
static int
find_undefined(struct list *list, const struct count *c, struct policy **out,
               bool *out_default)
{
    int rc;

    *out = NULL;
    *out_default = false;
    if (c->cell.declared) {
        return declared_compile(c->cell.declared, c->cell.name, out);
    }
    rc = guard_policy(list->registry, "default", out);
    *out_default = *out != NULL;
    return rc || *out || *c->cell.name == '@'
               ? rc
               : policy_builtin(c->cell.name, out);
}

static int
list_missing(struct list *list)
{
    const struct counts *counts = &list->counts;
    struct count c;
    int rc = 0;

    for (size_t i = 0; i < counts->count && rc == 0; i += c.part_count) {
        struct list_row row = {.count = &c};
        struct policy *p;

        counts_find(counts, counts->list[i].cell.name, &c);
        if (c.cell.missing && matches_pattern(list, c.cell.name)) {
            rc = find_undefined(list, &c, &p, &row.is_default);
            row.policy = p;
            add_row(list, &row);
            policy_free(p);
        }
    }
    return rc;
}

int
list_read(struct list *list)
{
    int rc = counts_read(list->registry, NULL, COUNTS_NOW, &list->counts);
    int missing;

    rc = rc ? rc : counts_sleeping(list->registry, &list->counts);
    rc = rc ? rc : admin_each_policy(list->registry, list_policy, list);
    missing = rc == 0 || rc == BIDE_EDAMAGED ? list_missing(list) : 0;
    return rc ? rc : missing;
}

/* Reads the options.  Returns 0, or the exit status after an error message. */
static int
read_options(const struct command_line *line, struct list *list)
{
    const char *sort = line->option[OPTION_SORT];

    list->all = line->option[OPTION_ALL];
    if (line->option[OPTION_MOST]) { /* only bide serve gives it */
        list->most = (uint32_t)strtoul(line->option[OPTION_MOST], NULL, 10);
    }
    list->scopes = line->option[OPTION_SCOPES] ||
                   (list->pattern && !strpbrk(list->pattern, "*?["));
    for (size_t i = 0; sort && i < sizeof(sortings) / sizeof(*sortings); i++) {
        if (strcmp(sort, now_word(sortings[i])) == 0) {
            list->sort = &sortings[i];
        }
    }
    if (sort && !list->sort && strcmp(sort, "name") != 0) {
        say("--sort %s: not failed, calls, retries, p95 or name", sort);
        return STATUS_USAGE;
    }
    return 0;
}

void
list_free(struct list *list)
{
    draft_free(&list->warnings.lines);
    draft_free(&list->temporary.lines);
    draft_free(&list->notes.lines);
    counts_free(&list->counts);
    free(list->ranks);
}

int
list_command(struct command_line *line)
{
    struct list list = {.registry = line->registry,
                        .pattern = line->operands[0],
                        .now_ns = clock_realtime_ns()};
    int rc, printed, status = read_options(line, &list);

    if (status) {
        return status;
    }
    if (line->option[OPTION_JSON]) {
        list.add = list_put_row;
        list.object = json_object_new();
        list.array = json_in_array(list.object, "policies");
    } else {
        list.add = list_add_row;
        list.table = list_table(&list);
    }
    rc = list_read(&list);
    printed = (list.table ? list_print_table(&list) : json_out(list.object)) ||
              rc == BIDE_ENOMEM;
    status = rc < 0 ? say_failure(rc, "registry") : STATUS_DONE;
    if (printed) {
        status = say_no_memory();
    } else if (status == 0 && list.shown == 0 && list.pattern) {
        say("%s: no policy matches", list.pattern);
        status = STATUS_ABSENT;
    }
    list_free(&list);
    return status;
}
