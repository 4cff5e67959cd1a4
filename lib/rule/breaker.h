/* Circuit breakers: closed, open, half open (M. Nygard, Release It!, 2007),
 * with the windows and rates of resilience4j, the consecutive failures of
 * Envoy's outlier ejection, and what Hystrix and Polly have.  Pure: the words
 * are the caller's, and may be shared by processes. */
#ifndef BIDE_RULE_BREAKER_H
#define BIDE_RULE_BREAKER_H

#include <stdbool.h>

#include "policy/rules.h"
#include "guard.h"

enum breaker_state { STATE_CLOSED, STATE_OPEN, STATE_HALF_OPEN };

/* A place among those that are let out while it is half open. */
struct probe {
    uint32_t place; /* 1 to PROBES_MAX; 0: none */
    uint64_t word;  /* as claimed: who comes late finds another one there */
};

/* An attempt wants to go out.  True: it may; while half open as a probe.
 * False: *out_until_ns is when to ask again, DURATION_NONE if not known. */
bool breaker_admit(const struct breaker_rules *b, struct guard *g,
                   uint64_t now_ns, struct probe *out_probe,
                   uint64_t *out_until_ns);

/* An attempt ended.  Opens, or closes, the breaker when the rates say so; then
 * g->turned is set. */
void breaker_report(const struct breaker_rules *b, struct guard *g, bool failed,
                    uint64_t took_ns, struct probe probe, uint64_t now_ns);

/* A probe that will not report: its place is free again. */
void breaker_release(const struct guard *g, struct probe probe);

/* Whether an attempt that begins at `then_ns` would be kept in: it is open till
 * later than that, or forced open. */
bool breaker_still_open(const struct breaker_rules *b, const struct guard *g,
                        uint64_t now_ns, uint64_t then_ns);

/* The state as of now, for people: open whose time is over shows as half open.
 * *out_until_ns: while open, its end; else 0. */
enum breaker_state breaker_look(const struct breaker_rules *b,
                                const struct breaker_words *w, uint64_t now_ns,
                                uint64_t *out_until_ns);

/* False: an impossible word, which keeps no call in for long. */
bool breaker_is_sound(const struct breaker_words *w, uint64_t now_ns);

/* Places of a process that is gone are free again. */
void breaker_release_dead(struct guard_rings *r,
                          bool (*is_dead)(uint32_t process));

/* Closed, nothing remembered. */
void breaker_reset(struct guard *g, uint64_t now_ns);

/* A transition that is kept: to which state, and when.  Number 0 is the newest;
 * false when there is none. */
bool breaker_transition(const struct guard_rings *r, uint32_t number,
                        enum breaker_state *out_to, uint64_t *out_realtime_ns);

#endif
