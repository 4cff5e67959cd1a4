/* Lines of text that show spans of time and series of values. */
#ifndef BIDE_CLI_PLOT_H
#define BIDE_CLI_PLOT_H

#include <stddef.h>
#include <stdint.h>

/* A scale of `width` columns. */
struct plot {
    uint64_t end_ns; /* of the last column; the first is 0 */
    size_t width;
};

/* Returns a scale that includes `last_ns` and ends at a round number. */
struct plot plot_for(uint64_t last_ns, size_t width);

/* The functions below return a string for the caller to free; NULL without
 * memory. */

/* Draws the axis: "0        0.5s       1s". */
char *plot_axis(const struct plot *p);

/* Draws the values in order, "▁▁▂▅█▇"; `top` is the value of a full column.  If
 * there are more than `width` values, columns show averages.  Only a value of 0
 * is a blank. */
char *plot_series(const double *values, size_t count, double top, size_t width);

/* Draws "   |------|" from `from_ns` to `to_ns`, or a dot if both share a
 * column.
 */
char *plot_span(const struct plot *p, uint64_t from_ns, uint64_t to_ns);

#endif
