#include "say.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "admin/read.h"
#include "base/failure.h"
#include "cli/out/text.h"
#include "policy/policy.h"
#include "store/policies/record.h"
#include "explain.h"

/* All other codes have the status STATUS_NO. */
static const struct {
    int rc;
    enum exit_status status;
} statuses[] = {
    {0, STATUS_DONE},
    {BIDE_ENAME, STATUS_INPUT},
    {BIDE_ENOPOLICY, STATUS_ABSENT},
    {BIDE_ENOVERSION, STATUS_ABSENT},
    {BIDE_EVERSION, STATUS_VERSION},
    {BIDE_EINPUT, STATUS_INPUT},
    {BIDE_EMISSING, STATUS_REGISTRY},
    {BIDE_EPERM, STATUS_REGISTRY},
    {BIDE_ELOCKED, STATUS_REGISTRY},
    {BIDE_EDAMAGED, STATUS_REGISTRY},
    {BIDE_EFULL, STATUS_REGISTRY},
    {BIDE_EFORMAT, STATUS_REGISTRY},
    {BIDE_ESYS, STATUS_REGISTRY},
    {BIDE_ENOWORK, STATUS_ABSENT},
};

int
say_status(int rc)
{
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (statuses[i].rc == rc) {
            return statuses[i].status;
        }
    }
    return STATUS_NO;
}

static FILE *diverted;
static const char *before_next = "";

void
say_first(const char *text)
{
    before_next = text;
}

void
say_divert(FILE *out)
{
    diverted = out;
}

static void
write_line(FILE *out, const char *text)
{
    if (!diverted) {
        fputs(before_next, out);
        before_next = "";
        fputs("bide: ", out);
    }
    text_put(out, text ? text : "out of memory", false);
    fputc('\n', out);
}

/* Writes the line with one call, since commands that bide runs may write to the
 * same file. */
static void
say_text(const char *text)
{
    FILE *out = diverted ? diverted : stderr, *memory;
    char *line = NULL;
    size_t length;

    memory = open_memstream(&line, &length);
    if (memory) {
        write_line(memory, text);
    }
    if (memory && fclose(memory) == 0) {
        fwrite(line, 1, length, out);
    } else {
        write_line(out, text);
    }
    free(line);
}

static void
say_formatted(const char *format, va_list args)
{
    char *text = NULL;

    /* Keeps the order of output if both streams go to the same file. */
    fflush(stdout);
    if (vasprintf(&text, format, args) < 0) {
        text = NULL;
    }
    say_text(text);
    free(text);
}

void
say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say_formatted(format, args);
    va_end(args);
}

int
say_no_memory(void)
{
    say_text(NULL);
    return STATUS_NO;
}

static bool changed;

bool
say_has_changed(void)
{
    return changed;
}

void
say_changed(void)
{
    changed = true;
}

int
say_end(int status)
{
    if (!changed || !status) {
        return status;
    }
    say_text("the change was made");
    return STATUS_DONE;
}

int
say_failure(int rc, const char *what)
{
    struct explained e;

    if (rc == BIDE_ENOMEM) {
        return say_no_memory();
    }
    explain(failure_last(), &e);
    if (*e.why) {
        say("%s", e.why);
    } else {
        say("%s: %s", what, bide_strerror(rc));
        if (rc == BIDE_EPERM) {
            explain_role(*failure_denied() ? failure_denied() : what, e.to_do,
                         sizeof(e.to_do));
        }
    }
    if (*e.to_do) {
        say("%s", e.to_do);
    }
    return say_status(rc);
}

void
say_why(const char *what, const char *why)
{
    const char *end = strchrnul(why, '\n');

    say("%s: %.*s", what, (int)(end - why), why);
    if (*end) {
        say("%s", end + 1);
    }
}

int
say_errno(const char *what)
{
    say("%s: %s", what, strerror(errno));
    return STATUS_NO;
}

int
say_usage(const struct command_line *line, const char *format, ...)
{
    const struct command *command = line->command;
    va_list args;
    char *usage;

    if (command && command->run == check_command) {
        fputs("BIDE UNKNOWN - ", stdout); /* monitors read only this */
        say_divert(stdout);
    }
    va_start(args, format);
    say_formatted(format, args);
    va_end(args);
    if (!command) {
        say("see: bide help");
        return STATUS_USAGE;
    }
    usage = command_usage(command);
    say("usage: %s", usage ? usage : command->name);
    free(usage);
    return command->misused ? command->misused : STATUS_USAGE;
}

int
say_no_name(const char *before, const char *name)
{
    say("%s%s: not a name: use lower-case letters, digits and, after the first "
        "character, . _ -; at most %d characters",
        before, name, BIDE_NAME_MAX);
    return STATUS_INPUT;
}

