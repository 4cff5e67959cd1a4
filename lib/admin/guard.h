/* Budgets and breakers in the live state: read, and reset. */
#ifndef BIDE_ADMIN_GUARD_H
#define BIDE_ADMIN_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "rule/guard.h"
#include "rule/rate.h"

struct admin;
struct policy;

/* Budget and breaker of one policy and scope. */
struct admin_guard {
    int mode;             /* enum breaker_mode: off, on, forced open, closed */
    bool damaged;         /* impossible numbers: calls ignore the breaker */
    int state;            /* enum breaker_state; forced: closed */
    uint64_t open_for_ns; /* while open: time left */
    double held;          /* closed: share of calls that breaker_ramp refuses */
    uint64_t opened;      /* times, since the live state began */
    uint32_t transitions; /* the last ones, newest first */
    struct {
        int to;
        uint64_t realtime_ns;
    } transition[TRANSITIONS];
    bool has_budget;
    bool budget_damaged;
    double budget_level;     /* 0..1: filled (tokens), left (ratio) */
    uint64_t budget_refused; /* retries, since the live state began */
    uint32_t places_used;    /* of the limit */
    bool has_rate;
    struct rate_look rate;
    uint64_t held_ns; /* how long a server's wait still holds all calls */
    /* Totals of attempts since the live state began, of this policy and scope
     * also where a group shares the limit or the rate. */
    bool has_limits; /* a limit, a rate, a wait for all calls, or hedges */
    uint64_t by_limit, by_rate, by_hint; /* that these refused */
    uint64_t asked;                      /* that waited before they started */
    uint64_t hedges, hedges_won;
};
/* Reports whether a policy has a limit, a rate, a wait for all calls, or
 * hedges. */
bool admin_has_limits(const struct policy *p);

/* Always fills `out`; `p` has the rules.  `scope` "" is none. */
void admin_guard(struct admin *a, const struct policy *p, const char *name,
                 const char *scope, struct admin_guard *out);

/* Close the breaker; fill the budget; fill the rate's bucket, forget the rate
 * that was learned, and end a server's wait that holds all calls.
 * BIDE_ENOPOLICY: no process uses it. `scope` "" is none.  `p` has the rules:
 * the budget of a group is shared. */
int admin_reset_breaker(struct admin *a, const char *name, const char *scope);
int admin_reset_budget(struct admin *a, const struct policy *p,
                       const char *name, const char *scope);
int admin_reset_limit(struct admin *a, const struct policy *p, const char *name,
                      const char *scope); /* frees all places */
int admin_reset_rate(struct admin *a, const struct policy *p, const char *name,
                     const char *scope);

#endif
