/* bide validate: checks policy files without changing anything. */
#include <stdio.h>

#include "cli/command/say.h"
#include "cli/out/json.h"
#include "cli/out/text.h"
#include "policy/key.h"
#include "policy/policy.h"
#include "source.h"

/* ---- as JSON ---- */

static void
put_number_or_null(struct json *j, const char *key, int number)
{
    if (number > 0) {
        json_put_count(j, key, (uint64_t)number);
    } else {
        json_put_null(j, key);
    }
}

void
source_put_faults(struct json *j, const struct faults *faults)
{
    struct json *array = json_in_array(j, "faults");

    for (size_t i = 0; i < faults->count; i++) {
        const struct fault *f = &faults->list[i];

        j = json_add_object(array);
        json_put_text(j, "file", f->file);
        put_number_or_null(j, "line", f->line);
        put_number_or_null(j, "column", f->column);
        json_put_text(j, "severity", f->warning ? "warning" : "error");
        json_put_text(j, "rule", fault_rule_name(f->rule));
        json_put_text(j, "key", f->key ? f->key->name : NULL);
        json_put_text(j, "what", f->what);
        json_put_text(j, "suggestion", f->hint);
        json_put_text(j, "replacement", f->meant);
    }
}

int
source_print_faults(const struct source *s, struct faults *faults)
{
    struct json *j = json_object_new();
    bool valid = !faults_any(faults);

    json_put_truth(j, "valid", valid);
    json_put_count(j, "files", s->file_count);
    json_put_count(j, "policies", s->all.count);
    source_put_faults(j, faults);
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
        status = source_print_faults(&s, &faults);
    } else if (rc) {
        status = say_refusal(rc, &faults, "files", NULL);
    } else {
        print_summary(&s, &faults);
    }
    source_free(&s);
    return status;
}
