/* The counters and latencies of calls as commands show them: one table of
 * columns, and the same figures in JSON. */
#ifndef BIDE_CLI_FIGURE_H
#define BIDE_CLI_FIGURE_H

#include <stdbool.h>
#include <stddef.h>

#include <bide.h>
#include "base/draft.h"
#include "base/plain.h"
#include "cli/out/json.h"
#include "live/counter.h"
#include "live/counters.h"

/* Figures by number, in the order of columns: the number of calls, the rows of
 * counters (those of calls as shares), the latencies of attempts; and where
 * there is room, those of whole calls. */
enum {
    FIGURE_LATENCY = 1 + COUNTER_ROWS,
    FIGURES = FIGURE_LATENCY + 3,
    FIGURES_ALL = FIGURES + 3,
    FIGURE_LATENCIES = 3,
};

/* The kinds of latencies, for JSON and CSV. */
struct figure_latency {
    const char *name;
    size_t offset; /* of a struct bide_latency in struct bide_stats */
};
extern const struct figure_latency figure_latencies[FIGURE_LATENCIES];
static inline const struct bide_latency *
figure_latency_of(const struct bide_stats *s, const struct figure_latency *l)
{
    return (const struct bide_latency *)(const void *)((const char *)s +
                                                       l->offset);
}

const char *figure_title(size_t figure); /* NULL: not in tables */

/* Reports whether a table with these statistics shows the figure. */
bool figure_shown(const struct bide_stats *s, size_t figure);

/* Writes a figure for tables ("98.2%", "1.3s"; "-" for a latency without
 * attempts). */
struct brief figure_write(const struct bide_stats *s, size_t figure);

/* Adds an object "calls", the counters of attempts, an object "latency_ms" with
 * one object for each kind, and objects "calls_by_attempts", "outcomes". */
void figure_json(struct json *j, const struct bide_stats *s,
                 const struct cell_outcome *outcomes, size_t count);

/* Append or print two lines: how long whole calls took, and how many attempts
 * they made; nothing without calls. */
void figure_calls(const struct bide_stats *s, struct draft *out);
void figure_print_calls(const struct bide_stats *s);

/* Prints a line of the most frequent outcomes, which are in order, with their
 * shares: "outcomes of api.example.com   http.503 71%   http.429 29%"; nothing
 * without any.  `scope` may be "". */
void figure_outcomes(const char *scope, const struct cell_outcome *list,
                     size_t count);

#endif
