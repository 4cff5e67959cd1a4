#include "figure.h"

#include <string.h>

#include "base/duration.h"
#include "cli/out/text.h"

#define LATENCY(kind, share)                      \
    offsetof(struct bide_stats, latency_##kind) + \
        offsetof(struct bide_latency, share##_ns)
static const struct {
    const char *title;
    size_t offset; /* of a time in struct bide_stats */
} latencies[] = {
    {"P50", LATENCY(succeeded, p50)},  {"P95", LATENCY(succeeded, p95)},
    {"P99", LATENCY(succeeded, p99)},  {"CALL P50", LATENCY(calls, p50)},
    {"CALL P95", LATENCY(calls, p95)}, {"CALL P99", LATENCY(calls, p99)},
};

const struct figure_latency figure_latencies[FIGURE_LATENCIES] = {
    {"succeeded", offsetof(struct bide_stats, latency_succeeded)},
    {"failed", offsetof(struct bide_stats, latency_failed)},
    {"calls", offsetof(struct bide_stats, latency_calls)},
};

/* The groups of calls_by_attempts. */
static const char *const groups[] = {"1",    "2",     "3",     "4",  "5-8",
                                     "9-16", "17-32", "33-64", "65+"};
enum { GROUPS = sizeof(groups) / sizeof(groups[0]) };

/* Limit of outcomes in the text output; --json prints all. */
enum { OUTCOMES_SHOWN = 8 };

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
    memcpy(&ns, (const char *)s + latencies[figure - FIGURE_LATENCY].offset,
           sizeof(ns));
    return ns > 0 ? duration_round(ns) : (struct brief){"-"};
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
    for (size_t i = 0; i < FIGURE_LATENCIES; i++) {
        latency_json(inside, figure_latencies[i].name,
                     figure_latency_of(s, &figure_latencies[i]));
    }
    inside = json_in_object(j, "calls_by_attempts");
    for (size_t i = 0; i < GROUPS; i++) {
        json_put_count(inside, groups[i], s->calls_by_attempts[i]);
    }
    inside = json_in_object(j, "outcomes");
    for (size_t i = 0; i < count; i++) {
        json_put_count(inside, outcomes[i].name, outcomes[i].count);
    }
}

void
figure_calls(const struct bide_stats *s, struct draft *out)
{
    const struct bide_latency *l = &s->latency_calls;

    if (l->count == 0) {
        return;
    }
    draft_text(out, "whole calls, with retries and waits");
    for (size_t i = FIGURES; i < FIGURES_ALL; i++) {
        draft_print(out, "   %s %s", figure_title(i) + strlen("CALL "),
                    figure_write(s, i).text);
    }
    draft_text(out, "\nattempts per call");
    for (size_t i = 0; i < GROUPS; i++) {
        if (s->calls_by_attempts[i] > 0) {
            draft_print(out, "   %s: %s", groups[i],
                        text_share(s->calls_by_attempts[i], l->count, 2).text);
        }
    }
    draft_text(out, "\n");
}

void
figure_print_calls(const struct bide_stats *s)
{
    struct draft text = {0};

    figure_calls(s, &text);
    if (!text.failed && text.used > 0) {
        fputs(text.bytes, stdout);
    }
    draft_free(&text);
}

void
figure_outcomes(const char *scope, const struct cell_outcome *list,
                size_t count)
{
    uint64_t all = 0, left = 0;

    for (size_t i = 0; i < count; i++) {
        all += list[i].count;
        left += i >= OUTCOMES_SHOWN ? list[i].count : 0;
    }
    if (all == 0) {
        return;
    }
    fputs(*scope ? "outcomes of " : "outcomes", stdout);
    text_put(stdout, scope, false);
    for (size_t i = 0; i < count && i < OUTCOMES_SHOWN; i++) {
        fputs("   ", stdout);
        text_put(stdout, list[i].name, false);
        printf(" %s", text_share(list[i].count, all, 0).text);
    }
    if (left > 0) {
        printf("   others %s", text_share(left, all, 0).text);
    }
    putchar('\n');
}
