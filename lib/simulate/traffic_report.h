/* What traffic came to.  Pure. */
#ifndef BIDE_RULE_TRAFFIC_REPORT_H
#define BIDE_RULE_TRAFFIC_REPORT_H

#include <bide.h>
#include "rule/histogram.h"

enum {
    TRAFFIC_SLICES = 60,      /* of the time in which calls begin, */
    TRAFFIC_SLICES_ALL = 120, /* and of that in which they end */
};

/* A histogram that keeps sums: what always takes 20 ms is shown as 20 ms. */
struct traffic_times {
    uint64_t count[HISTOGRAM_BUCKETS], sum_ns[HISTOGRAM_BUCKETS];
};

#define X(name, text) +1
enum {
    TRAFFIC_VERDICTS = 0 BIDE_VERDICTS(X),
    TRAFFIC_REASONS = 0 BIDE_REASONS(X),
};
#undef X

struct traffic_slice {
    uint64_t calls, attempts;   /* that began then */
    uint64_t succeeded, failed; /* calls that ended then; failed: otherwise */
    uint64_t refused;           /* of the failed: never let out */
    uint64_t retries_refused;   /* by budget or breaker */
};

struct traffic_report {
    uint64_t calls, attempts;
    uint64_t attempts_failed, timed_out; /* timed out: among the failed */
    uint64_t verdict[TRAFFIC_VERDICTS];
    uint64_t exhausted[TRAFFIC_REASONS]; /* by reason */
    uint64_t recovered;                  /* succeeded, not at once */
    uint64_t unfinished;                 /* at the end of it all */
    uint64_t retries_refused, breaker_opened;
    struct traffic_times answer; /* of all calls that ended */
    struct traffic_times took;   /* attempts */
    uint64_t slice_ns;
    struct traffic_slice slice[TRAFFIC_SLICES_ALL];
};

/* Of calls that share nothing; slices of the same length. */
void traffic_add(struct traffic_report *sum, const struct traffic_report *r);

void traffic_add_time(struct traffic_times *t, uint64_t ns);
uint64_t traffic_at_ns(const struct traffic_times *t, double share);

#endif
