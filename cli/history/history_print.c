/* Rows of history for programs: as JSON and as CSV. */
#include "history.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/out/csv.h"
#include "cli/out/json.h"

/* ---- the figures of a row, in their order ---- */

enum kind { COUNT, MS, NS_AS_MS };

static const struct {
    const char *group; /* an object of its own in JSON; NULL: none */
    const char *inner;
    const char *name, *csv;
    enum kind kind;
    size_t offset;
} fields[] = {
#define AT(field) offsetof(struct bide_stats, field)
    {"calls", NULL, "succeeded", "succeeded", COUNT, AT(succeeded)},
    {"calls", NULL, "recovered", "recovered", COUNT, AT(recovered)},
    {"calls", NULL, "exhausted", "exhausted", COUNT, AT(exhausted)},
    {"calls", NULL, "aborted", "aborted", COUNT, AT(aborted)},
    {"calls", NULL, "deferred", "deferred", COUNT, AT(deferred)},
    {"calls", NULL, "dropped", "dropped", COUNT, AT(dropped)},
    {"calls", NULL, "refused", "refused", COUNT, AT(refused)},
    {"calls", NULL, "rejected", "rejected", COUNT, AT(rejected)},
    {"calls", NULL, "cancelled", "cancelled", COUNT, AT(cancelled)},
    {NULL, NULL, "attempts", "attempts", COUNT, AT(attempts)},
    {NULL, NULL, "attempts_failed", "attempts_failed", COUNT,
     AT(attempts_failed)},
    {NULL, NULL, "retries", "retries", COUNT, AT(retries)},
    {NULL, NULL, "slept_ms", "slept_ms", NS_AS_MS, AT(slept_ns)},
#define LATENCY(of, name, kind, field)                                      \
    {                                                                       \
        "latency_ms", #of, name, #of "_" name, kind, AT(latency_##of.field) \
    }
#define LATENCIES(of)                                                   \
    LATENCY(of, "count", COUNT, count), LATENCY(of, "p50", MS, p50_ms), \
        LATENCY(of, "p95", MS, p95_ms), LATENCY(of, "p99", MS, p99_ms), \
        LATENCY(of, "max", MS, max_ms)
    LATENCIES(succeeded),
    LATENCIES(failed),
#undef LATENCIES
#undef LATENCY
#undef AT
};
enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

static uint64_t
count_at(const struct bide_stats *s, size_t i)
{
    uint64_t count;

    memcpy(&count, (const char *)s + fields[i].offset, sizeof(count));
    return count;
}

static double
ms_at(const struct bide_stats *s, size_t i)
{
    double ms;

    memcpy(&ms, (const char *)s + fields[i].offset, sizeof(ms));
    return ms;
}

/* ---- JSON ---- */

static void
put_fields(struct json *row, const struct bide_stats *s)
{
    struct json *group = NULL, *inner = NULL;

    for (size_t i = 0; i < FIELDS; i++) {
        struct json *to = row;

        if (fields[i].group) {
            if (i == 0 || !fields[i - 1].group ||
                strcmp(fields[i].group, fields[i - 1].group) != 0) {
                group = json_in_object(row, fields[i].group);
            }
            to = group;
        }
        if (fields[i].inner) {
            if (!fields[i - 1].inner ||
                strcmp(fields[i].inner, fields[i - 1].inner) != 0) {
                inner = json_in_object(group, fields[i].inner);
            }
            to = inner;
        }
        if (fields[i].kind == COUNT) {
            json_put_count(to, fields[i].name, count_at(s, i));
        } else if (fields[i].kind == MS) {
            json_put_number(to, fields[i].name, ms_at(s, i));
        } else {
            json_put_ms(to, fields[i].name, count_at(s, i));
        }
    }
}

static void
put_row(struct json *array, const struct history_rows *rows,
        const struct history_row *row)
{
    struct json *j = json_add_object(array), *outcomes;

    json_put_text(j, "policy", row->name);
    if (rows->by == BY_SCOPE) {
        json_put_text(j, "scope", row->scope);
    }
    if (rows->by == BY_VERSION) {
        json_put_count(j, "version", row->version);
        json_put_s(j, "in_force_s", row->force_ns);
        if (row->who) {
            json_put_text(j, "who", row->who);
            json_put_s(j, "when", row->when_ns);
            json_put_text(j, "note", row->note);
        }
    }
    json_put_s(j, "begin", row->begin_ns);
    json_put_s(j, "end", row->end_ns);
    put_fields(j, &row->stats);
    outcomes = json_in_object(j, "outcomes");
    for (size_t i = 0; i < row->outcome_count; i++) {
        json_put_count(outcomes, row->outcomes[i].name, row->outcomes[i].count);
    }
}

int
history_json(const struct history_rows *rows)
{
    struct json *j = json_object_new(), *array;

    json_put_s(j, "since", rows->since_ns);
    json_put_s(j, "until",
               rows->until_ns < rows->now_ns ? rows->until_ns : rows->now_ns);
    if (rows->past.recorded_ns > 0) {
        json_put_s(j, "recorded", rows->past.recorded_ns);
    } else {
        json_put_null(j, "recorded");
    }
    json_put_count(j, "damaged", rows->past.damaged);
    array = json_in_array(j, "rows");
    for (size_t i = 0; i < rows->count; i++) {
        put_row(array, rows, &rows->list[i]);
    }
    return json_out(j);
}

/* ---- CSV ---- */

void
history_csv(const struct history_rows *rows)
{
    fputs("policy,scope,version,begin,end", stdout);
    for (size_t k = 0; k < FIELDS; k++) {
        printf(",%s%s", fields[k].csv, fields[k].kind == MS ? "_ms" : "");
    }
    puts(",who,note");
    for (size_t i = 0; i < rows->count; i++) {
        const struct history_row *row = &rows->list[i];

        printf("%s,%s,", row->name, row->scope);
        if (rows->by == BY_VERSION) {
            printf("%u", row->version);
        }
        putchar(',');
        csv_time(row->begin_ns);
        putchar(',');
        csv_time(row->end_ns);
        for (size_t k = 0; k < FIELDS; k++) {
            if (fields[k].kind == COUNT) {
                printf(",%llu", (unsigned long long)count_at(&row->stats, k));
            } else {
                printf(",%.6g", fields[k].kind == MS
                                    ? ms_at(&row->stats, k)
                                    : (double)count_at(&row->stats, k) / 1e6);
            }
        }
        putchar(',');
        csv_text(row->who ? row->who : "");
        putchar(',');
        csv_text(row->note ? row->note : "");
        putchar('\n');
    }
}
