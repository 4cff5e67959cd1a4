/* What is counted: the body of a cell.  Part of layout.h. */
#ifndef BIDE_LIVE_BODY_H
#define BIDE_LIVE_BODY_H

#include <stdatomic.h>
#include <stdint.h>

#include "rule/guard.h"
#include "rule/histogram.h"

/* What the slow path counts, by CPU stripe.  Calls that succeeded and attempts
 * are the histograms' sums. */
#define COUNTERS(X)                                                         \
    X(RECOVERED, "recovered", "calls that succeeded after a failure")       \
    X(ABORTED, "aborted", "exhausted calls of a mandatory policy")          \
    X(DEFERRED, "deferred", "exhausted calls of a postponable policy")      \
    X(DROPPED, "dropped", "exhausted calls of an optional policy")          \
    X(REFUSED, "refused", "calls not let out")                              \
    X(REJECTED, "rejected", "calls with an outcome that is never retried")  \
    X(CANCELLED, "cancelled", "calls that their program ended")             \
    X(RETRIES, "retries", "attempts after the first of a call")             \
    X(SLEPT_NS, "slept_ns", "time slept between attempts")                  \
    X(CONNECT, "connect", "failed attempts: nothing was sent")              \
    X(TIMEOUT, "timeout", "failed attempts: no answer in time")             \
    X(THROTTLE, "throttle", "failed attempts: asked to slow down")          \
    X(TRANSIENT, "transient", "failed attempts: other passing troubles")    \
    X(PERMANENT, "permanent", "failed attempts: anything else")             \
    X(REDECIDED, "redecided", "waiting calls decided again after a change") \
    X(GUARDED, "guarded", "attempts seen by a breaker or a budget")         \
    X(GUARDED_AGAIN, "guarded_again", "those that were retries")            \
    X(GUARDED_FAILED, "guarded_failed", "those that failed")                \
    X(GUARDED_SLOW, "guarded_slow", "those that were slow")                 \
    X(NOT_STORED, "not_stored", "calls whose work could not be put off")

enum counter {
#define X(name, text, help) COUNTER_##name,
    COUNTERS(X)
#undef X
        COUNTER_COUNT,
    COUNTER_ROOM = 28, /* places in a stripe; further counters come last */
};

/* A whole number of cache lines, so that stripes do not share one. */
struct stripe {
    _Atomic uint64_t succeeded[HISTOGRAM_BUCKETS]; /* S */
    _Atomic uint64_t failed[HISTOGRAM_BUCKETS];    /* S */
    _Atomic uint64_t counter[COUNTER_ROOM];        /* S: enum counter */
};

struct outcome_slot {
    _Atomic uint64_t key;    /* S, by CAS: domain << 56, below it the code, or
                                the hash of an app outcome's name; 0: free */
    _Atomic uint64_t count;  /* S */
    _Atomic uint64_t app[6]; /* S: the name of an app outcome, words.h */
};

/* Ends with the 18th page, so that it shares that page with one stripe only;
 * the 19th is the guard's. */
struct outcomes {
    _Atomic uint64_t other; /* S: what found no slot */
    uint64_t spare[7];
    struct outcome_slot slot[31 /* CELL_OUTCOMES */];
};

struct body {
    struct stripe stripe[8 /* STRIPE_MAX */];
    struct outcomes outcomes;
    struct guard_rings guard; /* S, by CAS */
};

#endif
