/* The counters and latencies of calls as commands show them: one table of
 * columns, and the same figures in JSON. */
#ifndef BIDE_CLI_FIGURE_H
#define BIDE_CLI_FIGURE_H

#include <stdbool.h>
#include <stddef.h>

#include <bide.h>
#include "cli/out/json.h"
#include "live/counters.h"

enum figure_shape {
    FIGURE_CALLS, /* number of calls; other figures of calls are shares of it */
    FIGURE_COUNT,
    FIGURE_SHARE,
    FIGURE_TIME,
    FIGURE_LATENCY,
};

struct figure {
    const char *title; /* NULL: not in tables */
    enum figure_shape shape;
    bool if_any;   /* shown only if it is not 0 */
    size_t offset; /* in struct bide_stats; unused by FIGURE_CALLS */
};

enum { FIGURES = 1 + COUNTER_ROWS + 3 };
extern const struct figure figures[FIGURES]; /* in the order of columns */

/* Reports whether a table with these statistics shows `figure`. */
bool figure_shown(const struct bide_stats *s, const struct figure *figure);

/* Writes a figure for tables ("98.2%", "1.3s"; "-" for a latency without
 * attempts).  Returns `out`, which needs 32 bytes. */
const char *figure_write(const struct bide_stats *s,
                         const struct figure *figure, char *out, size_t size);

/* Adds an object "calls", then the counters of attempts. */
void figure_json(struct json *j, const struct bide_stats *s);

/* Adds an object "latency_ms", with one object for each kind of attempt. */
void figure_latency_json(struct json *j, const struct bide_stats *s);

#endif
