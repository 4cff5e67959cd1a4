/* bide doctor: checks the registry and its live state; changes nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include "admin/open.h"
#include "admin/role.h"
#include "doctor/doctor.h"
#include "base/clock.h"
#include "base/paths.h"
#include "cli/command/number.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "cli/out/json.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "store/history/history.h"
#include "findings.h"

static const char *const level_words[] = {
    [DOCTOR_NOTE] = "note",
    [DOCTOR_UNKNOWN] = "unknown",
    [DOCTOR_WRONG] = "wrong",
};

static uint64_t
count_findings(const struct doctor_report *r, enum doctor_level level)
{
    uint64_t count = 0;

    for (size_t i = 0; i < r->count; i++) {
        count += r->findings[i].level == level;
    }
    return count;
}

/* ---- what a user may do ---- */

/* Adds what the caller may do. */
static void
add_caller_row(struct table *t, const struct doctor_report *r)
{
    char may[2][100] = {"", ""};
    struct role_answer a;
    struct role_user u;

    role_user(NULL, &u);
    for (int i = 0; i < ROLES; i++) {
        role_ask(r->dir, r->live, i, &u, &a);
        strcat(strcat(may[!*a.why], *may[!*a.why] ? ", " : ""), role_words[i]);
    }
    table_row_of(t, "you");
    table_cell(t, 1, "%s may%s%s%s%s", *u.name ? u.name : "this user",
               *may[1] ? " " : "", may[1],
               !*may[0]  ? ""
               : *may[1] ? "; not "
                         : " not ",
               may[0]);
}

/* Prints what a user may do.  Returns the exit status. */
static int
print_roles(const char *name, const char *dir, bool is_json)
{
    static const struct table_column columns[] = {
        {"", 0}, {"", 0}, {"", TABLE_WRAP}};
    struct json *object, *array, *j;
    struct table *t;
    struct admin *admin = NULL;
    struct role_answer a;
    struct role_user u;
    int status = STATUS_DONE, rc;
    const char *word;

    if (!role_user(name, &u)) {
        say("--as %s: this host has no such user", name);
        return STATUS_USAGE;
    }
    rc = admin_open(dir, &admin);
    if (rc && rc != BIDE_EPERM) {
        return say_failure(rc, dir);
    }
    object = is_json ? json_object_new() : NULL;
    array = json_in_array(object, "may");
    t = is_json ? NULL : table_new(columns, 3);
    json_put_text(object, "user", name);
    json_put_count(object, "uid", u.uid);
    for (int i = 0; i < ROLES; i++) {
        role_ask(dir, admin ? admin_live_path(admin) : "", i, &u, &a);
        status = *a.why ? STATUS_NO : status;
        word = a.unknown ? "unknown" : *a.why ? "no" : "yes";
        if (t) {
            table_row_of(t, role_words[i]);
            table_cell(t, 1, "%s", word);
            table_cell(t, 2, "%s%s%s", a.why, *a.run ? ": " : "", a.run);
        }
        j = json_add_object(array);
        json_put_text(j, "what", role_words[i]);
        json_put_text(j, "may", word);
        json_put_text(j, "why", a.why);
        json_put_text(j, "command", a.run);
    }
    admin_close(admin);
    rc = object ? json_out(object) : table_print_bare(t);
    return rc ? say_no_memory() : status;
}

/* ---- as text ---- */

static void
add_registry_row(struct table *t, const struct doctor_report *r)
{

    table_row_of(t, "registry");
    if (r->rc && r->policies == 0) {
        table_cell(t, 1, "%s: cannot be read", r->dir);
        return;
    }
    table_cell(t, 1, "%s: %llu %s, %llu %s, %s", r->dir,
               (unsigned long long)r->policies,
               text_plural(r->policies, "policy", "policies"),
               (unsigned long long)r->versions,
               text_plural(r->versions, "version", "versions"),
               text_bytes(r->bytes).text);
}

static void
add_live_row(struct table *t, const struct doctor_report *r)
{

    if (!*r->live) {
        return;
    }
    table_row_of(t, "live");
    if (!r->has_live) {
        table_cell(t, 1, "%s: none", r->live);
        return;
    }
    table_cell(t, 1, "%s: %u of %u cells, %u %s waiting, %s", r->live, r->cells,
               r->cells_max, r->sleeping,
               text_plural(r->sleeping, "call", "calls"),
               text_bytes(r->live_bytes).text);
}

