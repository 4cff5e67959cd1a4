/* bide init, apply: creates a registry, and reads policies from
 * files. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/change.h"
#include "admin/names.h"
#include "admin/open.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/paths.h"
#include "base/safe.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "change.h"
#include "difference.h"
#include "edit.h"
#include "source.h"

/* Limit of changes that are listed; further ones are only counted. */
enum { LISTED_MAX = 40 };

/* Prints a path, as "~/.local/..." if it is in the home directory. */
static void
print_path(const char *path)
{
    const char *home = getenv("HOME");
    size_t length = home ? strlen(home) : 0;

    if (length > 1 && strncmp(path, home, length) == 0 && path[length] == '/') {
        putchar('~');
        path += length;
    }
    text_put(stdout, path, false);
}

static void
print_rights(const char *path, const struct rights_fault *f, int error)
{
    if (f && (f->refused || error)) {
        say_why(path, f->refused ? f->refused : strerror(error));
        if (!f->refused) {
            say("it is %s, and should be %s", f->is, f->right);
        }
        return;
    }
    text_put(stdout, path, false);
    if (f) {
        printf(": was %s, now %s\n", f->is, f->right);
    } else {
        puts(": was missing, now made");
    }
}

/* Prints who may use the registry of root, and how to let others. */
static void
print_group(gid_t group, const char *usual, const char *what)
{
    const struct group *g = names_group(NULL, group);

    if (group == (gid_t)-1) {
        printf("Only root may %s; for others: addgroup --system %s, then init "
               "again\n",
               what, usual);
    } else if (g) {
        printf("Members of group %s may %s: adduser USER %s\n", g->gr_name,
               what, g->gr_name);
    } else {
        printf("Members of group %u may %s\n", group, what);
    }
}

static int
print_registry(struct command_line *line, const char *dir,
               const struct admin_init *did)
{
    int rc = admin_open(dir, &line->registry);

    if (rc) {
        return say_failure(rc, dir);
    }
    fputs(did->existed ? "A registry already exists in " : "Registry ready in ",
          stdout);
    print_path(dir);
    fputs(" (live state in ", stdout);
    print_path(admin_live_path(line->registry));
    fputs(")\n", stdout);
    if (line->option[OPTION_JOURNAL]) {
        puts("Changes and alarms are also written to the journal, or syslog");
    } else if (line->option[OPTION_NO_JOURNAL]) {
        puts("Changes and alarms are not written to the journal");
    }
    if (did->existed && !did->mended && !did->failed) {
        puts("Owners, groups and modes are right: there was nothing to do");
    }
    if (did->rights.owner == 0) {
        print_group(did->rights.services, "bide", "count and defer");
        print_group(did->rights.operators, "bide-ops", "change policies");
    }
    if (!did->existed) {
        puts("Next: bide apply FILE (bide help keys lists what a policy can "
             "contain)");
    }
    return did->failed ? STATUS_NO : STATUS_DONE;
}

/* Writes the absolute form of `path` to `buffer`, because services run in other
 * directories.  Returns 0 or the exit status. */
static int
make_absolute(const char *path, char *buffer, size_t size)
{
    char *all = paths_absolute(path);
    bool fits = all && strlen(all) < size;

    if (!all) {
        return say_errno(path);
    }
    if (fits) {
        strcpy(buffer, all);
    } else {
        say("%s: this path is too long", path);
    }
    free(all);
    return fits ? 0 : STATUS_NO;
}

/* Refuses a place for live files where something else is.  Returns the exit
 * status. */
static int
check_live_directory(char *path)
{
    size_t length = strlen(path);

    while (length > 1 && path[length - 1] == '/') {
        path[--length] = '\0'; /* after which a link would be followed */
    }
    if (!safe_directory(path) || !(safe_refused(errno) || errno == ENOTDIR)) {
        return STATUS_DONE;
    }
    say("%s: %s", path,
        errno == ELOOP           ? "this is a symbolic link"
        : errno == SAFE_STRANGER ? "this directory belongs to another user"
                                 : strerror(errno));
    say("name a directory for live files with --live");
    return STATUS_NO;
}