int
say_no_policy(struct admin *registry, const char *name)
{
    const struct failure *f = failure_last();
    struct record r;

    if (!policy_name_ok(name)) {
        return say_no_name("", name);
    }
    if (admin_policy(registry, name, &r) == 0) {
        record_free(&r); /* it was made in the meantime */
    }
    if (f->kind == FAILURE_DELETED) {
        say("%s: this policy was %s%s", name,
            *f->near ? "renamed to " : "deleted", f->near);
        say(*f->near ? "see: bide log %s" : "to restore it: bide rollback %s",
            *f->near ? f->near : name);
    } else if (*f->near) {
        say("%s: no such policy; did you mean %s?", name, f->near);
    } else {
        say("%s: no such policy", name);
        say("see: bide list");
    }
    return STATUS_ABSENT;
}

int
say_unless_found(struct admin *registry, const char *name, struct record *out)
{
    struct record r;
    int rc = policy_name_ok(name) ? admin_policy(registry, name, out ? out : &r)
                                  : BIDE_ENOPOLICY;

    if (rc == 0 && !out) {
        record_free(&r);
    }
    return rc == BIDE_ENOPOLICY ? say_no_policy(registry, name)
           : rc                 ? say_failure(rc, name)
                                : 0;
}

int
say_no_version(struct admin *registry, const char *name, uint32_t version,
               int rc)
{
    struct record r;

    if (rc != BIDE_ENOVERSION && rc != BIDE_ENOPOLICY) {
        return rc ? say_failure(rc, name) : 0;
    }
    if (admin_policy(registry, name, &r)) {
        return say_no_policy(registry, name);
    }
    if (version > 0) {
        say("%s: no such version: %u (in force: %u)", name, version, r.version);
    } else {
        say("%s: no version is before %u", name, r.version);
    }
    say("see: bide log %s", name);
    record_free(&r);
    return STATUS_ABSENT;
}

/* Reports whether `file` is a file; faults in KEY=VALUE operands have "set"
 * instead. */
static bool
is_file(const char *file)
{
    return strcmp(file, "set") != 0;
}

static void
say_place(const struct fault *f, const char *text)
{
    const char *kind = f->warning ? "warning: " : "";

    if (!is_file(f->file)) {
        say("%s%s", kind, text);
    } else if (f->line > 0) {
        say("%s:%d: %s%s", f->file, f->line, kind, text);
    } else {
        say("%s: %s%s", f->file, kind, text);
    }
}

static void
say_each_place(const struct faults *faults)
{
    for (size_t i = 0; i < faults->count; i++) {
        const struct fault *f = &faults->list[i];

        say_place(f, f->what);
        if (f->hint) {
            say_place(f, f->hint);
        }
    }
}

void
say_warnings(struct faults *faults)
{
    say_each_place(faults);
    faults_free(faults);
}

/* Returns the number of faults, without warnings, in the file of fault `first`;
 * 0 if an earlier one is in the same file, so that each file is counted once.
 */
static size_t
count_faults_of(const struct faults *faults, size_t first)
{
    const char *file = faults->list[first].file;
    size_t count = 0;

    for (size_t i = 0; i < faults->count; i++) {
        if (strcmp(faults->list[i].file, file) == 0) {
            if (i < first) {
                return 0;
            }
            count += !faults->list[i].warning;
        }
    }
    return count;
}

/* Prints each fault with its file and line, then the number of faults in each
 * file, and `outcome` ("nothing was changed"; NULL: none).  Returns the exit
 * status. */
static int
say_faults(const struct faults *faults, const char *outcome)
{
    size_t last = 0;

    say_each_place(faults);
    if (faults->out_of_memory) {
        say_no_memory();
    }
    for (size_t i = 0; i < faults->count; i++) {
        last = count_faults_of(faults, i) > 0 ? i : last;
    }
    for (size_t i = 0; i < faults->count; i++) {
        size_t count = count_faults_of(faults, i);
        bool end = i == last && outcome;

        if (count > 0 && is_file(faults->list[i].file)) {
            say("%s: %zu %s%s%s", faults->list[i].file, count,
                text_plural(count, "error", "errors"), end ? ", " : "",
                end ? outcome : "");
        } else if (count > 0 && end) {
            say("%s", outcome);
        }
    }
    return STATUS_INPUT;
}

int
say_refusal(int rc, struct faults *faults, const char *what,
            const char *outcome)
{
    int status = !rc ? 0
                 : rc == BIDE_EINPUT && faults_any(faults)
                     ? say_faults(faults, outcome)
                     : say_failure(rc, what);

    if (!rc) {
        say_warnings(faults);
    }
    faults_free(faults);
    return status;
}
