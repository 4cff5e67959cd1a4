/* Retry budgets.  Tokens: a bucket that retries (or failures) are paid from and
 * successes pay into, as gRPC's throttling (gRFC A6) and the AWS SDKs' retry
 * quota have it.  Ratio: retries within a window are at most a share of its
 * calls and some by the second, as Finagle and Linkerd have it.  Pure: the
 * words are the caller's, and may be shared by processes. */
#ifndef BIDE_RULE_BUDGET_H
#define BIDE_RULE_BUDGET_H

#include <stdbool.h>

#include "policy/rules.h"
#include "guard.h"

enum { BUDGET_CAPACITY_MAX = 200000 }; /* tokens */

enum budget_price { PRICE_USUAL, PRICE_TIMEOUT, PRICE_THROTTLE };

/* A retry is about to be decided.  True: it may go, and *out_paid has been
 * taken: thousandths of a token, or one retry of a ratio. */
bool budget_take(const struct budget_rules *b, const struct guard *g,
                 enum budget_price price, uint64_t now_ns, int64_t *out_paid);

/* A failure that could be retried, under budget_charge = failure: pays, as far
 * as there is something. */
void budget_pay(const struct budget_rules *b, const struct guard *g,
                enum budget_price price, uint64_t now_ns);

/* A call succeeded: at its first attempt (paid < 0), or by a retry that had
 * paid so much. */
void budget_give(const struct budget_rules *b, const struct guard *g,
                 int64_t paid, uint64_t now_ns);

/* A retry that was paid for does not happen after all. */
void budget_return(const struct budget_rules *b, const struct guard *g,
                   int64_t paid, uint64_t now_ns);

/* Whether a success would change nothing, so that it need not ask. */
bool budget_is_full(const struct budget_words *w);

/* How full it is now, 0 to 1; of a ratio: what is left of what the window
 * allows. */
double budget_level(const struct budget_rules *b, const struct guard *g,
                    uint64_t now_ns);

/* Full again; of a ratio: the retries within the window are forgotten. */
void budget_reset(const struct guard *g);

/* False: impossible numbers; calls go on as if the budget were off. */
bool budget_is_sound(const struct budget_words *w);

#endif
