/* Prints rows of history as JSON and as CSV. */

#include <stdio.h>
#include <string.h>

#include <bide.h>
#include "cli/out/csv.h"
#include "cli/out/json.h"
#include "cli/out/text.h"
#include "cli/view/figure.h"
#include "history.h"

/* ---- JSON ---- */

static void
put_history_row(struct json *array, const struct history_rows *rows,
                const struct history_row *row)
{
    struct json *j = json_add_object(array);

    json_put_text(j, "policy", row->name);
    if (rows->by == BY_SCOPE) {
        json_put_text(j, "scope", row->scope);
    }
    if (rows->by == BY_VERSION) {
        json_put_count(j, "version", row->version);
        json_put_s(j, "in_force_s", row->force_ns);
        if (row->who) {
            json_put_text(j, "who", row->who);
            json_put_count(j, "uid", row->uid);
            json_put_s(j, "when", row->when_ns);
            json_put_text(j, "note", row->note);
        }
    }
    json_put_s(j, "begin", row->begin_ns);
    json_put_s(j, "end", row->end_ns);
    figure_json(j, &row->stats, row->outcomes, row->outcome_count);
}

int
history_json(const struct history_rows *rows)
{
    struct json *j = json_object_new(), *array;

    json_put_s(j, "since", rows->since_ns);
    json_put_s(j, "until",
               rows->until_ns < rows->now_ns ? rows->until_ns : rows->now_ns);
    json_put_time(j, "recorded", rows->past.last_ns);
    json_put_count(j, "damaged", rows->past.damaged);
    array = json_in_array(j, "rows");
    for (size_t i = 0; i < rows->count; i++) {
        put_history_row(array, rows, &rows->list[i]);
    }
    return json_out(j);
}

/* ---- CSV ---- */

static void
print_csv_head(void)
{
    fputs("policy,scope,version,begin,end", stdout);
    for (size_t i = 0; i < COUNTER_ROWS; i++) {
        if (counter_rows[i].name) {
            printf(",%s", counter_rows[i].name);
        }
    }
    for (size_t i = 0; i < FIGURE_LATENCIES; i++) {
        const char *name = figure_latencies[i].name;

        printf(",%s_count,%s_p50_ms,%s_p95_ms,%s_p99_ms,%s_max_ms", name, name,
               name, name, name);
    }
    puts(",who,uid,note");
}

static void
print_csv_figures(const struct bide_stats *s)
{
    for (size_t i = 0; i < COUNTER_ROWS; i++) {
        const struct counter_row *row = &counter_rows[i];

        if (!row->name) {
            continue;
        }
        if (row->unit == COUNTER_OF_SLEPT) {
            printf(",%s", text_plain((double)counter_of(s, row) / 1e6).text);
        } else {
            printf(",%llu", (unsigned long long)counter_of(s, row));
        }
    }
    for (size_t i = 0; i < FIGURE_LATENCIES; i++) {
        const struct bide_latency *l =
            figure_latency_of(s, &figure_latencies[i]);
        const uint64_t ns[] = {l->p50_ns, l->p95_ns, l->p99_ns, l->max_ns};

        printf(",%llu", (unsigned long long)l->count);
        for (size_t k = 0; k < 4; k++) {

            printf(",%s", text_plain((double)ns[k] / 1e6).text);
        }
    }
}

void
history_csv(const struct history_rows *rows)
{
    print_csv_head();
    for (size_t i = 0; i < rows->count; i++) {
        const struct history_row *row = &rows->list[i];

        printf("%s,%s,", row->name, row->scope);
        if (rows->by == BY_VERSION) {
            printf("%u", row->version);
        }
        printf(",%s,%s", csv_time(row->begin_ns).text,
               csv_time(row->end_ns).text);
        print_csv_figures(&row->stats);
        csv_author(row->who, row->uid);
        csv_text(row->note);
        putchar('\n');
    }
}
