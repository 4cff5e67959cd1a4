#include "histogram.h"

enum { SHORTEST_NS = 1000 };

/* Computes the bound 2^octave * (1 + step / 17), rounded up to the first value
 * for which histogram_bucket returns this bucket. */
uint64_t
histogram_low_ns(uint32_t bucket)
{
    uint32_t octave, step;
    uint64_t base;

    if (bucket == 0) {
        return 0;
    }
    if (bucket >= HISTOGRAM_BUCKETS - 1) {
        return 1ull << (HISTOGRAM_FIRST_OCTAVE + HISTOGRAM_OCTAVES);
    }
    octave = HISTOGRAM_FIRST_OCTAVE + (bucket - 1) / HISTOGRAM_STEPS;
    step = (bucket - 1) % HISTOGRAM_STEPS;
    base = 1ull << octave;
    return base + (base * step + HISTOGRAM_STEPS - 1) / HISTOGRAM_STEPS;
}

uint64_t
histogram_high_ns(uint32_t bucket)
{
    return bucket >= HISTOGRAM_BUCKETS - 1 ? UINT64_MAX
                                           : histogram_low_ns(bucket + 1);
}

uint64_t
histogram_middle_ns(uint32_t bucket)
{
    uint64_t low = histogram_low_ns(bucket);

    if (bucket == 0) {
        return SHORTEST_NS; /* accurate to 3 % down to 1 us, no further */
    }
    if (bucket >= HISTOGRAM_BUCKETS - 1) {
        return low;
    }
    return low + (histogram_high_ns(bucket) - low) / 2;
}

uint64_t
histogram_count(const uint64_t counts[HISTOGRAM_BUCKETS])
{
    uint64_t sum = 0, bits = 0;

    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) { /* vectorized */
        sum += counts[i];
        bits |= counts[i];
    }
    if (bits >> 54 == 0) {
        return sum; /* a sum of 2^10 of these cannot overflow */
    }
    /* Counts come from shared memory and may be garbage. */
    sum = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        sum = counts[i] > UINT64_MAX - sum ? UINT64_MAX : sum + counts[i];
    }
    return sum;
}

/* Returns the nearest rank, 1 to total: share * total, rounded up. */
static uint64_t
nearest_rank(uint64_t total, double share)
{
    double exact = (double)total * share;
    uint64_t rank;

    if (!(exact > 1)) {
        return 1;
    }
    if (exact >= (double)total) {
        return total;
    }
    rank = (uint64_t)exact;
    /* 0.07 * 100 is slightly more than 7 but must give rank 7. */
    if (exact - (double)rank > exact * 1e-12) {
        rank++;
    }
    return rank < total ? rank : total;
}

uint64_t
histogram_all_ns(const uint64_t counts[HISTOGRAM_BUCKETS], const double *shares,
                 size_t count, uint64_t *out)
{
    uint64_t total = histogram_count(counts), sum = 0;
    uint32_t bucket = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t rank = total ? nearest_rank(total, shares[i]) : 0;

        while (bucket < HISTOGRAM_BUCKETS - 1 && counts[bucket] < rank - sum) {
            sum += counts[bucket++];
        }
        out[i] = total ? histogram_middle_ns(bucket) : 0;
    }
    return total;
}

uint64_t
histogram_at_ns(const uint64_t counts[HISTOGRAM_BUCKETS], double share)
{
    uint64_t at;

    histogram_all_ns(counts, &share, 1, &at);
    return at;
}
