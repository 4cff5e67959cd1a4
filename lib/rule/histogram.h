/* Log-linear buckets for latencies: 17 to each power of two, so that a value
 * differs from its bucket's middle by at most 1/35 (2.9 %).  1024 ns to 2^42 ns
 * (73 minutes); what is shorter or longer has a bucket of its own.  Pure. */
#ifndef BIDE_RULE_HISTOGRAM_H
#define BIDE_RULE_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_FIRST_OCTAVE = 10,
    HISTOGRAM_OCTAVES = 32,
    HISTOGRAM_STEPS = 17,
    HISTOGRAM_BUCKETS = HISTOGRAM_OCTAVES * HISTOGRAM_STEPS + 2,
};

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

/* The bounds of a bucket: low included, high not. */
uint64_t histogram_low_ns(uint32_t bucket);
uint64_t histogram_high_ns(uint32_t bucket);

/* What stands for a bucket's values. */
uint64_t histogram_middle_ns(uint32_t bucket);

/* The value at `share` (0.5: the median) of all counted; 0 without any. */
uint64_t histogram_at_ns(const uint64_t counts[HISTOGRAM_BUCKETS],
                         double share);
uint64_t histogram_count(const uint64_t counts[HISTOGRAM_BUCKETS]);

#endif
