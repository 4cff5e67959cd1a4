/* bide show, get, export: prints policies in the form of policy files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/guard.h"
#include "admin/read.h"
#include "base/draft.h"
#include "cli/command/number.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "cli/out/json.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "cli/view/declared.h"
#include "cli/view/guard.h"
#include "cli/view/layer.h"
#include "policy/policy.h"
#include "store/policies/record.h"

/* The width of comment lines, well below the limit of lines in policy files. */
enum { COMMENT_WIDTH = 76 };

static int
find_version(struct command_line *line, const char *name, struct record *out)
{
    uint32_t version = 0;
    int rc, status = number_read_option(line, OPTION_VERSION, 1, &version);

    if (status) {
        return status;
    }
    rc = admin_version(line->registry, name, version, out);
    return say_no_version(line->registry, name, version, rc);
}

/* ---- as text ---- */

/* Prints a stored text; on a terminal, without control characters. */
static void
print_text(const char *text)
{
    if (text_to_terminal()) {
        text_put(stdout, text, true);
    } else {
        fputs(text, stdout);
    }
}

/* Prints a note as comment lines, folded at blanks. */
static void
print_note(const char *note)
{
    while (*note) {
        size_t length = text_line_length(note, 0, COMMENT_WIDTH);

        fputs("# ", stdout);
        for (size_t i = 0; i < length; i++) {
            /* A line break would end the comment. */
            putchar((unsigned char)note[i] < 0x20 ? ' ' : note[i]);
        }
        putchar('\n');
        note += length;
        note += strspn(note, " ");
    }
}

/* Prints the state of breaker and budget if it is not the usual one. */
static void
print_guard(const struct policy *p, const struct count *part)
{
    const struct admin_guard *g = &part->guard;
    const char *of = *part->cell.scope ? " of " : "";
    const char *scope = *part->cell.scope ? guard_scope(part->cell.scope) : "";

    if (!guard_is_closed(g)) {
        printf("# breaker%s%s: %s%s: bide breaker %s\n", of, scope,
               guard_state(g).text, g->damaged ? ", damaged" : "", p->name);
    }
    if (g->budget_damaged || (g->has_budget && g->budget_level < 1)) {
        printf("# budget%s%s: %s left%s: bide budget %s\n", of, scope,
               guard_level(g).text, g->budget_damaged ? ", damaged" : "",
               p->name);
    }
}

static int
print_guards(struct admin *registry, const struct record *r)
{
    struct counts parts = {0};
    struct policy *p;
    int rc = guard_compile(registry, r, &p);

    if (rc == 0 && guard_has_any(p)) {
        rc = guard_parts_read(registry, p, guard_by_scope(p) ? NULL : "",
                              &parts);
        for (size_t i = 0; rc == 0 && i < parts.count; i++) {
            print_guard(p, &parts.list[i]);
        }
    }
    counts_free(&parts);
    policy_free(p);
    return rc;
}

/* Prints layers as comments: whoever applies the text does not make them
 * permanent. */
static int
print_layers(void *arg, const char *of, const struct record_part *parts,
             size_t count)
{
    (void)arg;
    for (size_t i = 0; i < count;) {
        char *line = layer_line(parts, count, of, 0, &i), *note = NULL;

        if (!line || asprintf(&note, "temporary: %s", line) < 0) {
            note = NULL;
        }
        print_note(note ? note : "temporary: ?");
        free(line);
        free(note);
    }
    return 0;
}

static int
print_record(struct admin *registry, const struct record *r, bool present)
{
    int rc;

    printf("# version %u, %sby ", r->version, r->deleted ? "deleted " : "");
    text_put(stdout, author_write(r->who, r->uid).text, false);
    printf(", %s\n", when_write_iso(r->when_ns).text);
    print_note(r->note);
    rc = present ? layer_each(registry, r, print_layers, NULL)
                 : print_layers(NULL, NULL, r->parts + 1, r->part_count - 1);
    if (rc == 0 && present) {
        rc = print_guards(registry, r);
    }
    print_text(r->text);
    return rc;
}

