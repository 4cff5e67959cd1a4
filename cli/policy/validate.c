/* bide validate: checks policy files without changing anything. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command/say.h"
#include "cli/out/json.h"
#include "cli/out/text.h"
#include "policy/key.h"
#include "policy/policy.h"
#include "source.h"

/* ---- as JSON ---- */

/* The file of the last fault, read again, up to a line. */
struct reader {
    const char *file; /* NULL: none */
    char *bytes;      /* NULL: it cannot be read */
    const char *at;   /* begin of the line */
    int line;
};

/* Returns the begin of the line of a fault; NULL if it cannot be read again, as
 * standard input, or has no such line. */
static const char *
find_line(struct reader *r, const struct fault *f)
{
    const char *end;
    size_t length;

    if (!r->file || strcmp(r->file, f->file) != 0) {
        free(r->bytes);
        r->bytes = NULL;
        r->file = f->file;
        if (strcmp(f->file, "-") == 0 ||
            source_bytes(f->file, &r->bytes, &length, NULL)) {
            r->bytes = NULL;
        }
        r->line = 0;
    }
    if (r->line == 0 || r->line > f->line) {
        r->at = r->bytes;
        r->line = 1;
    }
    for (; r->at && r->line < f->line; r->line++) {
        end = strchr(r->at, '\n');
        r->at = end ? end + 1 : NULL;
    }
    return f->line > 0 ? r->at : NULL;
}

/* Returns the column of a fault, in bytes from 1: of the value if the fault
 * quotes one, else of the first character.  0: unknown. */
static size_t
find_column(struct reader *r, const struct fault *f, const struct key *key)
{
    const char *line = find_line(r, f), *at = line;
    size_t length = line ? strcspn(line, "\r\n") : 0;

    if (!line) {
        return 0;
    }
    at += strspn(at, " \t");
    if (key && strncmp(at, key->name, strlen(key->name)) == 0) {
        const char *value = memchr(line, '=', length);

        at = value ? value + 1 : at;
        at += strspn(at, " \t");
    }
    return at < line + length ? (size_t)(at - line) + 1 : 1;
}

/* Returns the key that a fault is about, "wait_min = 1: ..."; NULL: none. */
static const struct key *
find_key(const struct fault *f)
{
    char name[64];

    snprintf(name, sizeof(name), "%.*s", (int)strcspn(f->what, " :="), f->what);
    return key_find(name);
}

/* Returns the rule that a fault breaks: a key, whose values are in bide help
 * keys, or one of four words. */
static const char *
find_rule(const struct fault *f, const struct key *key)
{
    return key                                ? key->name
           : strstr(f->what, ": no such key") ? "unknown-key"
           : f->line == 0                     ? "file"
           : *f->what == '['                  ? "section"
                                              : "syntax";
}

static void
put_fault(struct json *array, struct reader *r, const struct fault *f)
{
    static const char asks[] = "did you mean ";
    const struct key *key = find_key(f);
    struct json *j = json_add_object(array);
    size_t column = find_column(r, f, key);
    char *meant = NULL;

    json_put_text(j, "file", f->file);
    if (f->line > 0) {
        json_put_count(j, "line", (uint64_t)f->line);
    } else {
        json_put_null(j, "line");
    }
    if (column > 0) {
        json_put_count(j, "column", column);
    } else {
        json_put_null(j, "column");
    }
    json_put_text(j, "severity", f->warning ? "warning" : "error");
    json_put_text(j, "rule", find_rule(f, key));
    json_put_text(j, "what", f->what);
    json_put_text(j, "suggestion", f->hint);
    if (f->hint && strncmp(f->hint, asks, strlen(asks)) == 0) {
        meant = strdup(f->hint + strlen(asks));
    }
    if (meant && *meant) {
        meant[strlen(meant) - 1] = '\0'; /* the question mark */
    }
    json_put_text(j, "replacement", meant);
    free(meant);
}

static int
print_json(const struct source *s, struct faults *faults)
{
    struct json *j = json_object_new(), *array;
    struct reader r = {0};
    bool valid = !faults_any(faults);

    json_put_truth(j, "valid", valid);
    json_put_count(j, "files", s->file_count);
    json_put_count(j, "policies", s->all.count);
    array = json_in_array(j, "faults");
    for (size_t i = 0; i < faults->count; i++) {
        put_fault(array, &r, &faults->list[i]);
    }
    free(r.bytes);
    faults_free(faults);
    return json_out(j) ? say_no_memory() : valid ? STATUS_DONE : STATUS_INPUT;
}

/* ---- the command ---- */

static void
print_summary(const struct source *s, struct faults *faults)
{
    printf("%zu %s in %zu %s: no errors", s->all.count,
           text_plural(s->all.count, "policy", "policies"), s->file_count,
           text_plural(s->file_count, "file", "files"));
    if (faults->warnings > 0) {
        printf(", %zu %s", faults->warnings,
               text_plural(faults->warnings, "warning", "warnings"));
    }
    putchar('\n');
    say_warnings(faults);
}

int
validate_command(struct command_line *line)
{
    struct source s = {.registry = line->registry};
    struct faults faults = {0};
    int rc = source_read(&s, line->operands, &faults), status = STATUS_DONE;

    rc = rc ? rc : source_check(&s, &faults);
    if (line->option[OPTION_JSON] &&
        (rc == 0 || (rc == BIDE_EINPUT && !faults.out_of_memory))) {
        status = print_json(&s, &faults);
    } else if (rc) {
        status = say_refusal(rc, &faults, "files", NULL);
    } else {
        print_summary(&s, &faults);
    }
    source_free(&s);
    return status;
}
