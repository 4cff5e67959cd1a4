/* bide list: lists each policy with its rules and its live state. */
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/guard.h"
#include "admin/live.h"
#include "admin/read.h"
#include "base/clock.h"
#include "base/draft.h"
#include "base/duration.h"
#include "cli/command/say.h"
#include "cli/out/json.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "cli/view/count.h"
#include "cli/view/declared.h"
#include "cli/view/guard.h"
#include "cli/view/layer.h"
#include "policy/policy.h"
#include "store/policies/record.h"

/* Limit of notes of each kind below the table; further ones are only counted,
 * or left out. */
enum { NOTES_MAX = 8 };

/* Limit of rows for the scopes of a policy; scopes with an open breaker or a
 * used budget come first.  `bide stats` shows all scopes. */
enum { SCOPES_SHOWN = 16 };

struct notes {
    size_t count; /* may exceed NOTES_MAX */
    struct draft lines;
};

struct list {
    struct admin *registry;
    const char *pattern; /* NULL: all policies */
    struct counts counts;
    bool unread;         /* the present policy could not be read */
    struct table *table; /* NULL: print JSON */
    struct json *object, *array;
    size_t shown;
    uint64_t now_ns;
    const char *name; /* of the present policy */
    uint64_t ends_ns; /* the next end of a layer of the present policy; or 0 */
    struct notes temporary; /* about temporary versions */
    struct notes notes;     /* about damage, or about rows that were left out */
};

enum column {
    POLICY,
    VER,
    IMPORTANCE,
    RULES,
    CALLS,
    RETRIES,
    P95,
    BREAKER,
    BUDGET,
    SLEEPING,
};

/* The state of a policy's breaker and budget. */
struct guarded {
    struct admin_guard worst;  /* the worst state of all scopes */
    size_t count, scopes;      /* all parts; parts with a scope */
    const struct count *parts; /* by scope; also with `only_scopes` */
};

static bool
matches_pattern(const struct list *list, const char *name)
{
    return !list->pattern || fnmatch(list->pattern, name, 0) == 0;
}

/* ---- rows of the table ---- */

static void
add_count_cells(struct table *t, const struct count *c)
{
    uint64_t firsts = c ? count_firsts(&c->cell.stats) : 0;

    if (!c) {
        return;
    }
    table_cell(t, CALLS, "%s", text_count(counter_calls(&c->cell.stats)).text);
    table_cell(t, RETRIES, "%s",
               text_share(c->cell.stats.retries, firsts, 1).text);
    if (c->cell.stats.latency_succeeded.count > 0) {
        table_cell(t, P95, "%s",
                   duration_round(c->cell.stats.latency_succeeded.p95_ns).text);
    }
    if (c->sleeping > 0) {
        table_cell(t, SLEEPING, "%u", c->sleeping);
    }
    if (firsts > 0 && c->cell.stats.retries * 5 > firsts) {
        table_mark_cell(t, RETRIES); /* more than 20 % of the calls */
    }
}

