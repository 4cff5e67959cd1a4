/* Durations as text: "250ms", "1.5s".  A duration that is not a whole number of
 * nanoseconds is refused, not rounded. */
#ifndef BIDE_DURATION_H
#define BIDE_DURATION_H

#include <stdint.h>

#include "base/duration.h"

#include "plain.h"

#define DURATION_NONE UINT64_MAX /* "none": no limit */
#define DURATION_MAX (36500ull * 86400 * 1000000000)

#define SECOND_NS UINT64_C(1000000000)
#define MINUTE_NS (60 * SECOND_NS)
#define HOUR_NS (60 * MINUTE_NS)
#define DAY_NS (24 * HOUR_NS)

/* Returns a + b, for two durations, or a time and a duration; DURATION_NONE
 * instead of an overflow. */
static inline uint64_t
duration_add(uint64_t a, uint64_t b)
{
    return b > DURATION_NONE - a ? DURATION_NONE : a + b;
}

static inline uint64_t
smaller_ns(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t
larger_ns(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

struct duration_fault {
    const char *why; /* a constant sentence */
    char hint[64];   /* a suggestion, "": none */
};

/* Reads "250ms" as ns.  Units: ns us ms s m h d; up to 9 decimals; only 0 needs
 * no unit.  On failure returns -1 and fills *fault, which may be NULL. */
int duration_read(const char *text, uint64_t *out,
                  struct duration_fault *fault);

/* Writes the shortest exact text: 1500000000 is "1.5s", 0 is "0", DURATION_NONE
 * is "none". */
struct brief duration_write(uint64_t ns);

/* Writes a rounded text for people: three digits below a minute ("1.23s",
 * "18ms"), from there on two units ("2m 52s", "27m", "1d 12h"). */
struct brief duration_round(uint64_t ns);

#endif
