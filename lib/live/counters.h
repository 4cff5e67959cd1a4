/* The one table of a call's counters.  The live state, struct bide_stats, the
 * history, tables, JSON, CSV, metrics and the audit are loops over it.
 *
 * DERIVED rows are sums that nobody stores, STORED rows are counted in a cell
 * and are in struct bide_stats, INNER rows are counted only.  Columns:
 *
 *   ID       COUNTER_ID is its place in a cell (not of DERIVED rows)
 *   field    of struct bide_stats
 *   name     in JSON, CSV and the audit; NULL: in none of them
 *   unit     CALLS, ATTEMPTS or SLEPT: what is counted
 *   title    the heading of its column in tables
 *   flags    enum counter_flag
 *   metric   its Prometheus name, NULL: none of its own
 *   help     what it counts
 *
 * JSON and tables use this order.  The live file and history use the order of
 * STORED and INNER rows: append only, never move. */
#ifndef BIDE_LIVE_COUNTERS_H
#define BIDE_LIVE_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#include <bide.h>

/* clang-format off */
#define COUNTERS(DERIVED, STORED, INNER)                                     \
    DERIVED(SUCCEEDED, succeeded, "succeeded", CALLS, "OK",                  \
           COLUMN | VERDICT, NULL,                                           \
           "calls that succeeded, recovered ones included")                  \
    STORED(RECOVERED, recovered, "recovered", CALLS, "RECOVERED",            \
           COLUMN, "bide_calls_recovered_total",                             \
           "calls that succeeded after a failure")                           \
    DERIVED(EXHAUSTED, exhausted, "exhausted", CALLS, NULL,                  \
           0, NULL,                                                          \
           "calls that used up their attempts: aborted, deferred, dropped")  \
    STORED(ABORTED, aborted, "aborted", CALLS, "ABORTED",                    \
           IF_ANY | VERDICT | EXHAUSTED | FAILED, NULL,                      \
           "exhausted calls of a mandatory policy")                          \
    STORED(DEFERRED, deferred, "deferred", CALLS, "DEFERRED",                \
           IF_ANY | VERDICT | EXHAUSTED | FAILED, NULL,                      \
           "exhausted calls of a postponable policy")                        \
    STORED(DROPPED, dropped, "dropped", CALLS, "DROPPED",                    \
           IF_ANY | VERDICT | EXHAUSTED | FAILED, NULL,                      \
           "exhausted calls of an optional policy")                          \
    STORED(REFUSED, refused, "refused", CALLS, "REFUSED",                    \
           IF_ANY | VERDICT | FAILED, NULL,                                  \
           "calls that were refused before an attempt")                      \
    STORED(REJECTED, rejected, "rejected", CALLS, "REJECTED",                \
           IF_ANY | VERDICT, NULL,                                           \
           "calls with an outcome that is never retried")                    \
    STORED(CANCELLED, cancelled, "cancelled", CALLS, "CANCELLED",            \
           IF_ANY | VERDICT, NULL,                                           \
           "calls that were cancelled")                                      \
    DERIVED(ATTEMPTS, attempts, "attempts", ATTEMPTS, "ATTEMPTS",            \
           COLUMN, "bide_attempts_total",                                    \
           "attempts that ended")                                            \
    DERIVED(ATTEMPTS_FAILED, attempts_failed, "attempts_failed", ATTEMPTS,   \
           NULL, 0, NULL,                                                    \
           "attempts that failed")                                           \
    STORED(RETRIES, retries, "retries", ATTEMPTS, "RETRIES",                 \
           COLUMN, "bide_retries_total",                                     \
           "attempts after the first of a call")                             \
    STORED(SLEPT_NS, slept_ns, "slept_ms", SLEPT, "SLEPT",                   \
           COLUMN, "bide_slept_seconds_total",                               \
           "time slept between attempts")                                    \
    INNER(CONNECT, "failed attempts: nothing was sent")                      \
    INNER(TIMEOUT, "failed attempts: no answer in time")                     \
    INNER(THROTTLE, "failed attempts: asked to slow down")                   \
    INNER(TRANSIENT, "failed attempts: other passing failures")              \
    INNER(PERMANENT, "failed attempts: anything else")                       \
    INNER(REDECIDED, "waiting calls decided again after a change")           \
    INNER(GUARDED, "attempts seen by a breaker or a budget")                 \
    INNER(GUARDED_AGAIN, "guarded attempts that were retries")               \
    INNER(GUARDED_FAILED, "guarded attempts that failed")                    \
    INNER(GUARDED_SLOW, "guarded attempts that were slow")                   \
    STORED(NOT_STORED, not_stored, NULL, CALLS, NULL,                        \
           0, NULL,                                                          \
           "calls whose work could not be deferred")                         \
    INNER(GUARDED_IGNORED, "guarded attempts that the breaker ignores")      \
    INNER(GUARDED_REJECTED, "guarded attempts that earn no retry and are "   \
                            "not in GUARDED_FAILED")                         \
    INNER(BY_LIMIT, "attempts that the limit refused")                       \
    INNER(BY_RATE, "attempts that the rate refused")                         \
    INNER(BY_HINT, "attempts that the hint for all refused")                 \
    INNER(ASKED, "attempts that waited before they could start")             \
    INNER(HEDGES, "attempts started beside another of the same call")        \
    INNER(HEDGES_WON, "of these, attempts whose result counted")
/* clang-format on */

enum counter {
#define DERIVED(...)
#define STORED(ID, ...) COUNTER_##ID,
#define INNER(ID, ...) COUNTER_##ID,
    COUNTERS(DERIVED, STORED, INNER)
#undef DERIVED
#undef STORED
#undef INNER
        COUNTER_COUNT,
    COUNTER_ROOM = 28, /* places in a stripe */
};

enum counter_unit {
    COUNTER_OF_CALLS,
    COUNTER_OF_ATTEMPTS,
    COUNTER_OF_SLEPT, /* nanoseconds */
};

enum counter_flag {
    COUNTER_IS_COLUMN = 1,    /* tables always show it */
    COUNTER_IS_IF_ANY = 2,    /* tables show it where it is not 0 */
    COUNTER_IS_VERDICT = 4,   /* each ended call is counted in one of these */
    COUNTER_IS_EXHAUSTED = 8, /* a part of "exhausted" */
    COUNTER_IS_FAILED = 16,   /* failed calls: exhausted or refused */
};

/* A DERIVED or STORED row. */
struct counter_row {
    const char *name; /* in JSON; NULL: not there */
    enum counter_unit unit;
    const char *title; /* NULL: no column */
    unsigned flags;
    const char *metric; /* NULL: none of its own */
    const char *help;
    int counter;   /* enum counter; -1: derived */
    size_t offset; /* of a uint64_t in struct bide_stats */
};

enum { COUNTER_ROWS = 14 };
extern const struct counter_row counter_rows[COUNTER_ROWS];

static inline uint64_t
counter_of(const struct bide_stats *s, const struct counter_row *row)
{
    return *(const uint64_t *)(const void *)((const char *)s + row->offset);
}

/* Returns the number of calls that have ended, with any verdict. */
uint64_t counter_calls(const struct bide_stats *s);
/* Returns the number of calls that failed: exhausted or refused. */
uint64_t counter_failed(const struct bide_stats *s);

#endif