/* ---- resolved ---- */

static int
print_origins(const struct policy_origin *origins)
{
    static const struct table_column columns[] = {
        {"KEY", 0}, {"VALUE", TABLE_WRAP}, {"FROM", 0}};
    struct table *t = table_new(columns, 3);

    for (size_t i = 0; i < policy_key_count; i++) {
        table_row_of(t, policy_keys[i].name);
        if (*origins[i].value) {
            table_cell(t, 1, "%s", origins[i].value);
        }
        table_cell(t, 2, "%s", *origins[i].from ? origins[i].from : "default");
    }
    return table_print(t);
}

/* Puts what `show` and `export` have of a version. */
static void
put_version(struct json *j, const struct record *r)
{
    json_put_text(j, "policy", r->name);
    json_put_count(j, "version", r->version);
    json_put_text(j, "who", r->who);
    json_put_count(j, "uid", r->uid);
    json_put_s(j, "when", r->when_ns);
    json_put_text(j, "note", r->note);
}

static int
json_record(struct admin *registry, const struct record *r,
            const struct policy_origin *origins)
{
    struct json *j = json_object_new(), *keys;
    int rc;

    put_version(j, r);
    json_put_text(j, "text", r->text);
    rc = layer_each(registry, r, layer_put, json_in_array(j, "layers"));
    keys = json_in_object(j, "keys");
    for (size_t i = 0; i < policy_key_count; i++) {
        struct json *key = json_in_object(keys, policy_keys[i].name);

        json_put_text(key, "value", origins[i].value);
        json_put_text(key, "from",
                      *origins[i].from ? origins[i].from : "default");
    }
    return json_out(j) ? BIDE_ENOMEM : rc;
}

/* Finds the values in force of all keys; they are valid until *out_text is
 * freed.  Returns 0, or the exit status after an error message. */
static int
resolve_record(struct command_line *line, const struct record *r,
               struct policy_text **out_text, struct policy_origin *out)
{
    struct faults faults = {0};
    int rc = admin_text(r, out_text);

    if (rc == 0) {
        rc = policy_resolve(*out_text, admin_find, line->registry, r->name, out,
                            &faults);
        if (rc) {
            policy_text_free(*out_text);
        }
    }
    return say_refusal(rc, &faults, r->name, NULL);
}

static int
show_resolved(struct command_line *line, const struct record *r)
{
    struct policy_origin origins[POLICY_KEY_MAX];
    struct policy_text *text;
    struct faults faults = {0};
    struct policy *p;
    int rc, status = resolve_record(line, r, &text, origins);

    if (status) {
        return status;
    }
    if (line->option[OPTION_JSON]) {
        rc = json_record(line->registry, r, origins);
    } else {
        rc = layer_each(line->registry, r, print_layers, NULL);
        rc = rc ? rc : print_origins(origins);
    }
    if (policy_compile(text, admin_find, line->registry, r->name, &p,
                       &faults) == 0) {
        say_warnings(&faults);
        policy_free(p);
    }
    faults_free(&faults);
    policy_text_free(text);
    return rc ? say_no_memory() : STATUS_DONE;
}

int
show_command(struct command_line *line)
{
    const char *name = line->operands[0];
    struct record r;
    int status = line->option[OPTION_DECLARED] ? declared_show(line)
                 : line->option[OPTION_VERSION]
                     ? find_version(line, name, &r)
                     : say_unless_found(line->registry, name, &r);

    if (status || line->option[OPTION_DECLARED]) {
        return status;
    }
    if (!r.deleted &&
        (line->option[OPTION_RESOLVED] || line->option[OPTION_JSON])) {
        status = show_resolved(line, &r);
    } else {
        status = print_record(line->registry, &r, !line->option[OPTION_VERSION])
                     ? say_no_memory()
                     : STATUS_DONE;
    }
    record_free(&r);
    return status;
}

/* Says that the value of a key is temporary, if a layer sets the key. */
static int
say_layers_of_key(void *arg, const char *of, const struct record_part *parts,
                  size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = i;

        if (strcmp(parts[i].key, arg) == 0) {
            char *line = layer_line(parts, i + 1, of, 0, &at);

            say("temporary: %s", line ? line : "?");
            free(line);
        }
    }
    return 0;
}

