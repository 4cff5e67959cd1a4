#include "figure.h"

#include <string.h>

#include "base/duration.h"
#include "cli/out/text.h"

static const struct {
    const char *title;
    size_t offset; /* of a time in struct bide_latency */
} latencies[] = {
    {"P50", offsetof(struct bide_latency, p50_ns)},
    {"P95", offsetof(struct bide_latency, p95_ns)},
    {"P99", offsetof(struct bide_latency, p99_ns)},
};

/* Returns the counter of a figure; NULL: it is the calls, or a latency. */
static const struct counter_row *
row_of(size_t figure)
{
    return figure > 0 && figure < FIGURE_LATENCY ? &counter_rows[figure - 1]
                                                 : NULL;
}

const char *
figure_title(size_t figure)
{
    const struct counter_row *row = row_of(figure);

    return figure == 0 ? "CALLS"
           : row       ? row->title
                       : latencies[figure - FIGURE_LATENCY].title;
}

bool
figure_shown(const struct bide_stats *s, size_t figure)
{
    const struct counter_row *row = row_of(figure);

    return !row || (row->title && (!(row->flags & COUNTER_IS_IF_ANY) ||
                                   counter_of(s, row) > 0));
}

struct brief
figure_write(const struct bide_stats *s, size_t figure)
{
    const struct counter_row *row = row_of(figure);
    uint64_t ns;

    if (figure == 0) {
        return text_count(counter_calls(s));
    }
    if (row) {
        uint64_t count = counter_of(s, row);

        return row->unit == COUNTER_OF_CALLS
                   ? text_share(count, counter_calls(s), 2)
               : row->unit == COUNTER_OF_SLEPT ? duration_round(count)
                                               : text_count(count);
    }
    memcpy(&ns,
           (const char *)&s->latency_succeeded +
               latencies[figure - FIGURE_LATENCY].offset,
           sizeof(ns));
    return s->latency_succeeded.count > 0 ? duration_round(ns)
                                          : (struct brief){"-"};
}

static void
latency_json(struct json *parent, const char *name,
             const struct bide_latency *l)
{
    struct json *j = json_in_object(parent, name);

    json_put_count(j, "count", l->count);
    json_put_ms(j, "p50", l->p50_ns);
    json_put_ms(j, "p95", l->p95_ns);
    json_put_ms(j, "p99", l->p99_ns);
    json_put_ms(j, "max", l->max_ns);
}

void
figure_json(struct json *j, const struct bide_stats *s,
            const struct cell_outcome *outcomes, size_t count)
{
    struct json *calls = json_in_object(j, "calls"), *inside;

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
    inside = json_in_object(j, "latency_ms");
    latency_json(inside, "succeeded", &s->latency_succeeded);
    latency_json(inside, "failed", &s->latency_failed);
    inside = json_in_object(j, "outcomes");
    for (size_t i = 0; i < count; i++) {
        json_put_count(inside, outcomes[i].name, outcomes[i].count);
    }
}

void
figure_outcome(const struct cell_outcome *o, uint64_t all)
{

    fputs("   ", stdout);
    text_put(stdout, o->name, false);
    printf(" %s", text_share(o->count, all, 0).text);
}
