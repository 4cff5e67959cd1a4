/* What there is and how it does: bide list, calls. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "count.h"
#include "say.h"
#include "when.h"
#include "out/json.h"
#include "out/table.h"
#include "out/text.h"

/* Temporary versions explained below the table; more are only counted. */
enum { NOTES_MAX = 8 };

struct list {
    struct admin *registry;
    const char *pattern; /* NULL: all */
    struct counts counts;
    bool as_json;
    struct table *table;
    struct json *object, *array;
    size_t shown;
    uint64_t now_ns;
    size_t temporary;
    char *notes[NOTES_MAX];
};

enum column { POLICY, VER, IMPORTANCE, RULES, CALLS, RETRIES, P95, SLEEPING };

static bool
matches(const struct list *list, const char *name)
{
    return !list->pattern || fnmatch(list->pattern, name, 0) == 0;
}

/* The compiled policy, NULL when it does not compile: a list shows that too,
 * it does not end there. */
static int
compile(struct list *list, const struct record *r, struct policy **out)
{
    struct policy_text *text = NULL;
    int rc = admin_text(r, &text);

    *out = NULL;
    if (rc == 0) {
        rc = policy_compile(text, admin_find, list->registry, r->name, out,
                            NULL);
    }
    policy_text_free(text);
    return rc == BIDE_ENOMEM ? rc : 0;
}

static const char *
importance_word(const struct policy *p)
{
    static const char *const words[] = {
        [MANDATORY] = "mandatory",
        [POSTPONABLE] = "postponable",
        [OPTIONAL] = "optional",
    };

    return words[p->importance];
}

/* ---- rows for people ---- */

static void
count_cells(struct table *t, const struct count *c)
{
    char text[32];
    uint64_t firsts = c ? count_firsts(&c->stats) : 0;

    if (!c) {
        return;
    }
    table_cell(t, CALLS, "%s",
               text_count(count_calls(&c->stats), text, sizeof(text)));
    table_cell(t, RETRIES, "%s",
               text_share(c->stats.retries, firsts, 1, text, sizeof(text)));
    if (c->stats.latency_succeeded.count > 0) {
        double ns = c->stats.latency_succeeded.p95_ms * 1e6;

        table_cell(t, P95, "%s",
                   duration_round((uint64_t)ns, text, sizeof(text)));
    }
    if (c->sleeping > 0) {
        table_cell(t, SLEEPING, "%u", c->sleeping);
    }
    if (firsts > 0 && c->stats.retries * 5 > firsts) {
        table_mark_cell(t, RETRIES); /* more than 20 % on top */
    }
}

static void
note_temporary(struct list *list, const struct record *r)
{
    char until[64];
    char *note = NULL;

    if (list->temporary++ >= NOTES_MAX) {
        return;
    }
    when_write_until(r->until_ns, list->now_ns, until, sizeof(until));
    if (asprintf(&note, "temporary until %s: bide log %s", until, r->name) <
        0) {
        note = NULL;
    }
    list->notes[list->temporary - 1] = note;
}

static void
policy_row(struct list *list, const struct record *r, const struct policy *p,
           const struct count *c)
{
    struct table *t = list->table;
    char rules[128];

    table_row(t);
    table_cell(t, POLICY, "%s", r->name);
    table_cell(t, VER, "%u%s", r->version, r->until_ns ? "*" : " ");
    if (p) {
        table_cell(t, IMPORTANCE, "%s", importance_word(p));
        table_cell(t, RULES, "%s%s", p->paused ? "PAUSED, " : "",
                   policy_summary(p, rules, sizeof(rules)));
    } else {
        table_cell(t, RULES, "not valid: bide show %s", r->name);
    }
    if (!p || p->paused) {
        table_mark_row(t);
    }
    count_cells(t, c);
    if (r->until_ns > 0) {
        note_temporary(list, r);
    }
}

static void
missing_row(struct list *list, const struct count *c)
{
    struct table *t = list->table;

    table_row(t);
    table_cell(t, POLICY, "%s", c->name);
    table_cell(t, VER, "- ");
    if (c->asked_by > 0) {
        table_cell(t, RULES, "(not defined: asked for by pid %u%s%s)",
                   c->asked_by, *c->program ? " " : "", c->program);
    } else {
        table_cell(t, RULES, "(asked for, not defined)");
    }
    table_mark_row(t);
    count_cells(t, c);
}

/* ---- rows as JSON ---- */

static void
count_members(struct json *j, const struct count *c)
{
    static const struct count none;
    const struct bide_stats *s = c ? &c->stats : &none.stats;

    json_put_count(j, "calls", count_calls(s));
    json_put_count(j, "attempts", s->attempts);
    json_put_count(j, "retries", s->retries);
    if (s->latency_succeeded.count > 0) {
        json_put_number(j, "p95_ms", s->latency_succeeded.p95_ms);
    } else {
        json_put_null(j, "p95_ms");
    }
    json_put_count(j, "sleeping", c ? c->sleeping : 0);
}