/* Returns the time of the oldest record; 0 if there are no records. */
static uint64_t
oldest_record_ns(const struct history_survey *h)
{
    uint64_t minute = h->minute_first_ns, hour = h->hour_first_ns;

    return !minute || (hour && hour < minute) ? hour : minute;
}

static void
add_history_row(struct table *t, const struct doctor_report *r, uint64_t now_ns)
{
    struct brief size = text_bytes(r->known.bytes);
    uint64_t records =
        r->history.minutes + r->history.hours + r->history.events;

    table_row_of(t, "history");
    if (!r->has_history) {
        table_cell(t, 1, "none");
        return;
    }
    if (oldest_record_ns(&r->history) == 0) {
        table_cell(t, 1, "no records, %s", size.text);
        return;
    }
    table_cell(
        t, 1, "%s to %s, %llu %s of %u %s, %s of %s",
        when_write(oldest_record_ns(&r->history), now_ns).text,
        when_write(r->known.last_ns, now_ns).text, (unsigned long long)records,
        text_plural(records, "record", "records"), r->known.cells,
        text_plural(r->known.cells, "policy or scope", "policies and scopes"),
        size.text, text_bytes(r->keep_bytes).text);
}

static void
add_deferred_row(struct table *t, const struct doctor_report *r)
{

    table_row_of(t, "deferred");
    if (r->has_deferred) {
        table_cell(t, 1, "%llu waiting, %llu leased, %llu dead, %s",
                   (unsigned long long)r->deferred.waiting,
                   (unsigned long long)r->deferred.leased,
                   (unsigned long long)r->deferred.dead,
                   text_bytes(r->deferred.bytes).text);
    } else {
        table_cell(t, 1, "none");
    }
}

static void
add_space_row(struct table *t, const char *name, const struct doctor_space *s)
{

    if (s->known) {
        table_row_of(t, name);
        table_cell(t, 1, "%s free of %s", text_bytes(s->free).text,
                   text_bytes(s->size).text);
    }
}

static void
print_to_do(const char *mark, const char *text)
{
    if (*text) {
        fputs(mark, stdout);
        text_put(stdout, text, false);
        putchar('\n');
    }
}

static void
print_findings(const struct doctor_report *r, const char *bide)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct doctor_finding *f = &r->findings[i];
        struct finding_words w;

        findings_explain(f, bide, &w);
        printf("%s%-8s%s: ", i == 0 ? "\n" : "", level_words[f->level],
               f->area);
        text_put(stdout, w.said.why, false);
        putchar('\n');
        print_to_do("        -> ", w.run);
        print_to_do(*w.run ? "           " : "        -> ", w.said.to_do);
    }
}

static int
print_doctor_report(const struct doctor_report *r, const char *bide)
{
    static const struct table_column columns[] = {{"", 0}, {"", TABLE_WRAP}};
    struct table *t = table_new(columns, 2);
    uint64_t wrong = count_findings(r, DOCTOR_WRONG);
    uint64_t unknown = count_findings(r, DOCTOR_UNKNOWN);
    uint64_t now_ns = clock_realtime_ns();

    add_registry_row(t, r);
    add_live_row(t, r);
    add_history_row(t, r, now_ns);
    add_deferred_row(t, r);
    add_space_row(t, "disk", &r->disk);
    add_space_row(t, "memory", &r->memory);
    add_caller_row(t, r);
    if (table_print_bare(t)) {
        return BIDE_ENOMEM;
    }
    print_findings(r, bide);
    if (wrong == 0) {
        puts(unknown ? "\nNothing is wrong in what could be checked."
                     : "\nNothing is wrong.");
    } else {
        printf("\n%llu %s found.\n", (unsigned long long)wrong,
               text_plural(wrong, "fault", "faults"));
    }
    return 0;
}

/* ---- for programs ---- */