/* Reports whether a registry in `dir` has its live file outside `live`. */
static bool
has_other_live(const char *dir, const char *live)
{
    struct admin *a;
    bool other = false;

    if (!admin_open(dir, &a)) {
        size_t length = strlen(live);

        other = strncmp(admin_live_path(a), live, length) != 0 ||
                strrchr(admin_live_path(a), '/') != admin_live_path(a) + length;
        admin_close(a);
    }
    return other;
}

int
init_command(struct command_line *line)
{
    const char *dir = line->option[OPTION_DIR];
    const char *live = line->option[OPTION_LIVE];
    char dir_buffer[4096], live_buffer[4096];
    struct admin_init how;
    int rc = 0;

    if (line->option[OPTION_PRIVATE] && line->option[OPTION_PUBLIC]) {
        return say_usage(line, "choose one of --private and --public");
    }
    if (line->option[OPTION_JOURNAL] && line->option[OPTION_NO_JOURNAL]) {
        return say_usage(line, "choose one of --journal and --no-journal");
    }
    if (live) {
        int status = make_absolute(live, live_buffer, sizeof(live_buffer));

        if (status) {
            return status;
        }
        live = live_buffer;
    }
    if (!dir) {
        rc = paths_own_registry(dir_buffer, sizeof(dir_buffer));
        dir = dir_buffer;
    }
    if (rc == 0 && !live) {
        rc = paths_live(live_buffer, sizeof(live_buffer));
        live = live_buffer;
    }
    if (rc) {
        return say_failure(rc, "where the registry goes");
    }
    if (line->option[OPTION_ADOPT]) {
        return change_identity(dir);
    }
    if (check_live_directory(live_buffer)) {
        return STATUS_NO;
    }
    if (line->option[OPTION_LIVE] && has_other_live(dir, live)) {
        say("%s: a registry already exists; the place of its live file cannot "
            "be changed",
            dir);
        return STATUS_NO;
    }
    how = (struct admin_init){.live_dir = live,
                              .group = line->option[OPTION_GROUP],
                              .operators = line->option[OPTION_OPERATORS],
                              .is_private = line->option[OPTION_PRIVATE]  ? 1
                                            : line->option[OPTION_PUBLIC] ? -1
                                                                          : 0,
                              .journal = line->option[OPTION_JOURNAL]      ? 1
                                         : line->option[OPTION_NO_JOURNAL] ? -1
                                                                           : 0,
                              .told = print_rights};
    rc = finish_cut_restore(dir);
    rc = rc ? rc : admin_init(dir, &how);
    if (rc) {
        return say_failure(rc, dir);
    }
    if (!how.existed || how.mended) {
        say_changed();
    }
    return print_registry(line, dir, &how);
}

/* ---- the result of apply ---- */

static const struct did_row {
    const char *word, *would;
} did_rows[] = {
    [ADMIN_UNCHANGED] = {"unchanged", "unchanged"},
    [ADMIN_CREATED] = {"created", "to create"},
    [ADMIN_CHANGED] = {"changed", "to change"},
    [ADMIN_DELETED] = {"deleted", "to delete"},
};
enum { DID_COUNT = sizeof(did_rows) / sizeof(did_rows[0]) };

static void
add_result_row(struct table *t, const struct admin_result *r, const char *word)
{
    char *what =
        r->did == ADMIN_CHANGED ? difference_line(r->old, r->now) : strdup("");

    table_row(t);
    table_cell(t, 0, "  %s", word);
    table_cell(t, 1, "%s", r->name);
    if (r->did == ADMIN_CHANGED) {
        table_cell(t, 2, "v%u -> v%u", r->before, r->after);
    } else {
        table_cell(t, 2, "v%u", r->did == ADMIN_DELETED ? r->before : r->after);
    }
    table_cell(t, 3, "%s", what ? what : "?");
    free(what);
}

