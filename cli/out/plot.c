#include "plot.h"

#include <stdlib.h>
#include <string.h>

#include "base/duration.h"
#include "text.h"

/* The possible ends of a scale, in ms. */
static const uint64_t round_ms[] = {
    1,        2,        5,        10,        20,       50,
    100,      200,      500,      1000,      2000,     5000,
    10000,    20000,    30000,    60000,     120000,   300000,
    600000,   1200000,  1800000,  3600000,   7200000,  14400000,
    28800000, 43200000, 86400000, 172800000, 604800000};

struct plot
plot_for(uint64_t last_ns, size_t width)
{
    struct plot p = {last_ns ? last_ns : 1000000, width < 20 ? 20 : width};

    for (size_t i = 0; i < sizeof(round_ms) / sizeof(round_ms[0]); i++) {
        uint64_t end_ns = round_ms[i] * 1000000;

        if (end_ns >= last_ns) {
            /* If half of the plot would be empty, do not round the end. */
            if (last_ns > end_ns / 2) {
                p.end_ns = end_ns;
            }
            break;
        }
    }
    return p;
}

static size_t
column_of(const struct plot *p, uint64_t ns)
{
    double share = (double)ns / (double)p->end_ns;
    size_t at = (size_t)(share * (double)(p->width - 1) + 0.5);

    return at < p->width ? at : p->width - 1;
}

char *
plot_axis(const struct plot *p)
{
    struct brief middle = duration_round(p->end_ns / 2);
    struct brief end = duration_round(p->end_ns);
    char *axis = malloc(p->width + 1);
    size_t half;

    if (!axis) {
        return NULL;
    }
    memset(axis, ' ', p->width);
    axis[p->width] = '\0';
    axis[0] = '0';
    half = p->width / 2 - strlen(middle.text) / 2;
    memcpy(axis + half, middle.text, strlen(middle.text));
    memcpy(axis + p->width - strlen(end.text), end.text, strlen(end.text));
    return axis;
}

char *
plot_span(const struct plot *p, uint64_t from_ns, uint64_t to_ns)
{
    enum { FIRST, BETWEEN, LAST, DOT, SIGNS };
    static const char *const lines[SIGNS] = {"├", "─", "┤", "●"};
    static const char *const plain[SIGNS] = {"|", "-", "|", "*"};
    const char *const *sign = text_is_utf8() ? lines : plain;
    size_t from = column_of(p, from_ns), to = column_of(p, to_ns);
    char *span = malloc(p->width * 3 + 1), *at = span; /* 3 bytes per sign */

    if (!span) {
        return NULL;
    }
    memset(at, ' ', from);
    at += from;
    if (from == to) {
        stpcpy(at, sign[DOT]);
        return span;
    }
    at = stpcpy(at, sign[FIRST]);
    for (size_t i = from + 1; i < to; i++) {
        at = stpcpy(at, sign[BETWEEN]);
    }
    stpcpy(at, sign[LAST]);
    return span;
}

/* Returns the average of the values from position `from` to `to`; fractions
 * count as parts of a value. */
static double
average_between(const double *values, size_t count, double from, double to)
{
    double sum = 0;

    for (size_t i = (size_t)from; i < count && (double)i < to; i++) {
        double begin = (double)i > from ? (double)i : from;
        double end = (double)(i + 1) < to ? (double)(i + 1) : to;

        sum += values[i] * (end - begin);
    }
    return sum / (to - from);
}

char *
plot_series(const double *values, size_t count, double top, size_t width)
{
    enum { LEVELS = 8 };
    static const char *const blocks[LEVELS] = {"▁", "▂", "▃", "▄",
                                               "▅", "▆", "▇", "█"};
    static const char *const plain[LEVELS] = {".", ":", "-", "=",
                                              "+", "*", "#", "@"};
    const char *const *signs = text_is_utf8() ? blocks : plain;
    size_t columns = count < width ? count : width;
    char *series = malloc(columns * 3 + 1), *at = series; /* 3 bytes per sign */

    if (!series) {
        return NULL;
    }
    *at = '\0';
    for (size_t i = 0; i < columns; i++) {
        double each = (double)count / (double)columns;
        double value = average_between(
            values, count, each * (double)i,
            i + 1 == columns ? (double)count : each * (double)(i + 1));
        double level = top > 0 ? value / top * LEVELS : 0;
        size_t sign = level < LEVELS ? (size_t)level : LEVELS - 1;

        at = stpcpy(at, value > 0 ? signs[sign] : " ");
    }
    return series;
}
