/* bide deferred stats: how much work was deferred, and how it ended. */

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/duration.h"
#include "cli/command/say.h"
#include "cli/out/json.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "store/queue/queue.h"
#include "deferred.h"

struct totals {
    const char *name; /* NULL: all policies */
    uint64_t now_ns;
    size_t shown;
    struct table *table;
    struct json *array; /* NULL: print a table */
};

static const struct count_column {
    const char *title, *key;
    size_t offset; /* of a uint64_t in struct deferred_counts */
} counters[] = {
#define COUNTER(title, field)                                  \
    {                                                          \
        title, #field, offsetof(struct deferred_counts, field) \
    }
    COUNTER("WAITING", waiting), COUNTER("LEASED", leased),
    COUNTER("DEAD", dead),       COUNTER("STORED", stored),
    COUNTER("DONE", done),       COUNTER("DROPPED", dropped),
    COUNTER("DIED", died),       COUNTER("BYTES", bytes),
#undef COUNTER
};
enum { COUNTERS = sizeof(counters) / sizeof(counters[0]) };

static uint64_t
counter_value(const struct deferred_counts *c, size_t i)
{
    uint64_t value;

    memcpy(&value, (const char *)c + counters[i].offset, sizeof(value));
    return value;
}

static void
put_counts(struct json *j, const struct deferred_counts *c, uint64_t now_ns)
{
    json_put_text(j, "policy", c->policy);
    for (size_t i = 0; i < COUNTERS; i++) {
        json_put_count(j, counters[i].key, counter_value(c, i));
    }
    if (c->oldest_ns == 0) {
        json_put_null(j, "oldest_ms");
    } else {
        json_put_ms(j, "oldest_ms",
                    now_ns > c->oldest_ns ? now_ns - c->oldest_ns : 0);
    }
}

static void
add_counts_row(struct table *t, const struct deferred_counts *c,
               uint64_t now_ns)
{
    table_row_of(t, c->policy);
    for (size_t i = 0; i < COUNTERS; i++) {
        table_cell(t, 1 + i, "%s", text_count(counter_value(c, i)).text);
    }
    if (c->oldest_ns > 0) {
        table_cell(
            t, 1 + COUNTERS, "%s",
            duration_round(now_ns > c->oldest_ns ? now_ns - c->oldest_ns : 0)
                .text);
    }
    if (c->dead > 0) {
        table_mark_row(t);
    }
}

static int
show_counts(void *arg, const struct deferred_counts *c)
{
    struct totals *totals = arg;

    if (totals->name && strcmp(totals->name, c->policy) != 0) {
        return 0;
    }
    if (totals->array) {
        put_counts(json_add_object(totals->array), c, totals->now_ns);
    } else {
        add_counts_row(totals->table, c, totals->now_ns);
    }
    totals->shown++;
    return 0;
}

static int
print_totals(struct totals *totals, struct json *object)
{
    if (object) {
        return json_out(object);
    }
    if (totals->shown == 0) {
        table_free(totals->table);
        puts("No work was deferred.");
        return 0;
    }
    return table_print(totals->table);
}

static int
show_totals(struct command_line *line, struct deferred *d)
{
    struct table_column columns[COUNTERS + 2] = {{"POLICY", TABLE_NAME}};
    struct totals totals = {.name = line->operands[0],
                            .now_ns = clock_realtime_ns()};
    struct deferred_counts none = {0};
    struct json *object = NULL;
    int rc;

    for (size_t i = 0; i < COUNTERS; i++) {
        columns[1 + i] = (struct table_column){counters[i].title, TABLE_RIGHT};
    }
    columns[1 + COUNTERS] = (struct table_column){"OLDEST", TABLE_RIGHT};
    if (line->option[OPTION_JSON]) {
        object = json_object_new();
        totals.array = json_in_array(object, "policies");
    } else {
        totals.table = table_new(columns, COUNTERS + 2);
    }
    rc = deferred_counts(d, show_counts, &totals);
    if (rc < 0) {
        table_free(totals.table);
        json_free(object);
        return work_failed(rc, "deferred work");
    }
    if (totals.name && totals.shown == 0) {
        snprintf(none.policy, sizeof(none.policy), "%s", totals.name);
        show_counts(&totals, &none);
    }
    work_say_lost(d);
    return print_totals(&totals, object) ? say_no_memory() : STATUS_DONE;
}

int
deferred_stats_command(struct command_line *line)
{
    struct deferred *d;
    int status = work_queue(line, line->operands[0], &d);

    return status ? status : show_totals(line, d);
}
