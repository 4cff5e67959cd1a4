#include "figure.h"

#include <string.h>

#include "base/duration.h"
#include "cli/out/text.h"
#include "count.h"

enum {
    COLUMN = COUNTER_IS_COLUMN,
    IF_ANY = COUNTER_IS_IF_ANY,
    VERDICT = COUNTER_IS_VERDICT,
    EXHAUSTED = COUNTER_IS_EXHAUSTED,
    FAILED = COUNTER_IS_FAILED,
    SHAPE_CALLS = FIGURE_SHARE,
    SHAPE_ATTEMPTS = FIGURE_COUNT,
    SHAPE_SLEPT = FIGURE_TIME,
};

/* clang-format off */
const struct figure figures[FIGURES] = {
    {"CALLS", FIGURE_CALLS, false, 0},
#define ROW(ID, field, name, unit, title, flags, metric, help)            \
    {title, (enum figure_shape)SHAPE_##unit,                              \
     ((flags) & IF_ANY) != 0,                                             \
     offsetof(struct bide_stats, field)},
#define INNER(...)
    COUNTERS(ROW, ROW, INNER)
#define LATENCY(title, field)                                             \
    {title, FIGURE_LATENCY, false,                                  \
     offsetof(struct bide_stats, latency_succeeded.field)}
    LATENCY("P50", p50_ms),
    LATENCY("P95", p95_ms),
    LATENCY("P99", p99_ms),
};
/* clang-format on */

static uint64_t
count_at(const struct bide_stats *s, size_t offset)
{
    uint64_t count;

    memcpy(&count, (const char *)s + offset, sizeof(count));
    return count;
}

bool
figure_shown(const struct bide_stats *s, const struct figure *figure)
{
    return figure->title &&
           (!figure->if_any || count_at(s, figure->offset) > 0);
}

const char *
figure_write(const struct bide_stats *s, const struct figure *figure, char *out,
             size_t size)
{
    double ms;

    switch (figure->shape) {
    case FIGURE_CALLS:
        return text_count(count_calls(s), out, size);
    case FIGURE_COUNT:
        return text_count(count_at(s, figure->offset), out, size);
    case FIGURE_SHARE:
        return text_share(count_at(s, figure->offset), count_calls(s), 2, out,
                          size);
    case FIGURE_TIME:
        return duration_round(count_at(s, figure->offset), out, size);
    case FIGURE_LATENCY:
        memcpy(&ms, (const char *)s + figure->offset, sizeof(ms));
        return s->latency_succeeded.count > 0
                   ? duration_round((uint64_t)(ms * 1e6), out, size)
                   : "-";
    }
    return "-";
}

void
figure_json(struct json *j, const struct bide_stats *s)
{
    struct json *calls = json_in_object(j, "calls");

    for (size_t i = 0; i < COUNTER_ROWS; i++) {
        const struct counter_row *row = &counter_rows[i];

        if (!row->name) {
            continue;
        }
        if (row->unit == COUNTER_OF_SLEPT) {
            json_put_ms(j, row->name, counter_of(s, row));
        } else {
            json_put_count(row->unit == COUNTER_OF_CALLS ? calls : j, row->name,
                           counter_of(s, row));
        }
    }
}

static void
latency_json(struct json *parent, const char *name,
             const struct bide_latency *l)
{
    struct json *j = json_in_object(parent, name);

    json_put_count(j, "count", l->count);
    json_put_number(j, "p50", l->p50_ms);
    json_put_number(j, "p95", l->p95_ms);
    json_put_number(j, "p99", l->p99_ms);
    json_put_number(j, "max", l->max_ms);
}

void
figure_latency_json(struct json *j, const struct bide_stats *s)
{
    struct json *latency = json_in_object(j, "latency_ms");

    latency_json(latency, "succeeded", &s->latency_succeeded);
    latency_json(latency, "failed", &s->latency_failed);
}
