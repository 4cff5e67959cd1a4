/* bide deferred list, show, repair. */
#include "deferred.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/open.h"
#include "base/clock.h"
#include "base/duration.h"
#include "cli/command/explain.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "cli/exec/exec_work.h"
#include "cli/history/history.h"
#include "cli/out/json.h"
#include "cli/out/table.h"
#include "base/failure.h"
#include "cli/out/text.h"
#include "policy/policy.h"
#include "store/queue/queue.h"

/* ---- shared by the commands ---- */

int
work_failed(int rc, const char *what)
{
    const char *why = place_why();
    char role[512];

    if (rc == BIDE_ENOMEM) {
        return say_no_memory();
    }
    if (rc == BIDE_ENOWORK) {
        say("%s: no such deferred work", what);
        say("it was done, dropped, or never stored; see: bide deferred list");
        return STATUS_ABSENT;
    }
    say_why(what, *why ? why : bide_strerror(rc));
    if (rc == BIDE_EPERM && !strchr(why, '\n')) {
        explain_role(failure_denied(), role, sizeof(role));
        say("%s", role);
    }
    return say_status(rc);
}

static void
say_lost(const char *what, const struct deferred_lost *lost)
{
    struct brief when = when_write(lost->when_ns, clock_realtime_ns());

    if (lost->pieces) {
        say("%s: up to %" PRIu64 " %s of deferred work, noticed %s", what,
            lost->pieces, text_plural(lost->pieces, "piece", "pieces"),
            when.text);
    } else if (lost->when_ns) {
        say("%s: the work of a deferred.mdb that was removed, noticed %s", what,
            when.text);
    }
}

void
work_say_lost(struct deferred *d)
{
    struct deferred_lost lost;

    if (deferred_lost(d, false, &lost) == 0 && lost.when_ns > 0) {
        say_lost("may be missing", &lost);
        say("see: bide doctor");
    }
}

int
work_id(const char *text, uint64_t *out)
{
    unsigned long long id;
    char *end;

    errno = 0;
    id = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || id == 0) {
        say("%s: not an ID of deferred work", text);
        say("see: bide deferred list");
        return STATUS_INPUT;
    }
    *out = id;
    return 0;
}

/* Reports whether the counts are those of the policy `arg`, which ends
 * deferred_counts. */
static int
match_counted_policy(void *arg, const struct deferred_counts *c)
{
    return strcmp(arg, c->policy) == 0;
}

/* Returns 0 if `name` is a policy or has deferred work; else the exit status
 * after an error message. */
static int
check_work_name(struct command_line *line, struct deferred *d, const char *name)
{
    char wanted[BIDE_NAME_MAX + 1];
    int rc;

    if (!policy_name_ok(name)) {
        return say_no_policy(line->registry, name);
    }
    snprintf(wanted, sizeof(wanted), "%s", name);
    rc = deferred_counts(d, match_counted_policy, wanted);
    if (rc < 0) {
        return work_failed(rc, "deferred work");
    }
    return rc > 0 ? 0 : say_unless_found(line->registry, name, NULL);
}

int
work_queue(struct command_line *line, const char *name, struct deferred **out)
{
    int rc = admin_deferred(line->registry, out);

    return rc     ? work_failed(rc, "deferred work")
           : name ? check_work_name(line, *out, name)
                  : 0;
}

/* ---- the filter ---- */

bool
work_filter_asked(const struct command_line *line)
{
    return line->option[OPTION_DEAD] || line->option[OPTION_ERROR] ||
           line->option[OPTION_SINCE] || line->option[OPTION_UNTIL];
}

int
work_filter_read(struct command_line *line, struct work_filter *out)
{
    const char *error = line->option[OPTION_ERROR];

    if (error && !*error) {
        /* Probably an unset variable; every error contains "". */
        return say_usage(line, "--error: the text is empty");
    }
    *out = (struct work_filter){.error = error,
                                .only_dead = line->option[OPTION_DEAD] != NULL};
    return history_times(line, clock_realtime_ns(), &out->since_ns,
                         &out->until_ns);
}

static bool
is_damaged(const struct deferred_item *item)
{
    return item->length == SIZE_MAX;
}

bool
work_filter_holds(const struct work_filter *f, const struct deferred_item *item)
{
    return !is_damaged(item) && item->stored_ns >= f->since_ns &&
           item->stored_ns <= f->until_ns &&
           (!f->error || strstr(item->last_error, f->error)) &&
           (!f->only_dead || item->state == DEFERRED_DEAD);
}

/* Reports whether the work is too old.  It becomes dead when a worker next
 * takes work of its policy. */
static bool
is_expired(const struct deferred_item *item, uint64_t now_ns)
{
    return item->state == DEFERRED_WAITING && item->expires_ns <= now_ns;
}

