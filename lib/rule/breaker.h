/* Circuit breakers: closed, open, half open (M. Nygard, Release It!, 2007).
 * Windows and rates follow resilience4j, consecutive failures follow Envoy's
 * outlier ejection, forced states follow Hystrix and Polly.  Pure: the words
 * belong to the caller and may be shared by processes. */
#ifndef BIDE_RULE_BREAKER_H
#define BIDE_RULE_BREAKER_H

#include <stdbool.h>

#include "policy/rules.h"
#include "guard.h"

enum breaker_state { STATE_CLOSED, STATE_OPEN, STATE_HALF_OPEN };

/* The place of an attempt that a half-open breaker has admitted. */
struct probe {
    uint32_t place; /* 1 to PROBES_MAX; 0: none */
    uint64_t word;  /* as claimed.  A late report finds another word in the
                       place and is ignored */
};

/* Reports whether an attempt may start at now_ns; in the half-open state it
 * claims a place, stored in *out_probe.  On false, *out_until_ns is the time to
 * ask again, DURATION_NONE if unknown. */
bool breaker_admit(const struct breaker_rules *b, struct guard *g,
                   uint64_t now_ns, struct probe *out_probe,
                   uint64_t *out_until_ns);

/* The part of the state word that is 0 while a breaker is closed and lets all
 * attempts out: state, and growth, which is 1 while breaker_ramp lasts. */
#define BREAKER_HOLDS (UINT64_C(3) << 62 | UINT64_C(63) << 34)

/* Returns the share of the attempts that a closed breaker holds back at now_ns:
 * breaker_ramp lets out a share that grows from 0 to 1 after it has closed, and
 * at once as many as there were probes. */
double breaker_held(const struct breaker_rules *b,
                    const struct breaker_words *w, uint64_t now_ns);

/* Reports the end of an attempt.  Opens or closes the breaker if its rates
 * require that, and then increments g->turned. */
void breaker_report(const struct breaker_rules *b, struct guard *g, bool failed,
                    uint64_t took_ns, struct probe probe, uint64_t now_ns);

/* Reports whether the round of a probe was decided without it.  Such an attempt
 * is no call for the breaker. */
bool breaker_round_is_over(const struct guard *g, struct probe probe);

/* Frees the place of a probe that will not report. */
void breaker_release(const struct guard *g, struct probe probe);

/* Reports whether the breaker would refuse an attempt at `then_ns`: it is
 * forced open, or it stays open until after `then_ns`. */
bool breaker_still_open(const struct breaker_rules *b, const struct guard *g,
                        uint64_t now_ns, uint64_t then_ns);
/* Reports whether it is off, or closed. */
bool breaker_is_closed(const struct breaker_rules *b, const struct guard *g);

/* Returns the state to display at now_ns: an open breaker shows as half open
 * once its time is over. *out_until_ns is the end of the open state, else 0. */
enum breaker_state breaker_look(const struct breaker_rules *b,
                                const struct breaker_words *w, uint64_t now_ns,
                                uint64_t *out_until_ns);

/* Returns the time since the breaker left the closed state, while it is open or
 * half open. */
uint64_t breaker_left_ns(const struct breaker_words *w, uint64_t now_ns);

/* Returns false if the state word is impossible.  Such a word refuses calls at
 * most for the longest open time. */
bool breaker_is_sound(const struct breaker_words *w, uint64_t now_ns);

/* Frees the places of processes for which is_dead returns true. */
void breaker_release_dead(struct guard_rings *r,
                          bool (*is_dead)(uint32_t pid, uint32_t space));

/* Applies changed rules (NULL: the policy has none).  Resets a breaker that is
 * switched on.  A window that changes between time and calls starts empty, and
 * the breaker keeps its state. */
void breaker_follow(const struct breaker_rules *b, struct guard *g,
                    uint64_t now_ns);

/* Closes the breaker and discards what it has counted. */
void breaker_reset(struct guard *g, uint64_t now_ns);

/* Returns a recorded transition: its new state and its time.  Number 0 is the
 * newest.  Returns false if there is no such transition. */
bool breaker_transition(const struct guard_rings *r, uint32_t number,
                        enum breaker_state *out_to, uint64_t *out_realtime_ns);

#endif
