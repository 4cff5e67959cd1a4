/* Retry budgets.  Tokens: retries (or failures) take tokens out of a bucket and
 * successes put some back, as in gRPC's throttling (gRFC A6) and the retry
 * quota of the AWS SDKs.  Ratio: the retries within a window are limited to a
 * share of its calls plus a number per second, as in Finagle and Linkerd.
 * Pure: the words belong to the caller and may be shared by processes.
 *
 * A guard `g` that is NULL, or has no budget, grants every retry. */
#ifndef BIDE_RULE_BUDGET_H
#define BIDE_RULE_BUDGET_H

#include <stdbool.h>

#include "policy/rules.h"
#include "guard.h"

enum { BUDGET_CAPACITY_MAX = 200000 }; /* tokens */

enum budget_price { PRICE_USUAL, PRICE_TIMEOUT, PRICE_THROTTLE };

/* The charge for a retry. */
struct budget_paid {
    int32_t price; /* of the retry, or of the failure before it, in thousandths
                      of a token */
    enum {
        PAID_NOTHING, /* no budget, or the failure was charged */
        PAID_TOKENS,
        PAID_RETRY, /* one retry of a ratio */
    } with;
    const struct budget_words *to; /* the budget that was charged.  Only
                                      compared: it may be gone */
};

/* Applies rules that have changed, or NULL for a budget that is switched off.
 * Tokens: refills the bucket up to now under the rate before, then keeps the
 * share that is filled.  A budget that is switched on, or that changes its
 * kind, starts full, or with an empty window.  Does nothing if newer rules have
 * been applied.  The other functions do the same, so that a change is also
 * applied if its author was killed. */
void budget_follow(const struct budget_rules *b, const struct guard *g,
                   uint64_t now_ns);

/* Asks for a retry of a policy of importance `who`.  Returns true if it is
 * granted; *out_paid is the charge. */
bool budget_take(const struct budget_rules *b, enum importance who,
                 const struct guard *g, enum budget_price price,
                 uint64_t now_ns, struct budget_paid *out_paid);

/* Charges a retryable failure, under budget_charge = failure; takes at most the
 * tokens left.  Does nothing under other rules. */
void budget_pay(const struct budget_rules *b, enum importance who,
                const struct guard *g, enum budget_price price,
                uint64_t now_ns);

/* Puts tokens back after a success: the deposit if the first attempt succeeded
 * (`paid` is NULL), else the refund for a retry that was charged `paid`. */
void budget_give(const struct budget_rules *b, const struct guard *g,
                 const struct budget_paid *paid, uint64_t now_ns);

/* Returns the whole charge of a retry that was granted at granted_ns and does
 * not happen.  What a failure was charged stays charged. */
void budget_return(const struct budget_rules *b, const struct guard *g,
                   const struct budget_paid *paid, uint64_t granted_ns,
                   uint64_t now_ns);

/* Reports whether the bucket is full, so that a success need not call
 * budget_give. */
bool budget_is_full(const struct budget_words *w);

/* Returns the level of the budget, 0 (empty) to 1 (full).  For a ratio it is
 * the unused share of the retries that the window allows. */
double budget_level(const struct budget_rules *b, const struct guard *g,
                    uint64_t now_ns);

/* Fills the bucket; for a ratio, discards the retries counted in the window. */
void budget_reset(const struct guard *g);

/* Returns false if the words are impossible; calls then run as if the budget
 * were off. */
bool budget_is_sound(const struct budget_words *w);

#endif