static const char *
state_name(const struct deferred_item *item, uint64_t now_ns)
{
    static const char *const states[] = {
        [DEFERRED_WAITING] = "waiting",
        [DEFERRED_LEASED] = "leased",
        [DEFERRED_DEAD] = "dead",
    };

    return is_expired(item, now_ns) ? "expired" : states[item->state];
}

static uint64_t
age_ns(const struct deferred_item *item, uint64_t now_ns)
{
    return now_ns > item->stored_ns ? now_ns - item->stored_ns : 0;
}

/* ---- list ---- */

enum column { ID, POLICY, AGE, DUE_IN, ATTEMPTS, STATE, SIZE, LAST_ERROR };

struct listing {
    uint64_t now_ns;
    struct work_filter filter;
    bool filtered;
    size_t shown, dead, damaged;
    struct table *table;
    struct json *array; /* NULL: print a table */
};

static void
add_due_cell(struct table *t, const struct deferred_item *item, uint64_t now_ns)
{
    if (item->state != DEFERRED_WAITING || is_expired(item, now_ns)) {
        return;
    }
    if (item->due_ns <= now_ns) {
        table_cell(t, DUE_IN, "now");
    } else {
        table_cell(t, DUE_IN, "%s", duration_round(item->due_ns - now_ns).text);
    }
}

static void
add_item_row(struct listing *l, const struct deferred_item *item)
{
    struct table *t = l->table;

    table_row(t);
    table_cell(t, ID, "%" PRIu64, item->id);
    table_cell(t, POLICY, "%s", item->policy);
    if (is_damaged(item)) {
        table_cell(t, STATE, "DAMAGED");
        table_mark_row(t);
        return;
    }
    table_cell(t, AGE, "%s", duration_round(age_ns(item, l->now_ns)).text);
    add_due_cell(t, item, l->now_ns);
    table_cell(t, ATTEMPTS, "%" PRIu32, item->attempts);
    table_cell(t, STATE, "%s", state_name(item, l->now_ns));
    table_cell(t, SIZE, "%s", text_bytes(item->length).text);
    if (*item->last_error) {
        table_cell(t, LAST_ERROR, "%s", item->last_error);
    }
    if (item->state == DEFERRED_DEAD) {
        table_mark_row(t);
    }
}

static void
put_item(struct json *j, const struct deferred_item *item, uint64_t now_ns)
{
    json_put_count(j, "id", item->id);
    json_put_text(j, "policy", item->policy);
    if (is_damaged(item)) {
        json_put_text(j, "state", "damaged");
        return;
    }
    json_put_text(j, "state", state_name(item, now_ns));
    json_put_count(j, "attempts", item->attempts);
    json_put_s(j, "stored", item->stored_ns);
    json_put_ms(j, "age_ms", age_ns(item, now_ns));
    if (item->state == DEFERRED_WAITING && !is_expired(item, now_ns)) {
        json_put_ms(j, "due_in_ms",
                    item->due_ns > now_ns ? item->due_ns - now_ns : 0);
    } else {
        json_put_null(j, "due_in_ms");
    }
    json_put_text(j, "type", item->type);
    json_put_text(j, "key", item->key);
    json_put_count(j, "bytes", item->length);
    json_put_text(j, "last_error", item->last_error);
}

static int
list_item(void *arg, const struct deferred_item *item)
{
    struct listing *l = arg;
    bool damaged = is_damaged(item);

    /* Damaged items pass every filter, so that operators notice them. */
    if (!damaged && !work_filter_holds(&l->filter, item)) {
        return 0;
    }
    if (l->array) {
        put_item(json_add_object(l->array), item, l->now_ns);
    } else {
        add_item_row(l, item);
    }
    l->shown++;
    l->damaged += damaged;
    l->dead += !damaged && item->state == DEFERRED_DEAD;
    return 0;
}

static int
print_list(struct listing *l)
{
    if (l->shown == 0) {
        table_free(l->table);
        puts(l->filter.only_dead ? "No deferred work is dead."
             : l->filtered       ? "No deferred work matches."
                                 : "There is no deferred work.");
        return 0;
    }
    if (table_print(l->table)) {
        return BIDE_ENOMEM;
    }
    if (l->dead > 0) {
        printf("\n%zu %s dead. To make dead work due again: bide deferred "
               "requeue ID\n",
               l->dead, text_plural(l->dead, "piece is", "pieces are"));
    }
    return 0;
}

