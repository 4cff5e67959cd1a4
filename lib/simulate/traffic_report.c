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

static void
add_times(struct traffic_times *sum, const struct traffic_times *t)
{
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        sum->count[i] += t->count[i];
        sum->sum_ns[i] += t->sum_ns[i];
    }
}

static void
add_slice(struct traffic_slice *sum, const struct traffic_slice *s)
{
    sum->calls += s->calls;
    sum->attempts += s->attempts;
    sum->succeeded += s->succeeded;
    sum->failed += s->failed;
    sum->refused += s->refused;
    sum->retries_refused += s->retries_refused;
}

void
traffic_add(struct traffic_report *sum, const struct traffic_report *r)
{
    sum->calls += r->calls;
    sum->attempts += r->attempts;
    sum->attempts_failed += r->attempts_failed;
    sum->timed_out += r->timed_out;
    for (int i = 0; i < TRAFFIC_VERDICTS; i++) {
        sum->verdict[i] += r->verdict[i];
    }
    for (int i = 0; i < TRAFFIC_REASONS; i++) {
        sum->exhausted[i] += r->exhausted[i];
    }
    sum->recovered += r->recovered;
    sum->unfinished += r->unfinished;
    sum->retries_refused += r->retries_refused;
    sum->breaker_opened += r->breaker_opened;
    add_times(&sum->answer, &r->answer);
    add_times(&sum->took, &r->took);
    sum->slice_ns = r->slice_ns;
    for (int i = 0; i < TRAFFIC_SLICES_ALL; i++) {
        add_slice(&sum->slice[i], &r->slice[i]);
    }
}
