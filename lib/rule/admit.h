/* The questions at the start of an attempt, in their fixed order: breaker, hint
 * of a server, rate, limit.  What an earlier question took is given back when a
 * later one refuses. */
#ifndef BIDE_RULE_ADMIT_H
#define BIDE_RULE_ADMIT_H

#include <stdbool.h>
#include <stdint.h>

#include <bide.h>
#include "breaker.h"
#include "budget.h"
#include "limits.h"

/* What an attempt holds. */
struct admission {
    struct probe probe;
    struct rate_words *turn; /* the rate that a turn was taken from, until the
                                attempt starts; NULL: none */
    struct place_words *in;  /* whose place it has; NULL: none */
    _Atomic uint64_t *slots;
    uint64_t word;
    uint32_t place, process; /* of the owner, its struct process */
};

/* Asks whether an attempt may start, in state *out.  `past_hint`: a server's
 * hint for all calls does not hold it.  If not, returns the reason, and
 * *out_at_ns is when to ask again; DURATION_NONE: not known. */
enum bide_reason admit_attempt(const struct policy *p, struct guard *g,
                               bool past_hint, uint64_t now_ns,
                               struct admission *out, uint64_t *out_at_ns);

/* Asks whether an attempt may start beside others: as above, but it pays for a
 * retry first, and no breaker that is not closed lets it out.  What it paid is
 * returned if it may not. */
bool admit_hedge(const struct policy *p, struct guard *g, uint64_t now_ns,
                 struct admission *out, struct budget_paid *out_paid);

/* Returns how long an attempt may wait after a refusal for this reason. */
uint64_t admit_wait_ns(const struct policy *p, enum bide_reason reason);

/* Records that the attempt has started: its turn is used. */
void admit_started(struct admission *a);

/* Gives the place back after the attempt.  Returns the words on which calls
 * wait for it; NULL: nobody waits. */
struct place_words *admit_ended(struct admission *a);

/* Gives back everything, of an attempt that does not happen, or is cancelled.
 * `p` and `g` are the rules in force now.  Returns as admit_ended. */
struct place_words *admit_return(const struct policy *p, struct guard *g,
                                 struct admission *a, uint64_t now_ns);

#endif