static void
put_parts(struct json *all, const struct doctor_report *r)
{
    struct json *j = json_in_object(all, "registry");

    json_put_text(j, "dir", r->dir);
    json_put_truth(j, "readable", r->rc == 0);
    json_put_count(j, "policies", r->policies);
    json_put_count(j, "versions", r->versions);
    json_put_count(j, "changes", r->changes);
    json_put_count(j, "bytes", r->bytes);

    j = json_in_object(all, "live");
    json_put_text(j, "path", r->live);
    json_put_truth(j, "there", r->has_live);
    json_put_truth(j, "tmpfs", r->on_tmpfs);
    json_put_time(j, "begun", r->begun_ns);
    json_put_count(j, "places", r->cells);
    json_put_count(j, "places_max", r->cells_max);
    json_put_count(j, "waiting", r->sleeping);
    json_put_count(j, "bytes", r->live_bytes);

    j = json_in_object(all, "history");
    json_put_truth(j, "there", r->has_history);
    json_put_count(j, "bytes", r->known.bytes);
    json_put_count(j, "keep_bytes", r->keep_bytes);
    json_put_count(j, "cells", r->known.cells);
    json_put_count(j, "minute_records", r->history.minutes);
    json_put_count(j, "hour_records", r->history.hours);
    json_put_count(j, "events", r->history.events);
    json_put_count(j, "damaged", r->history.damaged);
    json_put_count(j, "lost_pages", r->known.unreadable);
    json_put_count(j, "lost_intervals", r->known.lost);
    json_put_time(j, "first_minute", r->history.minute_first_ns);
    json_put_time(j, "last_minute", r->history.minute_last_ns);
    json_put_time(j, "first_hour", r->history.hour_first_ns);
    json_put_time(j, "last_hour", r->history.hour_last_ns);
    json_put_time(j, "recorded", r->known.last_ns);

    j = json_in_object(all, "deferred");
    json_put_truth(j, "there", r->has_deferred);
    json_put_count(j, "waiting", r->deferred.waiting);
    json_put_count(j, "leased", r->deferred.leased);
    json_put_count(j, "dead", r->deferred.dead);
    json_put_count(j, "damaged", r->deferred.damaged);
    json_put_count(j, "bytes", r->deferred.bytes);
    json_put_time(j, "oldest", r->deferred.oldest_ns);

    j = json_in_object(all, "disk");
    json_put_count(j, "free", r->disk.free);
    json_put_count(j, "size", r->disk.size);

    j = json_in_object(all, "memory");
    json_put_count(j, "free", r->memory.free);
    json_put_count(j, "size", r->memory.size);
}

static int
print_doctor_json(const struct doctor_report *r, const char *bide)
{
    struct json *all = json_object_new(), *array;

    json_put_count(all, "wrong", count_findings(r, DOCTOR_WRONG));
    json_put_count(all, "unknown", count_findings(r, DOCTOR_UNKNOWN));
    put_parts(all, r);
    array = json_in_array(all, "findings");
    for (size_t i = 0; i < r->count; i++) {
        const struct doctor_finding *f = &r->findings[i];
        struct json *j = json_add_object(array);
        struct finding_words w;

        findings_explain(f, bide, &w);
        json_put_text(j, "level", level_words[f->level]);
        json_put_text(j, "area", f->area);
        json_put_text(j, "what", w.said.why);
        json_put_text(j, "command", w.run);
        json_put_text(j, "todo", w.said.to_do);
    }
    return json_out(all);
}

/* ---- the command ---- */

int
doctor_command(struct command_line *line)
{
    char standard[4096], bide[4 * sizeof(standard)] = "bide", *dir;
    const char *given = line->option[OPTION_DIR];
    struct doctor_report report;
    uint64_t keep;
    int rc, status = number_read_size(line, &keep);

    if (status) {
        return status;
    }
    rc = given ? 0 : paths_registry(standard, sizeof(standard));
    if (rc) {
        return say_failure(rc, "registry");
    }
    dir = realpath(given ? given : standard, NULL);
    dir = dir ? dir : paths_absolute(given ? given : standard);
    if (!dir) {
        return say_no_memory();
    }
    if (line->option[OPTION_AS]) {
        status = print_roles(line->option[OPTION_AS], dir,
                             line->option[OPTION_JSON]);
        free(dir);
        return status;
    }
    if (given) {
        text_shell(dir, stpcpy(bide, "bide --dir "), sizeof(bide) - 16);
    }
    rc = admin_doctor(dir, keep, &report);
    rc = rc                          ? rc
         : line->option[OPTION_JSON] ? print_doctor_json(&report, bide)
                                     : print_doctor_report(&report, bide);
    status = rc          ? say_no_memory()
             : report.rc ? STATUS_REGISTRY
             : report.count > count_findings(&report, DOCTOR_NOTE)
                 ? STATUS_NO
                 : STATUS_DONE;
    doctor_free(&report);
    free(dir);
    return status;
}
