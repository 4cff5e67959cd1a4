/* bide log: lists changes with time, author and note. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/read.h"
#include "base/clock.h"
#include "cli/command/number.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "cli/out/json.h"
#include "cli/out/table.h"
#include "cli/view/layer.h"
#include "policy/policy.h"
#include "store/policies/record.h"
#include "difference.h"

struct log {
    struct admin *registry;
    bool all;       /* the log of all policies, not of one */
    const char *by; /* only changes of this author; NULL: of all */
    uint64_t now_ns, since_ns;
    struct table *table; /* NULL with JSON, and with --patch */
    struct json *object, *array;
    size_t shown;
    uint32_t most;
    bool patch; /* with the differences, key by key */
};

static void
log_row(struct log *log, const struct record *r, const char *what)
{
    size_t i = 0;

    table_row(log->table);
    if (log->all) {
        table_cell(log->table, i++, "%s", r->name);
    }
    table_cell(log->table, i++, "%u", r->version);
    table_cell(log->table, i++, "%s", when_write(r->when_ns, log->now_ns).text);
    table_cell(log->table, i++, "%s", author_write(r->who, r->uid).text);
    if (record_end(r) > 0) {
        table_cell(log->table, i++, "%s%suntil %s", what,
                   *what ? ", " : "same rules, ",
                   when_write(record_end(r), log->now_ns).text);
        table_mark_row(log->table);
    } else {
        table_cell(log->table, i++, "%s", *what ? what : "nothing");
    }
    table_cell(log->table, i, "%s", r->note);
}

/* Prints the change as diff does, below its version, time, author and note. */
static int
log_patch(const struct log *log, const struct record *before,
          const struct record *r)
{
    char *title = NULL;
    int rc;

    if (asprintf(&title, "%s v%u%s, %s, %s%s%s", r->name, r->version,
                 r->deleted ? " (deleted)" : "",
                 when_write_iso(r->when_ns).text,
                 author_write(r->who, r->uid).text, *r->note ? ": " : "",
                 r->note) < 0) {
        title = NULL;
    }
    if (log->shown > 0) {
        putchar('\n');
    }
    rc = title ? difference_print(title, before, r, true) : BIDE_ENOMEM;
    free(title);
    return rc < 0 ? rc : 0;
}

/* Adds the layers of `r` that `other` has not, without that of `change`. */
static void
put_layers(struct json *array, const struct record *r,
           const struct record *other, const struct record *change)
{
    struct record_part parts[RECORD_PARTS_MAX];
    size_t count = layer_only(r, other, parts), kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (parts[i].version != change->version) {
            parts[kept++] = parts[i];
        }
    }
    layer_put(array, NULL, parts, kept);
}

/* Adds the keys that changed, with their old and new values: of the rules in
 * force if the change is temporary, else of the base. */
static int
put_keys(struct json *array, const struct record *before,
         const struct record *r)
{
    struct difference all[POLICY_KEY_MAX];
    struct policy_text *old = NULL, *now = NULL;
    int (*read)(const struct record *r, struct policy_text **out) =
        record_end(r) ? admin_text : admin_base;
    int rc = before->deleted ? 0 : read(before, &old);
    size_t count;

    rc = rc || r->deleted ? rc : read(r, &now);
    count = rc ? 0 : difference_of(old, now, all);
    for (size_t i = 0; i < count; i++) {
        struct json *j = json_add_object(array);

        json_put_text(j, "key", all[i].key->name);
        json_put_text(j, "old", all[i].old);
        json_put_text(j, "new", all[i].now);
    }
    policy_text_free(old);
    policy_text_free(now);
    return rc;
}

static int
log_object(struct log *log, const struct record *before, const struct record *r,
           const char *what)
{
    struct json *j = json_add_object(log->array);

    json_put_text(j, "policy", r->name);
    json_put_count(j, "version", r->version);
    json_put_s(j, "when", r->when_ns);
    json_put_text(j, "who", r->who);
    json_put_count(j, "uid", r->uid);
    json_put_text(j, "what", what);
    json_put_text(j, "note", r->note);
    if (record_end(r) > 0) {
        json_put_s(j, "until", record_end(r));
    }
    put_layers(json_in_array(j, "ended"), before, r, r);
    put_layers(json_in_array(j, "brought_back"), r, before, r);
    return log->patch ? put_keys(json_in_array(j, "keys"), before, r) : 0;
}

static int
log_change(void *arg, const struct record *r)
{
    struct log *log = arg;
    struct record before;
    char *what = NULL;
    int rc;

    if (r->when_ns < log->since_ns) {
        /* Continue: entries are in the order of writing.  If the clock was set
         * back, an earlier entry can have a later time. */
        return 0;
    }
    if (log->by && strcmp(log->by, r->who) != 0) {
        return 0;
    }
    rc = difference_before(log->registry, r, &before);
    if (rc) {
        return rc;
    }
    rc = log->patch && !log->object ? log_patch(log, &before, r)
                                    : difference_words(&before, r, &what);
    if (rc == 0 && log->table) {
        log_row(log, r, what);
    } else if (rc == 0 && log->object) {
        rc = log_object(log, &before, r, what);
    }
    log->shown++;
    free(what);
    record_free(&before);
    return rc ? rc : log->shown < log->most ? 0 : 1;
}

static int
log_begin(struct command_line *line, struct log *log)
{
    static const struct table_column columns[] = {
        {"POLICY", TABLE_NAME}, {"VER", TABLE_RIGHT}, {"WHEN", 0},
        {"WHO", TABLE_WRAP},    {"WHAT", TABLE_WRAP}, {"NOTE", TABLE_WRAP}};
    int status;

    log->registry = line->registry;
    log->all = line->count == 0;
    log->by = line->option[OPTION_BY];
    log->patch = line->option[OPTION_PATCH] != NULL;
    log->now_ns = clock_realtime_ns();
    status = number_read_time(line, OPTION_SINCE, log->now_ns, &log->since_ns);
    log->most = UINT32_MAX;
    status =
        status ? status : number_read_option(line, OPTION_MOST, 1, &log->most);
    if (status) {
        return status;
    }
    if (line->option[OPTION_JSON]) {
        log->object = json_object_new();
        log->array = json_in_array(log->object, "changes");
    } else if (!log->patch) {
        log->table =
            log->all ? table_new(columns, 6) : table_new(columns + 1, 5);
    }
    return 0;
}

int
log_command(struct command_line *line)
{
    const char *name = line->operands[0];
    struct log log = {0};
    int status, rc;

    if (name && !policy_name_ok(name)) {
        return say_no_policy(line->registry, name);
    }
    status = log_begin(line, &log);
    if (status) {
        return status;
    }
    rc = admin_each_version(line->registry, name, log_change, &log);
    if (log.shown == 0 && (rc == BIDE_ENOPOLICY || rc == 0) && name &&
        !log.since_ns && !log.by) {
        table_free(log.table);
        json_free(log.object);
        return say_no_policy(line->registry, name);
    }
    /* The collected entries, also before an error. */
    status = (log.object  ? json_out(log.object)
              : log.patch ? 0
                          : table_print(log.table))
                 ? say_no_memory()
                 : STATUS_DONE;
    if (rc < 0) {
        return say_failure(rc, name ? name : "log");
    }
    if (log.shown == 0 && log.by && !log.since_ns) {
        say("--by %s: no change has this author", log.by);
        status = STATUS_ABSENT;
    } else if (log.shown == 0 && !log.object) {
        puts("No changes.");
    }
    return status;
}