static void add_note(struct notes *to, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds a line, once. */
static void
add_note(struct notes *to, const char *format, ...)
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
add_scope_rows(struct list *list, const struct policy *p,
               const struct guarded *guarded)
{
    size_t shown = 0;

    for (int usual = 0; usual < 2; usual++) {
        for (size_t i = 0; i < guarded->count; i++) {
            const struct count *part = &guarded->parts[i];

            if (guard_is_usual(&part->guard) != (usual == 1) ||
                !*part->cell.scope || shown >= SCOPES_SHOWN) {
                continue;
            }
            shown++;
            table_row(list->table);
            table_cell(list->table, POLICY, "%s/%s", p->name,
                       guard_scope(part->cell.scope));
            table_cell(list->table, VER, " ");
            add_guard_cells(list->table, &part->guard);
        }
    }
    if (guarded->scopes > shown) {
        add_note(&list->notes, "note: %s has %zu more scopes: bide stats %s",
                 p->name, guarded->scopes - shown, p->name);
    }
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

/* Adds notes on the layers in a row, also on those that are inherited. */
static int
add_layer_notes(void *arg, const char *of, const struct record_part *parts,
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

static void
add_policy_row(struct list *list, const struct record *r,
               const struct policy *p, const struct count *c,
               const struct guarded *guarded)
{
    struct table *t = list->table;
    char rules[128];

    table_row_of(t, r->name);
    table_cell(t, VER, "%u%s", r->version, list->ends_ns ? "*" : " ");
    if (p) {
        table_cell(t, IMPORTANCE, "%s", guard_importance(p->importance));
        table_cell(t, RULES, "%s%s", p->paused ? "PAUSED, " : "",
                   policy_summary(p, rules, sizeof(rules)));
    } else {
        table_cell(t, RULES, "%s: bide %s %s",
                   list->unread ? "could not be read" : "not valid",
                   list->unread ? "doctor" : "show",
                   list->unread ? "" : r->name);
    }
    if (!p || p->paused) {
        table_mark_row(t);
    }
    add_count_cells(t, c);
    add_guard_cells(t, &guarded->worst);
    add_guard_notes(list, r->name, &guarded->worst, c);
    if (guarded->scopes > 0) {
        add_scope_rows(list, p, guarded);
    }
}

/* The rules of a name that is not defined. */
struct undefined {
    struct policy *policy; /* NULL: not known */
    bool is_default;       /* those of the policy `default` */
};

/* Finds the rules that calls of such a name follow; `out` is freed with
 * policy_free.  Returns 0 or BIDE_ENOMEM. */
static int
find_undefined(struct list *list, const struct count *c, struct undefined *out)
{
    int rc;

    *out = (struct undefined){NULL, false};
    if (c->cell.declared) {
        return declared_compile(c->cell.declared, c->cell.name, &out->policy);
    }
    rc = guard_policy(list->registry, "default", &out->policy);
    out->is_default = out->policy != NULL;
    return rc || out->policy || *c->cell.name == '@'
               ? rc
               : policy_builtin(c->cell.name, &out->policy);
}

/* Adds a row for a name that services use but that is not defined. */
static void
add_missing_row(struct list *list, const struct count *c,
                const struct undefined *u)
{
    struct table *t = list->table;
    const struct who *w =
        c->cell.declared ? &c->cell.declared->by : &c->cell.asked_by;
    char rules[128] = "", by[80] = "";

    if (u->policy) {
        policy_summary(u->policy, rules, sizeof(rules));
    }
    if (w->pid > 0) {
        snprintf(by, sizeof(by), " by pid %u%s%s%s", w->pid,
                 *w->program ? " " : "", w->program, who_where(w));
    }
    table_row_of(t, c->cell.name);
    table_cell(t, VER, "- ");
    table_cell(t, RULES, "%s%s(%s%s)", rules, *rules ? " " : "",
               c->cell.declared ? "declared"
               : u->is_default  ? "not defined, so default applies: used"
                                : "not defined: used",
               by);
    table_mark_row(t);
    add_count_cells(t, c);
}

/* ---- rows as JSON ---- */

static void
put_counts(struct json *j, const struct count *c)
{
    static const struct count none;
    const struct bide_stats *s = c ? &c->cell.stats : &none.cell.stats;

    json_put_count(j, "calls", counter_calls(s));
    json_put_count(j, "attempts", s->attempts);
    json_put_count(j, "retries", s->retries);
    if (s->latency_succeeded.count > 0) {
        json_put_ms(j, "p95_ms", s->latency_succeeded.p95_ns);
    } else {
        json_put_null(j, "p95_ms");
    }
    json_put_count(j, "sleeping", c ? c->sleeping : 0);
}

static void
put_policy(struct list *list, const struct record *r, const struct policy *p,
           const struct count *c, const struct guarded *guarded)
{
    struct json *j = json_add_object(list->array);
    char rules[128];

    json_put_text(j, "policy", r->name);
    json_put_count(j, "version", r->version);
    if (p) {
        json_put_text(j, "importance", guard_importance(p->importance));
        json_put_text(j, "rules", policy_summary(p, rules, sizeof(rules)));
        json_put_truth(j, "paused", p->paused);
    } else {
        json_put_null(j, "rules");
    }
    if (list->ends_ns > 0) {
        json_put_s(j, "until", list->ends_ns);
    }
    layer_each(list->registry, r, layer_put, json_in_array(j, "layers"));
    put_counts(j, c);
    guard_put(j, admin_live_failed(list->registry) ? NULL : p, &guarded->worst);
    if (guarded->scopes > 0) {
        guard_put_parts(j, p, guarded->parts, guarded->count);
    }
    if (c && c->cell.scopes_refused > 0) {
        json_put_count(j, "scopes_refused", c->cell.scopes_refused);
    }
}

static void
put_missing(struct list *list, const struct count *c, const struct undefined *u)
{
    struct json *j = json_add_object(list->array);
    char rules[128];

    json_put_text(j, "policy", c->cell.name);
    json_put_null(j, "version");
    if (u->policy) {
        json_put_text(j, "rules",
                      policy_summary(u->policy, rules, sizeof(rules)));
    }
    if (c->cell.declared) {
        json_put_text(j, "declared_by", c->cell.declared->by.program);
        json_put_count(j, "declared_pid", c->cell.declared->by.pid);
        json_put_truth(j, "declared_other_container",
                       c->cell.declared->by.elsewhere);
        json_put_truth(j, "declared_ended", c->cell.declared->by.ended);
    }
    json_put_truth(j, "default", u->is_default);
    if (c->cell.asked_by.pid > 0) {
        json_put_count(j, "asked_by", c->cell.asked_by.pid);
        json_put_text(j, "program", c->cell.asked_by.program);
        json_put_truth(j, "other_container", c->cell.asked_by.elsewhere);
    }
    put_counts(j, c);
}

/* ---- all policies ---- */

/* Reads the state of the breaker and the budget in each scope; `p` and `c` may
 * be NULL.  The caller frees out->parts.  Returns 0 or BIDE_ENOMEM. */
static void
read_guards(struct list *list, const struct policy *p, const struct count *c,
            struct guarded *out)
{
    bool any = false;

    memset(out, 0, sizeof(*out));
    if ((!guard_has_breaker(p) && !guard_has_budget(p)) ||
        admin_live_failed(list->registry)) {
        return;
    }
    out->count = c && guard_by_scope(p) ? c->part_count : 0;
    out->parts = c ? c->parts : NULL;
    for (size_t i = 0; i < out->count; i++) {
        struct count *part = &c->parts[i];

        if (part->cell.only_scopes) {
            continue;
        }
        out->scopes += *part->cell.scope != '\0';
        admin_guard(list->registry, p, p->name, part->cell.scope, &part->guard);
        if (any) {
            guard_worse(&out->worst, &part->guard);
        } else {
            out->worst = part->guard;
        }
        any = true;
    }
    if (!any) {
        admin_guard(list->registry, p, p->name, "", &out->worst);
    }
}

static int
list_policy(void *arg, const struct record *r)
{
    struct list *list = arg;
    struct guarded guarded;
    struct count total, *c = NULL;
    struct policy *p;
    int rc;

    if (!matches_pattern(list, r->name)) {
        return 0;
    }
    rc = admin_compile(list->registry, r, NULL, &p);
    list->unread = rc && rc != BIDE_EINPUT;
    if (counts_find(&list->counts, r->name, &total)) {
        c = &total;
    }
    list->ends_ns = 0;
    list->name = r->name;
    if (rc != BIDE_ENOMEM) {
        rc = layer_each(list->registry, r, add_layer_notes, list);
    }
    if (rc != BIDE_ENOMEM) {
        rc = 0;
        read_guards(list, p, c, &guarded);
        (list->table ? add_policy_row : put_policy)(list, r, p, c, &guarded);
        list->shown++;
    }
    policy_free(p);
    return rc;
}

static int
list_missing(struct list *list)
{
    const struct counts *counts = &list->counts;
    struct count c;
    int rc = 0;

    for (size_t i = 0; i < counts->count && rc == 0; i += c.part_count) {
        struct undefined u;

        counts_find(counts, counts->list[i].cell.name, &c);
        if (c.cell.missing && matches_pattern(list, c.cell.name)) {
            rc = find_undefined(list, &c, &u);
            (list->table ? add_missing_row : put_missing)(list, &c, &u);
            policy_free(u.policy);
            list->shown++;
        }
    }
    return rc;
}

/* Prints a line for each note, after an empty line.  Returns 0 or BIDE_ENOMEM.
 */
static int
print_notes(const struct notes *notes)
{
    if (notes->count > 0 && !notes->lines.failed) {
        printf("\n%s", notes->lines.bytes);
    }
    return notes->lines.failed ? BIDE_ENOMEM : 0;
}

static int
print_list(struct list *list)
{
    int rc = 0;

    if (!list->table) {
        return json_out(list->object);
    }
    if (list->shown > 0) {
        rc = table_print(list->table);
    } else {
        fputs(list->pattern
                  ? ""
                  : "There are no policies yet. Next: bide apply FILE\n",
              stdout);
        table_free(list->table);
    }
    if (list->counts.added_up > 0) {
        add_note(&list->notes,
                 "note: %u more names and scopes are added up as %s",
                 list->counts.added_up, ADMIN_OTHERS);
    }
    if (admin_refused(list->registry) > 0) {
        add_note(&list->notes, "note: names that got no cell share "
                               "one, which is not shown: bide doctor");
    }
    rc = print_notes(&list->temporary) ? BIDE_ENOMEM : rc;
    if (list->temporary.count > NOTES_MAX) {
        printf("* and %zu more are temporary\n",
               list->temporary.count - NOTES_MAX);
    }
    return print_notes(&list->notes) ? BIDE_ENOMEM : rc;
}

int
list_command(struct command_line *line)
{
    static const struct table_column columns[] = {
        [POLICY] = {"POLICY", TABLE_NAME},
        [VER] = {"VER", TABLE_RIGHT | TABLE_SPARE},
        [IMPORTANCE] = {"IMPORTANCE", TABLE_SPARE},
        [RULES] = {"RULES", TABLE_WRAP},
        [CALLS] = {"CALLS", TABLE_RIGHT},
        [RETRIES] = {"RETRIES", TABLE_RIGHT},
        [P95] = {"P95", TABLE_RIGHT},
        [BREAKER] = {"BREAKER", 0},
        [BUDGET] = {"BUDGET", TABLE_RIGHT},
        [SLEEPING] = {"SLEEPING", TABLE_RIGHT},
    };
    struct list list = {.registry = line->registry,
                        .pattern = line->operands[0],
                        .now_ns = clock_realtime_ns()};
    int rc, printed, status;

    rc = counts_read(line->registry, NULL, 0, &list.counts);
    rc = rc ? rc : counts_sleeping(line->registry, &list.counts);
    if (rc) {
        counts_free(&list.counts);
        return say_failure(rc, "live state");
    }
    if (line->option[OPTION_JSON]) {
        list.object = json_object_new();
        list.array = json_in_array(list.object, "policies");
    } else {
        list.table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    }
    rc = admin_each_policy(line->registry, list_policy, &list);
    printed = list_missing(&list);
    printed = print_list(&list) || printed;
    status = rc < 0 ? say_failure(rc, "registry") : STATUS_DONE;
    if (printed) {
        status = say_no_memory();
    } else if (status == 0 && list.shown == 0 && list.pattern) {
        say("%s: no policy matches", list.pattern);
        status = STATUS_ABSENT;
    }
    draft_free(&list.temporary.lines);
    draft_free(&list.notes.lines);
    counts_free(&list.counts);
    return status;
}
