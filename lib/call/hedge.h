/* The attempts that the step API starts beside one that runs. */
#ifndef BIDE_CALL_HEDGE_H
#define BIDE_CALL_HEDGE_H

#include "call.h"

/* Sets when the first hedge of the attempt that has just started is due. */
void hedge_prepare(struct call *k);
/* Starts a hedge if it is time and no rule refuses it. */
enum bide_next hedge_ask(struct call *k);
/* Describes the machine's current attempt in k->attempt. */
void hedge_describe(struct call *k);
/* Returns the earliest end of the attempts, or when hedge_ask must be called.
 */
uint64_t hedge_deadline_ns(const struct call *k);

#endif
