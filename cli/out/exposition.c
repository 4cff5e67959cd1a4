#include "exposition.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The bounds of Prometheus' own libraries, from 5 ms to 10 s, extended to both
 * sides for calls within the host and for slow calls. */
const double exposition_bounds[EXPOSITION_BOUNDS] = {
    0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25,   0.5,    1,     2.5,    5,     10,   30,    60,   300};

void
exposition_convert(const uint64_t counts[HISTOGRAM_BUCKETS],
                   struct exposition_histogram *out)
{
    size_t bound = 0;

    memset(out, 0, sizeof(*out));
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        double middle = (double)histogram_middle_ns(i) / 1e9;

        while (bound < EXPOSITION_BOUNDS && middle > exposition_bounds[bound]) {
            out->at_most[bound++] = out->count;
        }
        out->count = counts[i] > UINT64_MAX - out->count
                         ? UINT64_MAX
                         : out->count + counts[i];
        out->sum += (double)counts[i] * middle;
    }
    while (bound < EXPOSITION_BOUNDS) {
        out->at_most[bound++] = out->count;
    }
}

struct brief
exposition_number(double number)
{
    int digits = 15;
    struct brief out;

    if (isnan(number)) {
        return (struct brief){"NaN"};
    }
    if (isinf(number)) {
        return number > 0 ? (struct brief){"+Inf"} : (struct brief){"-Inf"};
    }
    do {
        snprintf(out.text, sizeof(out.text), "%.*g", digits, number);
    } while (strtod(out.text, NULL) != number && ++digits <= 17);
    return out;
}

struct brief
exposition_bound(double bound)
{
    struct brief out = exposition_number(bound);

    if (!strpbrk(out.text, ".eIN")) {
        strcat(out.text, ".0");
    }
    return out;
}

void
exposition_label(FILE *out, const char *value)
{
    while (*value) {
        uint32_t c;
        size_t length = plain_character(value, SIZE_MAX, &c);

        if (*value == '\\' || *value == '"') {
            fprintf(out, "\\%c", *value);
        } else if (*value == '\n') {
            fputs("\\n", out);
        } else if (length > 0) {
            fwrite(value, 1, length, out);
        } else {
            fprintf(out, "\\\\x%02x", (unsigned char)*value);
        }
        value += length > 0 ? length : 1;
    }
}
