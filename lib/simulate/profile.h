/* What calls met, minute by minute, as a simulation needs it: how many began,
 * how often attempts failed, with what, and how long they took.  Pure. */
#ifndef BIDE_RULE_PROFILE_H
#define BIDE_RULE_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bide.h>
#include "rule/histogram.h"

/* What was counted from begin_ns to end_ns. */
struct profile_counts {
    uint64_t begin_ns, end_ns;
    uint64_t calls;     /* that ended, refused ones included */
    uint64_t retries;   /* among the attempts */
    uint64_t recovered; /* calls that succeeded by a retry */
    uint64_t succeeded[HISTOGRAM_BUCKETS], failed[HISTOGRAM_BUCKETS];
    size_t outcome_count;
    struct profile_outcome {
        struct bide_outcome outcome;
        uint64_t count;
    } * outcome; /* of failed attempts */
};

/* Times, those that there were only: how many up to and with each. */
struct profile_times {
    uint32_t count;
    uint16_t *bucket;
    uint64_t *upto;
};

struct profile_period {
    uint64_t begin_ns, end_ns;
    uint64_t calls;
    double first_fails, retry_fails; /* of attempts */
    struct profile_times succeeded, failed;
    uint32_t outcome_count;
    struct profile_outcome *outcome; /* counts are sums up to and with it */
};

struct profile {
    size_t count, room;
    struct profile_period *period; /* in order of time, none overlap */
};

/* In order of their ends; what overlaps with the one before begins at its end.
 * BIDE_ENOMEM. */
int profile_add(struct profile *p, const struct profile_counts *c);

/* Where a period has no attempts, or none of a kind, it gets what the one
 * before had, or the one after: what would have happened is not known.
 * BIDE_ENOMEM. */
int profile_fill(struct profile *p);
void profile_free(struct profile *p); /* leaves an empty one */

/* With a draw 0 <= u < 1.  0 of nothing. */
uint64_t profile_time(const struct profile_times *t, double u);
/* `usual` where none is known. */
struct bide_outcome profile_outcome(const struct profile_period *p, double u,
                                    struct bide_outcome usual);

#endif
