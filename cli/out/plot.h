/* Spans of time, drawn in one line of text each. */
#ifndef BIDE_CLI_PLOT_H
#define BIDE_CLI_PLOT_H

#include <stddef.h>
#include <stdint.h>

/* What `width` columns stand for. */
struct plot {
    uint64_t end_ns;
    size_t width;
};

/* A scale for 0 to `last_ns`, ended by a round number. */
struct plot plot_for(uint64_t last_ns, size_t width);

/* "0        0.5s       1s".  malloc'ed, NULL without memory; so are the others.
 */
char *plot_axis(const struct plot *p);

/* "▁▁▂▅█▇": values one after the other, `top` being the height of a line; what
 * does not fit in `width` columns is averaged.  Nothing is blank, and a little
 * is never nothing. */
char *plot_series(const double *values, size_t count, double top, size_t width);

/* "   |------|" from `from_ns` to `to_ns`; a dot where they meet. */
char *plot_span(const struct plot *p, uint64_t from_ns, uint64_t to_ns);

#endif