int
get_command(struct command_line *line)
{
    const struct key *key = key_find(line->operands[1]);
    struct policy_origin origins[POLICY_KEY_MAX];
    struct policy_text *text;
    struct record r;
    int status;

    if (!key) {
        const char *near = key_near(line->operands[1]);

        say("%s: no such key%s%s%s", line->operands[1],
            near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
        say("see: bide help keys");
        return STATUS_INPUT;
    }
    status = say_unless_found(line->registry, line->operands[0], &r);
    if (status) {
        return status;
    }
    status = resolve_record(line, &r, &text, origins);
    if (status == 0) {
        print_text(origins[key - policy_keys].value);
        putchar('\n');
        policy_text_free(text);
        layer_each(line->registry, &r, say_layers_of_key, line->operands[1]);
    }
    record_free(&r);
    return status;
}

/* ---- export ---- */

/* All policies are read before any is printed, because an incomplete export
 * looks like a complete one. */
struct export
{
    struct draft all;
    struct json *array; /* NULL: as text */
};

/* Adds the value of a key with its JSON type: durations and shares are text. */
static void
put_value(struct json *j, const struct key *key, const char *value)
{
    char *end, one[POLICY_LINE_MAX + 1];
    double number = strtod(value, &end);

    if (key->type == KEY_OUTCOMES || key->type == KEY_CHAIN) {
        for (j = json_in_array(j, key->name); *value;) {
            size_t length = strcspn(value, ",");

            snprintf(one, sizeof(one), "%.*s", (int)length, value);
            json_put_text(j, NULL, one);
            value += length;
            value += strspn(value, ", ");
        }
    } else if (key->type == KEY_SWITCH) {
        json_put_truth(j, key->name, *value == 'y');
    } else if (!*end && (key->type == KEY_COUNT || key->type == KEY_NUMBER ||
                         key->type == KEY_TOKENS)) {
        json_put_number(j, key->name, number);
    } else {
        json_put_text(j, key->name, value);
    }
}

static int
put_record(struct json *j, const struct record *r)
{
    struct json *keys = json_in_object(j, "keys");
    struct policy_text *base;
    int rc = admin_base(r, &base);

    put_version(j, r);
    layer_put(json_in_array(j, "layers"), NULL, r->parts + 1,
              r->part_count - 1);
    for (size_t i = 0; i < policy_key_count && rc == 0; i++) {
        const char *value = policy_text_get(base, &policy_keys[i]);

        if (value) {
            put_value(keys, &policy_keys[i], value);
        }
    }
    policy_text_free(rc ? NULL : base);
    return rc;
}

static int
export_record(void *arg, const struct record *r)
{
    struct export *e = arg;

    if (e->array) {
        return put_record(json_add_object(e->array), r);
    }
    draft_text(&e->all, e->all.used ? "\n" : "");
    draft_text(&e->all, r->text);
    return 0;
}

int
export_command(struct command_line *line)
{
    struct json *j = line->option[OPTION_JSON] ? json_object_new() : NULL;
    struct export e = {.array = json_in_array(j, "policies")};
    int rc = 0, status = 0;

    for (int i = 0; i < line->count && status == 0 && rc == 0; i++) {
        struct record r;

        status = say_unless_found(line->registry, line->operands[i], &r);
        if (status == 0) {
            rc = export_record(&e, &r);
            record_free(&r);
        }
    }
    if (line->count == 0) {
        rc = admin_each_policy(line->registry, export_record, &e);
    }
    if (status != 0 || e.all.failed) {
        json_free(j);
        status = status ? status : say_no_memory();
    } else if (j) {
        status = json_out(j) ? say_no_memory() : 0;
    } else if (e.all.used) {
        print_text(e.all.bytes);
    }
    draft_free(&e.all);
    /* Of a damaged registry the rest was printed. */
    return rc ? say_failure(rc, "registry") : status;
}