static int
print_results(const struct admin_results *results, bool dry_run, bool all)
{
    static const struct table_column columns[] = {
        {"", 0}, {"", 0}, {"", 0}, {"", TABLE_WRAP}};
    struct table *t = table_new(columns, 4);

    for (size_t i = 0; i < results->count; i++) {
        const struct admin_result *r = &results->list[i];
        const struct did_row *did = &did_rows[r->did];

        if (r->did != ADMIN_UNCHANGED || all) {
            add_result_row(t, r, dry_run ? did->would : did->word);
        }
    }
    return table_print_bare(t);
}

static void
print_summary(const size_t counts[DID_COUNT], size_t policies, bool dry_run)
{
    bool any = false;

    printf("%zu %s", policies, text_plural(policies, "policy", "policies"));
    for (int did = ADMIN_CREATED; did < DID_COUNT; did++) {
        if (counts[did] > 0) {
            printf(", %zu %s", counts[did],
                   dry_run ? did_rows[did].would : did_rows[did].word);
            any = true;
        }
    }
    puts(!any ? ", 0 changed" : dry_run ? "; nothing was changed" : "");
}

static int
report_apply(struct command_line *line, struct change *c,
             const struct admin_results *results, size_t policies)
{
    bool dry_run = c->change.dry_run;
    bool all = line->option[OPTION_VERBOSE] != NULL;
    size_t counts[DID_COUNT] = {0};
    uint64_t now_ns = clock_realtime_ns();
    uint64_t end_ns = duration_add(now_ns, c->change.for_ns);
    size_t changes;

    for (size_t i = 0; i < results->count; i++) {
        counts[results->list[i].did]++;
    }
    changes = results->count - counts[ADMIN_UNCHANGED];
    if (!dry_run && changes > 0) {
        say_changed();
    }
    if ((all || (changes > 0 && changes <= LISTED_MAX)) &&
        print_results(results, dry_run, all)) {
        return say_no_memory();
    }
    print_summary(counts, policies, dry_run);
    if (changes > 0 && c->change.for_ns > 0) {
        printf("until %s\n", when_write_until(end_ns, now_ns).text);
    }
    change_print_told(c, results);
    change_say_covers(results);
    change_preview(line, c, results);
    return STATUS_DONE;
}

/* ---- apply ---- */

/* Says why nothing was changed, as JSON if that is asked for. */
static int
refuse_source(struct command_line *line, const struct source *s, int rc,
              struct faults *faults, const char *what)
{
    return line->option[OPTION_JSON] && rc == BIDE_EINPUT &&
                   faults_any(faults) && !faults->out_of_memory
               ? source_print_faults(s, faults)
               : say_refusal(rc, faults, what, "nothing was changed");
}

static int
apply_source(struct command_line *line, struct change *c, void *arg)
{
    struct source *s = arg;
    const char **files = calloc(s->all.count + 1, sizeof(*files));
    struct admin_results results = {0};
    struct faults faults = {0};
    int rc, status;

    if (!files) {
        return say_no_memory();
    }
    for (size_t i = 0; i < s->all.count; i++) {
        files[i] = source_file_of(s, i);
    }
    rc = admin_apply(line->registry, &c->change, &s->all, files,
                     line->option[OPTION_PRUNE] != NULL, &results, &faults);
    free(files);
    if (line->option[OPTION_JSON] && rc == 0) {
        status = edit_report(line, c, &results, &faults);
        faults_free(&faults);
        return status;
    }
    status =
        refuse_source(line, s, rc, &faults,
                      s->file_count == 1 ? s->files[0].path : "these files");
    status = status ? status : report_apply(line, c, &results, s->all.count);
    admin_results_free(&results);
    return status;
}

int
apply_command(struct command_line *line)
{
    struct source s = {.registry = line->registry};
    struct change change;
    struct faults faults = {0};
    int status = change_begin(line, &change), rc;

    if (status) {
        return status;
    }
    rc = source_read(&s, line->operands, &faults);
    if (rc) {
        status = refuse_source(line, &s, rc, &faults, "files");
    } else if (change.change.if_version && s.all.count != 1) {
        status = say_usage(line,
                           "--if-version: only with one policy, "
                           "there are %zu",
                           s.all.count);
    } else {
        status = change_make(line, &change, apply_source, &s);
    }
    change_end(&change);
    source_free(&s);
    return status;
}
