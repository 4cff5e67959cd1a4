/* A profile of recorded traffic for a simulation.  For each period (usually a
 * minute) it has the number of calls, the failure rates, the outcomes and the
 * latencies of attempts.  Pure. */
#ifndef BIDE_SIMULATE_PROFILE_H
#define BIDE_SIMULATE_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#include <bide.h>
#include "rule/histogram.h"

/* The counts from begin_ns to end_ns. */
struct profile_counts {
    uint64_t begin_ns, end_ns;
    uint64_t calls;     /* ended calls, including refused ones */
    uint64_t retries;   /* attempts after the first of a call */
    uint64_t recovered; /* calls that succeeded after a retry */
    uint64_t succeeded[HISTOGRAM_BUCKETS], failed[HISTOGRAM_BUCKETS];
    size_t outcome_count;
    struct profile_outcome {
        struct bide_outcome outcome;
        uint64_t count;
    } * outcome; /* of failed attempts */
};

/* The distribution of latencies: the histogram's buckets that are not empty. */
struct profile_times {
    uint32_t count;
    struct profile_bucket {
        uint32_t number;
        uint64_t upto; /* sum of the counts up to and including this bucket */
    } * bucket;
};

struct profile_period {
    uint64_t begin_ns, end_ns;
    uint64_t calls;
    double first_fails, retry_fails; /* failure rates of attempts, 0 to 1 */
    struct profile_times succeeded, failed;
    uint32_t outcome_count;
    struct profile_outcome *outcome; /* each count includes those before it */
};

struct profile {
    size_t count;
    struct profile_period *period; /* in order of time, without overlap; one
                                      may have the lists of the one before */
};

/* Appends a period.  Periods must be added in order of their ends; a period
 * that overlaps with the one before begins at the end of that one.  Fails with
 * BIDE_ENOMEM. */
int profile_add(struct profile *p, const struct profile_counts *c);

/* Completes periods without attempts, or without attempts that succeeded or
 * failed: takes the missing rates and distributions from the period before or,
 * if that has none, after. */
void profile_fill(struct profile *p);
void profile_free(struct profile *p); /* leaves an empty one */

/* Returns a latency in ns, drawn by 0 <= u < 1; 0 if there are none. */
uint64_t profile_time(const struct profile_times *t, double u);

/* Returns an outcome of a failed attempt, drawn by 0 <= u < 1; `usual` if none
 * is known. */
struct bide_outcome profile_outcome(const struct profile_period *p, double u,
                                    struct bide_outcome usual);

#endif
