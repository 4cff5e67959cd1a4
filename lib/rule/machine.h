/* The call, without I/O: what happens to it is told with the time and a draw,
 * and what to do comes back.  Pure, but for the words of the guard (budget and
 * breaker), which all calls share; NULL: without those. */
#ifndef BIDE_RULE_MACHINE_H
#define BIDE_RULE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include <bide.h>
#include "policy/policy.h"
#include "breaker.h"
#include "budget.h"

enum machine_says {
    MACHINE_GO,      /* start an attempt */
    MACHINE_WAIT,    /* until wake_ns, then machine_due */
    MACHINE_REFUSED, /* ended before the first attempt */
    MACHINE_DONE,    /* ended */
};

enum machine_kind { KIND_SUCCESS, KIND_RETRY, KIND_REJECT };

struct machine {
    uint64_t begun_ns;    /* the call */
    uint64_t attempt_ns;  /* the last attempt's begin */
    uint64_t ended_ns;    /* and end */
    uint64_t wake_ns;     /* MACHINE_WAIT; MACHINE_REFUSED: when to ask again,
                             DURATION_NONE: not known */
    uint64_t own_ns;      /* the own wait in progress */
    uint64_t previous_ns; /* the own wait before the last attempt */
    double u, v;          /* draws of the wait in progress: wait, spread */
    struct bide_outcome last;
    struct probe probe; /* the place of the attempt in progress */
    int64_t paid;       /* for the last retry, thousandths; -1: none */
    bool has_paid;      /* for the wait in progress */
    uint32_t attempts;  /* made so far */
    uint32_t counted;   /* the same, since reset_after applied */
    enum machine_says state;
    enum bide_verdict verdict;
    enum bide_reason reason;
    enum bide_end end;
};

/* success_on before never_on before what its system calls success before
 * retry_on. */
enum machine_kind machine_classify(const struct policy *p,
                                   struct bide_outcome o);

/* GO or REFUSED. */
enum machine_says machine_begin(struct machine *m, const struct policy *p,
                                struct guard *g, uint64_t now_ns);

/* An attempt starts; the caller was told GO. */
void machine_started(struct machine *m, uint64_t now_ns);

/* It ended.  `u`, `v` are the draws for the wait that may follow.  WAIT or
 * DONE. */
enum machine_says machine_ended(struct machine *m, const struct policy *p,
                                struct guard *g, struct bide_outcome o,
                                uint64_t now_ns, double u, double v);

/* The rules, or the breaker, have changed while it waits: decided again as of
 * the end of the last attempt, with the same draws, the budget not charged
 * again.  WAIT (perhaps till a time that is past)
 * or DONE.  In any other state nothing happens. */
enum machine_says machine_changed(struct machine *m, const struct policy *p,
                                  struct guard *g, uint64_t now_ns);

/* Time has passed: GO when the wait is over, DONE when the breaker does not
 * let the retry out, else WAIT. */
enum machine_says machine_due(struct machine *m, const struct policy *p,
                              struct guard *g, uint64_t now_ns);

/* Its program ends it.  `p` may be NULL when it never had rules. */
enum machine_says machine_cancel(struct machine *m, const struct policy *p,
                                 struct guard *g, uint64_t now_ns);

/* How long the attempt that starts now may take; DURATION_NONE: no limit. */
uint64_t machine_limit_ns(const struct machine *m, const struct policy *p,
                          uint64_t now_ns);

#endif
