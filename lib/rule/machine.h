/* The call as a state machine, drawn in machine.c.  It does no I/O: each event
 * is passed in with the time (and random draws), and the function returns what
 * the caller must do next.  The only shared state is the guard `g` (the words
 * of budget and breaker, shared by all calls); NULL switches both off. */
#ifndef BIDE_RULE_MACHINE_H
#define BIDE_RULE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include <bide.h>
#include "policy/policy.h"
#include "admit.h"
#include "breaker.h"
#include "budget.h"
#include "hedges.h"
#include "wait.h"

enum machine_says {
    MACHINE_GO,      /* start an attempt; stays until that attempt has ended */
    MACHINE_WAIT,    /* wait until wake_ns, then call machine_due; before the
                        first attempt too */
    MACHINE_REFUSED, /* ended before the first attempt */
    MACHINE_DONE,    /* ended */
};

enum machine_kind { KIND_SUCCESS, KIND_RETRY, KIND_REJECT };

struct machine {
    uint64_t begun_ns;    /* when the call began */
    uint64_t until_ns;    /* its own deadline; 0: only the policy's */
    uint64_t attempt_ns;  /* when the last attempt began */
    uint64_t ended_ns;    /* when the last attempt ended */
    uint64_t wake_ns;     /* WAIT: the end of the wait.  REFUSED: when to ask
                             again, DURATION_NONE if unknown */
    uint64_t own_ns;      /* the policy's own wait now in progress */
    uint64_t reset_ns;    /* when reset_after applied last; 0: never */
    struct growth growth; /* of the own waits */
    double u, v;          /* draws of the wait in progress: wait, spread */
    struct bide_outcome last; /* of the last attempt */
    struct admission has;     /* what it holds while in GO */
    struct hedges *hedges;    /* set by the caller before machine_started, for
                                 a call that may be hedged; else NULL */
    struct place_words *bell; /* out: calls wait for the place it gave back;
                                 the caller wakes one and sets it to NULL */
    uint64_t asked_ns; /* since when it asks to start an attempt; 0: it waits
                          for a retry, or does not wait */
    enum bide_reason waits_for; /* while asked_ns is set: what refuses it */
    bool past_hint; /* an operator woke it: no hint holds its next attempt */
    struct budget_paid paid; /* for the last retry */
    bool has_paid;     /* the wait in progress was charged to the budget */
    bool cancelled;    /* set by the caller: the attempt is the last one */
    uint32_t attempts; /* number of attempts started */
    uint32_t counted;  /* the same, but 1 again after reset_after */
    enum machine_says state;
    enum bide_verdict verdict;
    enum bide_reason reason;
    enum bide_end end;
};

/* Classifies an outcome.  The first match decides, in this order: success_on,
 * never_on, retry_on; then success if the outcome's own domain calls it a
 * success, else reject. */
enum machine_kind machine_classify(const struct policy *p,
                                   struct bide_outcome o);

/* Begins a call.  Returns GO, REFUSED, or WAIT if its rules let it wait for
 * what refuses it. */
enum machine_says machine_begin(struct machine *m, const struct policy *p,
                                struct guard *g, uint64_t now_ns);

/* As machine_begin, for a call with a deadline of its own (0: none).  Returns
 * DONE if that has passed. */
enum machine_says machine_begin_until(struct machine *m, const struct policy *p,
                                      struct guard *g, uint64_t until_ns,
                                      uint64_t now_ns);

/* Records that an attempt starts.  The state must be GO. */
void machine_started(struct machine *m, uint64_t now_ns);

/* Sets that a hedge starts `after_ns` after the attempt that has just started,
 * and returns when to ask for the next one, DURATION_NONE: not at all. */
void machine_hedge_after(struct machine *m, uint64_t after_ns);
uint64_t machine_hedge_ns(const struct machine *m, const struct policy *p);

/* Asks for a hedge: another attempt beside those that run.  Returns true if it
 * starts, and then it is the current one.  It pays the budget as a retry does,
 * is counted by `attempts`, never waits, and is no probe. */
bool machine_hedge(struct machine *m, const struct policy *p, struct guard *g,
                   uint64_t now_ns);

/* Makes attempt `number` the current one, if it runs. */
void machine_pick(struct machine *m, uint32_t number);

/* Returns the number of the current attempt. */
static inline uint32_t
machine_number(const struct machine *m)
{
    return m->hedges ? m->hedges->number : m->attempts;
}

/* Records that the current attempt ended with `o`.  `u` and `v` are the draws
 * for the wait that may follow.  Returns WAIT or DONE; after a failure GO while
 * others run, of which one is then the current one. */
enum machine_says machine_ended(struct machine *m, const struct policy *p,
                                struct guard *g, struct bide_outcome o,
                                uint64_t now_ns, double u, double v);

/* Decides a waiting call again, after the rules or the breaker have changed: as
 * of the end of its last attempt, with the same draws, without charging the
 * budget twice.  Returns WAIT (wake_ns is now_ns or later) or DONE.  Does
 * nothing in any other state. */
enum machine_says machine_changed(struct machine *m, const struct policy *p,
                                  struct guard *g, uint64_t now_ns);

/* Reports that time has passed.  Returns GO when the wait is over, WAIT if
 * something refuses the attempt and may be waited for, DONE or REFUSED if not
 * or if the deadline stops the call, else the unchanged state. */
enum machine_says machine_due(struct machine *m, const struct policy *p,
                              struct guard *g, uint64_t now_ns);

/* Ends a wait early: returns GO, unless the breaker refuses; then the wait goes
 * on.  Else as machine_due. */
enum machine_says machine_woken(struct machine *m, const struct policy *p,
                                struct guard *g, uint64_t now_ns);

/* Cancels the call, in any state; an attempt in progress counts for neither
 * breaker nor budget.  `p` may be NULL for a call without rules. */
enum machine_says machine_cancel(struct machine *m, const struct policy *p,
                                 struct guard *g, uint64_t now_ns);

/* Returns the longest time an attempt that starts now may take, in ns;
 * DURATION_NONE: no limit. */
uint64_t machine_limit_ns(const struct machine *m, const struct policy *p,
                          uint64_t now_ns);

#endif
