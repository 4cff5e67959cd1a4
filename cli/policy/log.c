/* bide log: lists changes with time, author and note. */
#include <stdlib.h>

#include "admin/read.h"
#include "base/clock.h"
#include "cli/command/number.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "cli/out/json.h"
#include "cli/out/table.h"
#include "policy/policy.h"
#include "store/policies/record.h"
#include "difference.h"

struct log {
    struct admin *registry;
    bool all; /* the log of all policies, not of one */
    uint64_t now_ns, since_ns;
    struct table *table;
    struct json *object, *array;
    size_t shown;
    uint32_t most;
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

static void
log_object(struct log *log, const struct record *r, const char *what)
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
}

static int
log_change(void *arg, const struct record *r)
{
    struct log *log = arg;
    char *what = NULL;
    int rc;

    if (r->when_ns < log->since_ns) {
        /* Continue: entries are in the order of writing.  If the clock was set
         * back, an earlier entry can have a later time. */
        return 0;
    }
    rc = difference_words(log->registry, r, &what);
    if (rc) {
        return rc;
    }
    (log->table ? log_row : log_object)(log, r, what);
    log->shown++;
    free(what);
    return log->shown < log->most ? 0 : 1;
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
    log->now_ns = clock_realtime_ns();
    status = number_read_time(line, OPTION_SINCE, log->now_ns, &log->since_ns);
    log->most = UINT32_MAX;
    if (!status) {
        status = number_read_option(line, OPTION_MOST, 1, &log->most);
    }
    if (status) {
        return status;
    }
    if (line->option[OPTION_JSON]) {
        log->object = json_object_new();
        log->array = json_in_array(log->object, "changes");
    } else {
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
        !log.since_ns) {
        table_free(log.table);
        json_free(log.object);
        return say_no_policy(line->registry, name);
    }
    /* The collected entries, also before an error. */
    status = (log.object ? json_out(log.object) : table_print(log.table))
                 ? say_no_memory()
                 : STATUS_DONE;
    return rc < 0 ? say_failure(rc, name ? name : "log") : status;
}
