/* bide calls, wake: lists the calls that wait for their next attempt, and lets
 * those of a policy go on. */
#include <stdio.h>

#include <bide.h>
#include "admin/live.h"
#include "admin/open.h"
#include "base/boot.h"
#include "cli/command/number.h"
#include "cli/command/say.h"
#include "cli/out/json.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "cli/policy/change.h"
#include "cli/view/guard.h"
#include "policy/rules.h"

struct waiting_calls {
    size_t count, left_out;
    uint32_t most;
    struct table *table;
    struct json *array; /* NULL: print a table */
};

enum column {
    POLICY,
    SCOPE,
    ATTEMPTS,
    WAKES_IN,
    WAITS_FOR,
    LAST_OUTCOME,
    PROCESS
};

/* Returns what a call waits for: its next retry, or what refuses its attempt.
 */
static const char *
waits_for(const struct admin_sleeper *s)
{
    return s->call.waits_for == BIDE_BY_NONE
               ? "retry"
               : bide_reason_name(s->call.waits_for);
}

static void
add_sleeper_row(struct table *t, const struct admin_sleeper *s)
{
    table_row_of(t, s->name);
    if (*s->scope) {
        table_cell(t, SCOPE, "%s", s->scope);
    }
    if (s->call.allowed == ATTEMPTS_UNLIMITED) {
        table_cell(t, ATTEMPTS, "%u", s->call.attempts);
    } else {
        table_cell(t, ATTEMPTS, "%u of %u", s->call.attempts, s->call.allowed);
    }
    table_cell(t, WAKES_IN, "%s", duration_round(s->wakes_in_ns).text);
    table_cell(t, WAITS_FOR, "%s", waits_for(s));
    if (*s->call.outcome && s->call.attempts > 0) {
        table_cell(t, LAST_OUTCOME, "%s", s->call.outcome);
    }
    table_cell(t, PROCESS, "%u%s%s%s", s->call.by.pid,
               *s->call.by.program ? " " : "", s->call.by.program,
               s->call.by.elsewhere ? PROCESS_ELSEWHERE : "");
}

static void
put_sleeper(struct json *j, const struct admin_sleeper *s)
{
    json_put_text(j, "policy", s->name);
    json_put_text(j, "scope", s->scope);
    json_put_count(j, "attempts", s->call.attempts);
    if (s->call.allowed == ATTEMPTS_UNLIMITED) {
        json_put_null(j, "allowed");
    } else {
        json_put_count(j, "allowed", s->call.allowed);
    }
    json_put_number(j, "wakes_in_ms", (double)(s->wakes_in_ns / 1000) / 1000);
    json_put_text(j, "waits_for", waits_for(s));
    json_put_text(j, "outcome", s->call.attempts ? s->call.outcome : "");
    json_put_count(j, "pid", s->call.by.pid);
    json_put_text(j, "program", s->call.by.program);
    json_put_truth(j, "other_container", s->call.by.elsewhere);
}

static int
list_sleeper(void *arg, const struct admin_sleeper *s)
{
    struct waiting_calls *waiting = arg;

    if (waiting->count >= waiting->most) {
        waiting->left_out++;
        return 0;
    }
    if (waiting->array) {
        put_sleeper(json_add_object(waiting->array), s);
    } else {
        add_sleeper_row(waiting->table, s);
    }
    waiting->count++;
    return 0;
}

static int
print_waiting(struct waiting_calls *waiting, bool seen)
{
    if (waiting->count + waiting->left_out == 0) {
        table_free(waiting->table);
        puts(seen ? "No calls are waiting." : "No waiting calls are known.");
        return 0;
    }
    if (table_print(waiting->table)) {
        return BIDE_ENOMEM;
    }
    printf("\n%zu %s waiting. To let those of a policy go on now: bide wake "
           "POLICY\n",
           waiting->count + waiting->left_out,
           text_plural(waiting->count + waiting->left_out, "call is",
                       "calls are"));
    return 0;
}

int
calls_command(struct command_line *line)
{
    static const struct table_column columns[] = {
        [POLICY] = {"POLICY", TABLE_NAME},
        [SCOPE] = {"SCOPE", TABLE_NAME},
        [ATTEMPTS] = {"ATTEMPTS", 0},
        [WAKES_IN] = {"WAKES IN", TABLE_RIGHT},
        [WAITS_FOR] = {"WAITS FOR", 0},
        [LAST_OUTCOME] = {"LAST OUTCOME", TABLE_WRAP},
        [PROCESS] = {"PROCESS", 0},
    };
    bool as_json = line->option[OPTION_JSON] != NULL;
    struct json *object = NULL;
    struct waiting_calls waiting = {.most = UINT32_MAX};
    int rc, status = number_read_option(line, OPTION_MOST, 1, &waiting.most);

    if (status) {
        return status;
    }
    if (as_json) {
        object = json_object_new();
        waiting.array = json_in_array(object, "calls");
    } else {
        waiting.table = table_new(columns, 7);
    }
    rc = admin_each_sleeper(line->registry, list_sleeper, &waiting);
    if (rc < 0) {
        table_free(waiting.table);
        json_free(object);
        return say_failure(rc, "live state");
    }
    if (as_json && waiting.left_out > 0) {
        json_put_count(object, "left_out", waiting.left_out);
    }
    rc = as_json ? json_out(object)
                 : print_waiting(&waiting, admin_has_live(line->registry));
    return rc ? say_no_memory() : STATUS_DONE;
}

/* ---- wake ---- */

static int
print_woken(struct command_line *line, uint32_t calls, const char *scope)
{
    const char *name = line->operands[0];
    bool dry_run = line->option[OPTION_DRY_RUN] != NULL;

    if (line->option[OPTION_JSON]) {
        struct json *j = json_object_new();

        json_put_text(j, "policy", name);
        json_put_text(j, "scope", scope);
        json_put_count(j, "waiting", calls);
        json_put_count(j, "woken", dry_run ? 0 : calls);
        return json_out(j) ? say_no_memory() : STATUS_DONE;
    }
    if (calls == 0) {
        printf("%s: no calls are waiting\n", name);
        return STATUS_DONE;
    }
    printf("%s: %u waiting %s %s\n", name, calls,
           text_plural(calls, "call", "calls"),
           dry_run ? "would be woken"
                   : "woken; those that a breaker refuses wait on");
    return STATUS_DONE;
}

int
wake_command(struct command_line *line)
{
    const char *scope = guard_scope_read(line->option[OPTION_SCOPE]);
    const char *name = line->operands[0];
    bool dry_run = line->option[OPTION_DRY_RUN] != NULL;
    char who[RECORD_WHO_MAX + 1];
    uint32_t calls, uid;
    int rc, status = guard_scope_check(line);

    if (status) {
        return status;
    }
    rc = admin_wake(line->registry, name, scope, dry_run, &calls);
    if (rc == BIDE_ENOPOLICY) { /* one that no process uses, or none */
        status = say_unless_found(line->registry, name, NULL);
        if (status == 0 && scope) {
            say("%s: no process has used scope %s", name, guard_scope(scope));
            say("see: bide stats %s", name);
            status = STATUS_ABSENT;
        }
    } else if (rc) {
        status = say_failure(rc, admin_live_path(line->registry));
    }
    if (status == 0 && calls > 0 && !dry_run) {
        uid = author_find(who, sizeof(who));
        rc = admin_note_wake(line->registry, name, scope, calls, who, uid);
        if (rc) {
            say_failure(rc, "history");
            say("the calls were woken, but bide audit does not show that");
        }
    }
    return status ? status : print_woken(line, calls, scope);
}
