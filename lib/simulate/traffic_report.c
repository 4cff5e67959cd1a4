#include "traffic_report.h"

void
traffic_add_time(struct traffic_times *t, uint64_t ns)
{
    uint32_t bucket = histogram_bucket(ns);

    t->count[bucket]++;
    t->sum_ns[bucket] += ns;
}

uint64_t
traffic_at_ns(const struct traffic_times *t, double share)
{
    uint32_t bucket = histogram_bucket(histogram_at_ns(t->count, share));

    return t->count[bucket] ? t->sum_ns[bucket] / t->count[bucket] : 0;
}

void
traffic_add(struct traffic_report *sum, const struct traffic_report *r)
{
    const uint64_t *count = (const void *)r;
    uint64_t *total = (void *)sum;

    for (size_t i = 0; i < sizeof(*r) / sizeof(*count); i++) {
        total[i] += count[i];
    }
    sum->slice_ns = r->slice_ns;
}
