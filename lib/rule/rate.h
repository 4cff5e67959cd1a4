/* How many attempts may start per second, in all processes together: a bucket
 * of tokens.  A call that finds none is told when to ask again; nothing is kept
 * for it, so a process that is killed while it waits loses nothing.
 *
 * Under rate_adapt the bucket holds the tokens of one second, and at least one;
 * nothing waits before the first throttle outcome, except at the rate_limit. */
#ifndef BIDE_RULE_RATE_H
#define BIDE_RULE_RATE_H

#include <stdbool.h>

#include "policy/rules.h"
#include "limits.h"

/* At this rate_limit, the highest, a rate that adapts has no other limit. */
#define RATE_HIGHEST 1e6

/* Applies rules of commit `txn` that have changed: tokens are kept, and come at
 * the new rate from now on.  Does nothing if newer rules have been applied.
 * rate_take does the same, so that a change is also applied if its author was
 * killed. */
void rate_follow(const struct rate_rules *r, struct rate_words *w, uint64_t txn,
                 uint64_t now_ns);

/* Asks for a token.  False: *out_at_ns is when to ask again.  Others may be
 * given a time before that, but not by much more than they would wait alone. */
bool rate_take(const struct rate_rules *r, struct rate_words *w, uint64_t txn,
               enum importance who, uint64_t now_ns, uint64_t *out_at_ns);

/* Puts back a token that was not used. */
void rate_return(const struct rate_rules *r, struct rate_words *w,
                 uint64_t now_ns);

/* Reports how an attempt ended, under rate_adapt. */
void rate_report(const struct rate_rules *r, struct rate_words *w,
                 bool throttled, uint64_t began_ns, uint64_t now_ns);

/* What operators see. */
struct rate_look {
    double per_s;         /* tokens that come; INFINITY: nothing waits yet */
    double tokens, burst; /* in the bucket, and how many it holds */
    uint64_t each_ns;     /* between two; 0: nothing waits yet */
    bool is_learned;      /* lowered by a throttle outcome, and raised again */
    bool is_damaged;      /* impossible words.  Calls wait no longer than the
                             rules' own rate would have them wait */
};
struct rate_look rate_look(const struct rate_rules *r,
                           const struct rate_words *w, uint64_t now_ns);

#endif
