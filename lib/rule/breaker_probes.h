/* The words of a breaker, and the probes of its half-open state, drawn in
 * breaker.c.  Private to the breaker. */
#ifndef BIDE_RULE_BREAKER_PROBES_H
#define BIDE_RULE_BREAKER_PROBES_H

#include "breaker.h"
#include "window.h"

static inline uint32_t
round_of_state(uint64_t word)
{
    return (uint32_t)(word >> 40 & MASK(10));
}

static inline uint64_t
load_state_word(const struct breaker_words *w)
{
    return atomic_load_explicit(&w->state, memory_order_acquire);
}

/* Reports whether part / whole is at least share; false if part is 0. */
static inline bool
reaches_rate(uint64_t part, uint64_t whole, double share)
{
    return part > 0 && (double)part >= share * (double)whole - 1e-9;
}

/* Discards all reports, before the state becomes `state`, half open. */
void probes_clear(const struct guard *g, uint64_t state);

/* Claims a place for an attempt in the half-open state `state`.  Returns false
 * if all places are taken. */
bool probes_claim(const struct breaker_rules *b, const struct guard *g,
                  uint64_t state, uint64_t now_ns, struct probe *out);

/* Counts the report of a probe, if it is of the round of `state`. */
void probes_report(const struct guard *g, uint64_t state, bool failed,
                   bool slow, struct probe probe);

/* Returns the state that the reports of the round require: closed, open, or
 * half open as long as more reports are needed. */
enum breaker_state probes_decide(const struct breaker_rules *b,
                                 const struct guard *g, uint64_t state);

#endif