static int
list_items(struct command_line *line, struct deferred *d,
           const struct work_filter *filter)
{
    static const struct table_column columns[] = {
        [ID] = {"ID", TABLE_RIGHT},
        [POLICY] = {"POLICY", TABLE_NAME},
        [AGE] = {"AGE", TABLE_RIGHT},
        [DUE_IN] = {"DUE IN", TABLE_RIGHT},
        [ATTEMPTS] = {"ATTEMPTS", TABLE_RIGHT},
        [STATE] = {"STATE", 0},
        [SIZE] = {"SIZE", TABLE_RIGHT},
        [LAST_ERROR] = {"LAST ERROR", TABLE_WRAP},
    };
    bool as_json = line->option[OPTION_JSON] != NULL;
    struct json *object = as_json ? json_object_new() : NULL;
    struct listing l = {.now_ns = clock_realtime_ns(),
                        .filter = *filter,
                        .filtered = work_filter_asked(line)};
    int rc;

    if (as_json) {
        l.array = json_in_array(object, "deferred");
    } else {
        l.table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    }
    rc = deferred_each(d, line->operands[0], list_item, &l);
    if (rc < 0) {
        table_free(l.table);
        json_free(object);
        return work_failed(rc, "deferred work");
    }
    rc = as_json ? json_out(object) : print_list(&l);
    work_say_lost(d);
    if (l.damaged > 0) {
        say("deferred work: %zu %s damaged", l.damaged,
            text_plural(l.damaged, "record is", "records are"));
    }
    return rc              ? say_no_memory()
           : l.damaged > 0 ? say_status(BIDE_EDAMAGED)
                           : STATUS_DONE;
}

int
deferred_list_command(struct command_line *line)
{
    struct work_filter filter;
    struct deferred *d;
    int status = work_filter_read(line, &filter);

    status = status ? status : work_queue(line, line->operands[0], &d);
    return status ? status : list_items(line, d, &filter);
}

/* ---- show ---- */

static void
print_field(const char *what, const char *text)
{
    if (*text) {
        printf("%-11s ", what);
        text_put(stdout, text, false);
        putchar('\n');
    }
}

/* Prints the command that `bide exec --defer` stored, if it is one. */
static void
print_deferred_command(const struct deferred_item *item)
{
    struct exec_work w;

    if (strcmp(item->type, EXEC_WORK_TYPE) != 0) {
        return;
    }
    if (exec_work_read(item->bytes, item->length, &w) != 0) {
        print_field("command", "(cannot be read)");
        return;
    }
    printf("%-11s", "command");
    for (char **a = w.arguments; *a; a++) {
        putchar(' ');
        text_put(stdout, *a, false);
    }
    putchar('\n');
    print_field("directory", w.directory);
    for (char **e = w.environment; *e; e++) {
        print_field("environment", *e);
    }
    printf("%-11s %zu bytes\n", "input", w.input_length);
    exec_work_free(&w);
}

static void
print_item_times(const struct deferred_item *item, uint64_t now)
{
    print_field("stored", when_write(item->stored_ns, now).text);
    if (is_expired(item, now)) {
        print_field("expired", when_write(item->expires_ns, now).text);
        return;
    }
    if (item->state == DEFERRED_WAITING) {
        print_field("due", item->due_ns <= now
                               ? "now"
                               : when_write_until(item->due_ns, now).text);
    }
    /* Work that never expires has an end in the far future. */
    if (item->state != DEFERRED_DEAD &&
        item->expires_ns < now + DURATION_MAX / 2) {
        print_field("expires", when_write_until(item->expires_ns, now).text);
    }
}

static void
print_item(const struct deferred_item *item)
{
    uint64_t now = clock_realtime_ns();

    printf("%-11s %" PRIu64 "\n", "id", item->id);
    print_field("policy", item->policy);
    print_field("state", state_name(item, now));
    printf("%-11s %" PRIu32 "\n", "attempts", item->attempts);
    print_field("last error", item->last_error);
    print_item_times(item, now);
    print_field("type", item->type);
    print_field("key", item->key);
    printf("%-11s %zu bytes\n", "size", item->length);
    print_deferred_command(item);
}

static int
show_item(struct command_line *line, const struct deferred_item *item)
{
    struct json *j;

    if (line->option[OPTION_RAW]) {
        fwrite(item->bytes, 1, item->length, stdout);
        return STATUS_DONE;
    }
    if (line->option[OPTION_JSON]) {
        j = json_object_new();
        put_item(j, item, clock_realtime_ns());
        return json_out(j) ? say_no_memory() : STATUS_DONE;
    }
    print_item(item);
    return STATUS_DONE;
}

int
deferred_show_command(struct command_line *line)
{
    struct deferred_item item;
    struct deferred *d;
    uint64_t id;
    int status = work_id(line->operands[0], &id), rc;

    status = status ? status : work_queue(line, NULL, &d);
    if (status) {
        return status;
    }
    rc = deferred_get(d, id, &item);
    if (rc) {
        status = work_failed(rc, line->operands[0]);
    } else {
        status = show_item(line, &item);
        deferred_item_free(&item);
    }
    return status;
}

/* ---- repair ---- */

int
deferred_repair_command(struct command_line *line)
{
    struct deferred_lost lost;
    int rc = admin_deferred_repair(line->registry, &lost);

    if (rc) {
        return work_failed(rc, "deferred work");
    }
    puts("The index and the counts of the deferred work were made anew.");
    say_lost("not found", &lost);
    return STATUS_DONE;
}
