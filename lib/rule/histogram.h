/* A log-linear histogram of latencies: 17 buckets for each power of two, so a
 * value differs from the middle of its bucket by at most 1/35 (2.9 %).  The
 * range is 1024 ns to 2^42 ns (73 minutes).  Bucket 0 holds all shorter values,
 * the last bucket all longer ones.  Pure. */
#ifndef BIDE_RULE_HISTOGRAM_H
#define BIDE_RULE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
    HISTOGRAM_FIRST_OCTAVE = 10,
    HISTOGRAM_OCTAVES = 32,
    HISTOGRAM_STEPS = 17,
    HISTOGRAM_BUCKETS = HISTOGRAM_OCTAVES * HISTOGRAM_STEPS + 2,
};

/* Returns the bucket of a latency. */
static inline uint32_t
histogram_bucket(uint64_t ns)
{
    uint32_t octave;

    if (ns < 1ull << HISTOGRAM_FIRST_OCTAVE) {
        return 0;
    }
    octave = 63 - (uint32_t)__builtin_clzll(ns);
    if (octave >= HISTOGRAM_FIRST_OCTAVE + HISTOGRAM_OCTAVES) {
        return HISTOGRAM_BUCKETS - 1;
    }
    /* (ns - 2^octave) * 17 stays below 2^47. */
    return 1 + (octave - HISTOGRAM_FIRST_OCTAVE) * HISTOGRAM_STEPS +
           (uint32_t)(((ns - (1ull << octave)) * HISTOGRAM_STEPS) >> octave);
}

enum { ATTEMPTS_GROUPS = 8 }; /* 2, 3, 4, 5-8, 9-16, 17-32, 33-64, more */

/* Returns the group of a call with 2 attempts or more. */
static inline uint32_t
attempts_group(uint32_t attempts)
{
    uint32_t bits = attempts > 4 ? 32 - (uint32_t)__builtin_clz(attempts - 1)
                                 : attempts - 2;

    return bits < ATTEMPTS_GROUPS ? bits : ATTEMPTS_GROUPS - 1;
}

/* Return the bounds of a bucket: low is included, high is not. */
uint64_t histogram_low_ns(uint32_t bucket);
uint64_t histogram_high_ns(uint32_t bucket);

/* Returns the value that represents a bucket. */
uint64_t histogram_middle_ns(uint32_t bucket);

/* Returns the percentile at `share` (0.5 is the median); 0 if the histogram is
 * empty. */
uint64_t histogram_at_ns(const uint64_t counts[HISTOGRAM_BUCKETS],
                         double share);

/* Stores the percentiles at `count` shares, in rising order, and returns the
 * sum of all counts. */
uint64_t histogram_all_ns(const uint64_t counts[HISTOGRAM_BUCKETS],
                          const double *shares, size_t count, uint64_t *out);

/* Returns the sum of all counts, UINT64_MAX instead of an overflow. */
uint64_t histogram_count(const uint64_t counts[HISTOGRAM_BUCKETS]);

#endif
