/* The statistics of simulated traffic.  Pure. */
#ifndef BIDE_SIMULATE_TRAFFIC_REPORT_H
#define BIDE_SIMULATE_TRAFFIC_REPORT_H

#include <bide.h>
#include "rule/histogram.h"

enum {
    TRAFFIC_SLICES = 60,      /* of the time in which calls begin */
    TRAFFIC_SLICES_ALL = 120, /* of the time in which they may end */
};

/* A histogram with the sum of each bucket, so that attempts that always take
 * 20 ms are shown as 20 ms. */
struct traffic_times {
    uint64_t count[HISTOGRAM_BUCKETS], sum_ns[HISTOGRAM_BUCKETS];
};

#define X(name, number, text) +1
enum {
    TRAFFIC_VERDICTS = 0 BIDE_VERDICTS(X),
    TRAFFIC_REASONS = 0 BIDE_REASONS(X),
};
#undef X

struct traffic_slice {
    uint64_t calls, attempts;   /* begun in this slice */
    uint64_t succeeded, failed; /* calls ended in this slice; failed: exhausted
                                   or refused */
    uint64_t refused;           /* part of failed: refused calls */
    uint64_t retries_refused;   /* by budget or breaker */
};

/* Counts, which traffic_add adds as an array of uint64_t. */
struct traffic_report {
    uint64_t calls, attempts;
    uint64_t attempts_failed, timed_out; /* timed_out: part of the failed */
    uint64_t verdict[TRAFFIC_VERDICTS];
    uint64_t exhausted[TRAFFIC_REASONS]; /* by reason */
    uint64_t recovered;                  /* succeeded after a retry */
    uint64_t unfinished;                 /* at the end of the simulation */
    uint64_t retries_refused, breaker_opened;
    struct traffic_times answer; /* of all ended calls */
    struct traffic_times took;   /* of attempts */
    uint64_t slice_ns;
    struct traffic_slice slice[TRAFFIC_SLICES_ALL];
};

/* Adds *r to *sum.  Their slices must have the same length. */
void traffic_add(struct traffic_report *sum, const struct traffic_report *r);

/* Counts a time. */
void traffic_add_time(struct traffic_times *t, uint64_t ns);

/* Returns the percentile at `share` (0.5 is the median): the mean of its
 * bucket; 0 if the histogram is empty. */
uint64_t traffic_at_ns(const struct traffic_times *t, double share);

#endif
