/* The syntax of Prometheus text: numbers, label values, and classic histograms
 * made from the fine buckets of the live state. */
#ifndef BIDE_CLI_EXPOSITION_H
#define BIDE_CLI_EXPOSITION_H

#include <stdint.h>
#include <stdio.h>

#include "base/plain.h"
#include "rule/histogram.h"

enum { EXPOSITION_BOUNDS = 18 };
/* The `le` bounds of every histogram, in seconds, ascending, without +Inf. */
extern const double exposition_bounds[EXPOSITION_BOUNDS];

struct exposition_histogram {
    uint64_t at_most[EXPOSITION_BOUNDS]; /* cumulative counts */
    uint64_t count;                      /* of all values: le="+Inf" */
    double sum; /* in s, from the middle of each bucket: within 3 % */
};

/* The histograms of a cell in metrics. */
struct exposition_series {
    struct exposition_histogram succeeded, failed, calls;
};

/* Converts the counts.  A fine bucket counts as a whole for each bound that is
 * at or above its middle. */
void exposition_convert(const uint64_t counts[HISTOGRAM_BUCKETS],
                        struct exposition_histogram *out);

/* Writes `number` with as few digits as give the same double when read; "+Inf",
 * "-Inf" and "NaN". */
struct brief exposition_number(double number);
/* Writes a bound as OpenMetrics prescribes: with a point or an exponent, "1.0".
 */
struct brief exposition_bound(double bound);

/* Writes a label value without its quotes, escaped.  Bytes that are not UTF-8
 * are written as \xNN, since one of them makes Prometheus drop the whole
 * scrape.
 */
void exposition_label(FILE *out, const char *value);

#endif
