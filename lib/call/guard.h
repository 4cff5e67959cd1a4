/* The budget and the breaker of a policy handle: finds their shared words, and
 * counts a success without the machine where that is enough. */
#ifndef BIDE_GUARD_H
#define BIDE_GUARD_H

#include "registry/registry.h"
#include "rule/admit.h"
#include "rule/breaker.h"
#include "rule/guard.h"

/* An attempt that takes longer, 2^41 ns (37 minutes), may end after its cell
 * was freed. */
enum { CALL_LONG_SHIFT = 41 };

/* Returns the GATE_ bits for a call of `p`, before and after an attempt, and
 * the cell that they are of: the bits of the cell and the bits of declared
 * rules.  GATE_INCARNATION bits are set if the cell is not its own any more. */
static inline uint32_t
call_gate(const struct bide_policy *p, const struct cell **out)
{
    uint32_t own = load_acquire(&p->incarnation);
    const struct cell *cell = load_acquire(&p->cell);

    *out = cell;
    return (GATE_BITS(load_acquire(&cell->gate)) ^ own) |
           load_relaxed(&p->local_gate);
}

struct call;

/* Fills *storage for one event of a call under its rules, and returns it.
 * Returns NULL if there are no rules, if all that it guards is off, or if the
 * live state has no space for it; the call then runs without. */
struct guard *guard_use(struct call *k, struct guard *storage);

/* Takes a place, for an attempt that needs no more, under rules that this
 * process knows: reads no clock.  False: the machine must decide.  Gives it
 * back, and wakes a call that waits for it. */
bool guard_take_place(struct bide_policy *p, const struct cell *c,
                      struct admission *out);
void guard_give_place(struct bide_policy *p, struct admission *has);

/* Returns the word that changes when a place is free, of a call that waits for
 * one; else NULL. */
_Atomic uint32_t *guard_bell(const struct call *k);

/* Wakes waiting calls if the breaker changed state or a place became free, and
 * sets the ticks at which the success path must ask the machine again.  Call it
 * after the machine of `k` has used `g`, which may be NULL. */
void guard_used(struct call *k, const struct guard *g, uint64_t now_ns);

/* Tells hooks whether the machine has just been refused a retry by the budget,
 * or granted one.  `had_paid`: it had been granted before. */
void guard_report_budget(const struct call *k, bool had_paid);

/* Reports whether an attempt may start without asking the machine. */
static inline bool
guard_lets_out(const struct cell *c, uint32_t gate)
{
    return !(gate & GATE_BREAKER_ON) ||
           !(load_acquire(&c->breaker.state) & BREAKER_HOLDS);
}

/* Counts the success of a first attempt, and returns true, if it changes
 * neither budget nor breaker; returns false and counts nothing if the machine
 * must decide. */
bool guard_passes(struct bide_policy *p, const struct cell *c, uint32_t gate,
                  uint64_t took_ns, uint64_t end_ticks);

#endif
