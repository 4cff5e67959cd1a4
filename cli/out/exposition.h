/* Prometheus text, its spelling: numbers, label values, and how the live
 * state's fine buckets become a classic histogram. */
#ifndef BIDE_CLI_EXPOSITION_H
#define BIDE_CLI_EXPOSITION_H

#include <stdint.h>
#include <stdio.h>

#include "rule/histogram.h"

enum { EXPOSITION_BOUNDS = 18 };
/* The `le` of every histogram, in seconds, ascending; +Inf comes after them. */
extern const double exposition_bounds[EXPOSITION_BOUNDS];

struct exposition_histogram {
    uint64_t at_most[EXPOSITION_BOUNDS]; /* cumulative */
    uint64_t count;                      /* all of them: le="+Inf" */
    double sum; /* seconds; each value as its bucket's middle, within 3 % */
};

/* A bucket goes, whole, to the bounds that its middle is not above. */
void exposition_sort(const uint64_t counts[HISTOGRAM_BUCKETS],
                     struct exposition_histogram *out);

/* As few digits as give the same double back; "+Inf", "-Inf", "NaN".  Needs 32
 * bytes, as the next does.  Return the buffer. */
char *exposition_number(double number, char *buffer, size_t size);
/* The canonical spelling of OpenMetrics for a bound: never without a point or
 * an exponent, "1.0". */
char *exposition_bound(double bound, char *buffer, size_t size);

/* Between the quotes of a label: escaped; what is no UTF-8 as \xNN, for a
 * scrape with anything else is thrown away whole. */
void exposition_label(FILE *out, const char *value);

#endif