static void
policy_object(struct list *list, const struct record *r, const struct policy *p,
              const struct count *c)
{
    struct json *j = json_add_object(list->array);
    char rules[128];

    json_put_text(j, "policy", r->name);
    json_put_count(j, "version", r->version);
    if (p) {
        json_put_text(j, "importance", importance_word(p));
        json_put_text(j, "rules", policy_summary(p, rules, sizeof(rules)));
        json_put_truth(j, "paused", p->paused);
    } else {
        json_put_null(j, "rules");
    }
    if (r->until_ns > 0) {
        json_put_number(j, "until", (double)(r->until_ns / 1000000) / 1000);
        json_put_count(j, "back_to", r->back_to);
    }
    count_members(j, c);
}

static void
missing_object(struct list *list, const struct count *c)
{
    struct json *j = json_add_object(list->array);

    json_put_text(j, "policy", c->name);
    json_put_null(j, "version");
    if (c->asked_by > 0) {
        json_put_count(j, "asked_by", c->asked_by);
        json_put_text(j, "program", c->program);
    }
    count_members(j, c);
}

/* ---- the walk ---- */

static int
list_policy(void *arg, const struct record *r)
{
    struct list *list = arg;
    struct policy *p;
    int rc;

    if (!matches(list, r->name)) {
        return 0;
    }
    rc = compile(list, r, &p);
    if (rc) {
        return rc;
    }
    (list->as_json ? policy_object : policy_row)(
        list, r, p, counts_find(&list->counts, r->name));
    list->shown++;
    policy_free(p);
    return 0;
}

static void
list_missing(struct list *list)
{
    for (size_t i = 0; i < list->counts.count; i++) {
        const struct count *c = &list->counts.list[i];

        if (c->missing && matches(list, c->name)) {
            (list->as_json ? missing_object : missing_row)(list, c);
            list->shown++;
        }
    }
}

static void
print_notes(const struct list *list)
{
    for (size_t i = 0; i < list->temporary && i < NOTES_MAX; i++) {
        printf("%s* ", i == 0 ? "\n" : "");
        text_put(stdout, list->notes[i] ? list->notes[i] : "temporary", false);
        putchar('\n');
    }
    if (list->temporary > NOTES_MAX) {
        printf("* and %zu more are temporary\n", list->temporary - NOTES_MAX);
    }
}

static void
print_trouble(struct list *list)
{
    uint64_t when_ns = 0;
    int rc = admin_trouble(list->registry, &when_ns);
    char when[64];

    if (rc < 0) {
        printf("\nnote: a service could not read the registry %s: %s\n",
               when_write(when_ns, list->now_ns, when, sizeof(when)),
               bide_strerror(rc));
    }
}

static int
list_end(struct list *list)
{
    int rc;

    if (list->as_json) {
        return json_out(list->object);
    }
    if (list->shown == 0 && !list->pattern) {
        puts("There are no policies yet. Next: bide apply FILE");
        table_free(list->table);
        rc = 0;
    } else if (list->shown == 0) {
        table_free(list->table);
        rc = 0;
    } else {
        rc = table_print(list->table);
    }
    print_notes(list);
    print_trouble(list);
    return rc;
}

static void
list_begin(struct command_line *line, struct list *list)
{
    static const struct table_column columns[] = {
        [POLICY] = {"POLICY", TABLE_NAME},
        [VER] = {"VER", TABLE_RIGHT},
        [IMPORTANCE] = {"IMPORTANCE", 0},
        [RULES] = {"RULES", TABLE_WRAP},
        [CALLS] = {"CALLS", TABLE_RIGHT},
        [RETRIES] = {"RETRIES", TABLE_RIGHT},
        [P95] = {"P95", TABLE_RIGHT},
        [SLEEPING] = {"SLEEPING", TABLE_RIGHT},
    };

    list->registry = line->registry;
    list->pattern = line->operands[0];
    list->as_json = line->option[OPTION_JSON] != NULL;
    list->now_ns = when_now_ns();
    if (list->as_json) {
        list->object = json_object_new();
        list->array = json_in_array(list->object, "policies");
    } else {
        list->table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    }
}

int
list_command(struct command_line *line)
{
    struct list list = {0};
    int rc, printed, status;

    rc = counts_read(line->registry, &list.counts);
    if (rc) {
        counts_free(&list.counts);
        return say_failure(rc, "live state");
    }
    list_begin(line, &list);
    rc = admin_each_policy(line->registry, list_policy, &list);
    list_missing(&list);
    printed = list_end(&list);
    status = rc < 0 ? say_failure(rc, "registry") : STATUS_DONE;
    if (printed) {
        status = say_no_memory();
    } else if (status == 0 && list.shown == 0 && list.pattern) {
        say("%s: no policy has such a name", list.pattern);
        status = STATUS_ABSENT;
    }
    for (size_t i = 0; i < NOTES_MAX; i++) {
        free(list.notes[i]);
    }
    counts_free(&list.counts);
    return status;
}
