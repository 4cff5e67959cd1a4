/* The body of a cell: its counters.  Part of layout.h. */
#ifndef BIDE_LIVE_BODY_H
#define BIDE_LIVE_BODY_H

#include <stdatomic.h>
#include <stdint.h>

#include "counters.h"
#include "rule/guard.h"
#include "rule/histogram.h"
#include "rule/limits.h"

/* A cell counts by CPU stripe.  Calls that succeeded and attempts are the sums
 * of the histograms; the other counters are those of counters.h.  A call that
 * succeeds at its first attempt is counted once, by the latency of that
 * attempt; all others are counted as whole calls too. */

/* A whole number of cache lines, so that stripes do not share one. */
struct stripe {
    _Atomic uint64_t succeeded[HISTOGRAM_BUCKETS]; /* S */
    _Atomic uint64_t failed[HISTOGRAM_BUCKETS];    /* S */
    _Atomic uint64_t counter[COUNTER_ROOM];        /* S: enum counter */
};

/* Calls that ended otherwise, after at least one attempt.  Not striped, as such
 * a call does much else. */
struct whole_calls {
    _Atomic uint64_t took[HISTOGRAM_BUCKETS];  /* S: first attempt to verdict */
    _Atomic uint64_t again[HISTOGRAM_BUCKETS]; /* S: attempts that succeeded and
                                                  were not the first */
    _Atomic uint64_t attempts[ATTEMPTS_GROUPS]; /* S: calls by attempts */
};

/* The same, as it is read. */
struct call_counts {
    uint64_t took[HISTOGRAM_BUCKETS], again[HISTOGRAM_BUCKETS];
    uint64_t attempts[ATTEMPTS_GROUPS];
};

/* Returns the number of calls in a bucket of their latency, if `succeeded` are
 * the attempts that succeeded. */
static inline uint64_t
call_count(const uint64_t *succeeded, const struct call_counts *c, size_t i)
{
    return (succeeded[i] > c->again[i] ? succeeded[i] - c->again[i] : 0) +
           c->took[i];
}

struct outcome_slot {
    _Atomic uint64_t key;    /* S, by CAS: domain << 56, below it the code, or
                                the hash of an app outcome's name; 0: free */
    _Atomic uint64_t count;  /* S */
    _Atomic uint64_t app[6]; /* S: the name of an app outcome, words.h */
};

/* Ends at the end of the 18th page, so that it shares a page with one stripe
 * only.  The 19th page begins with the guard. */
struct outcomes {
    _Atomic uint64_t other; /* S: outcomes that found no slot */
    uint64_t spare[7];
    struct outcome_slot slot[31 /* CELL_OUTCOMES */];
};

/* The rules that a program declares for a name that the registry does not
 * define.  Two that declare at the same time spoil the text: then the hash is
 * wrong, and there is none until the next look-up. */
struct declared_rules {
    _Atomic uint64_t hash;       /* S, last: words_hash of the text; 0: none */
    _Atomic uint64_t pid;        /* S: and above it its PID namespace */
    _Atomic uint64_t when_ns;    /* S: CLOCK_REALTIME */
    _Atomic uint64_t program[2]; /* S: its name, words.h */
    _Atomic uint64_t text[507 /* DECLARED_WORDS */];
};

struct body {
    struct stripe stripe[8 /* STRIPE_MAX */];
    struct outcomes outcomes;
    struct guard_rings guard; /* S, by CAS */
    struct whole_calls calls; /* to the end of the 21st page */
    struct declared_rules declared;
    struct limits limits; /* S, by CAS: from the 23rd page */
    uint64_t spare[504];
};

#endif
