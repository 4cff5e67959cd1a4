/* A handle's budget and breaker: where their shared words are, and the short
 * way of a success past them. */
#ifndef BIDE_GUARD_H
#define BIDE_GUARD_H

#include "registry/registry.h"
#include "rule/breaker.h"
#include "rule/guard.h"

/* The guard of one event of a call under `r`, in `room`.  NULL: there are no
 * rules, both are off, or there is no space for their state; the call goes on
 * without. */
struct guard *guard_use(struct bide_policy *p, const struct rules *r,
                        struct guard *room);

/* After the machine was told: wakes the others when the breaker turned, and
 * says when the success path must look again.  `g` may be NULL. */
void guard_used(struct bide_policy *p, const struct rules *r,
                const struct guard *g, uint64_t now_ns);

/* Whether an attempt may start without a look at the rules. */
static inline bool
guard_lets_out(const struct cell *c, uint32_t gate)
{
    return !(gate & GATE_BREAKER_ON) ||
           atomic_load_explicit(&c->breaker.state, memory_order_acquire) >>
                   62 ==
               STATE_CLOSED;
}

/* A first attempt succeeded.  True: it has been counted, and neither budget nor
 * breaker has to hear of it; false: the machine must be told. */
bool guard_passes(struct bide_policy *p, const struct cell *c, uint32_t gate,
                  uint64_t took_ns, uint64_t end_ticks);

#endif
