/* A call in progress: the layout of the opaque part of struct bide_call, and
 * the steps that all drivers are made of (run.c, step.c). */
#ifndef BIDE_CALL_H
#define BIDE_CALL_H

#include "registry/registry.h"
#include "rule/machine.h"

enum call_state {
    CALL_IDLE,    /* ended, or not begun */
    CALL_READY,   /* allowed to start an attempt */
    CALL_ATTEMPT, /* an attempt is in progress */
    CALL_WAITING, /* asleep between two attempts */
};

struct call {
    /* bide_call_cancel reads and writes these from other threads. */
    _Atomic(struct bide_policy *) policy;
    _Atomic uint32_t cancelled;

    /* Only the thread of the call uses the rest. */
    struct rules *rules; /* a reference; NULL until the rules are needed */
    enum call_state state;
    bool exact;                   /* the fields from sleeper_live on are set */
    uint64_t ticks;               /* begin of the attempt */
    const struct bide_work *work; /* owned by the caller; NULL: none */

    /* Set by become_exact, not before: a call that succeeds at once does not
     * use them, and clearing them costs more than the rest of such a call. */
    struct live *sleeper_live; /* the live state that holds its sleeper slot */
    int sleeper;               /* the slot, or -1 */
    uint32_t generation;       /* of the cell, when the rules were last taken */
    bool numbered;
    uint64_t number; /* of its random draws, from the first failure on */
    uint64_t wait_began_ns, slept_ns; /* registry_now_ns; sum of all waits */
    struct machine machine;
};
_Static_assert(sizeof(struct call) <= sizeof((struct bide_call *)0)->opaque,
               "struct call fits into struct bide_call");

static inline struct call *
call_of(struct bide_call *c)
{
    return (struct call *)(void *)c->opaque;
}

/* Reports whether a call with a bit of GATE_SLOW must read the rules, except
 * because of GATE_LOOKS. */
bool call_needs_rules(const struct bide_policy *p, uint32_t gate);
/* Begins a call of `p`; `work` (NULL: none) is stored if the call ends as
 * deferred.  Returns BIDE_GO (CALL_READY), or BIDE_NOT_LET_OUT if it was
 * refused and has ended. */
enum bide_next call_begin(struct bide_call *c, struct bide_policy *p,
                          const struct bide_work *work);
/* Fills c->attempt and starts an attempt of a call in CALL_READY.  Returns
 * false if the call was cancelled; then it has ended. */
bool call_start_attempt(struct bide_call *c);
/* Ends the attempt in progress with `o`.  Returns BIDE_WAIT or BIDE_DONE. */
enum bide_next call_end_attempt(struct bide_call *c, struct bide_outcome o);
/* Begins a call of bide_run after its first attempt, which ran from `ticks` to
 * `end_ticks`, and ends that attempt with `o`.  Returns as call_end_attempt. */
enum bide_next call_adopt(struct bide_call *c, struct bide_policy *p,
                          struct bide_outcome o, uint64_t ticks,
                          uint64_t end_ticks);
/* Decides a waiting call again.  Returns BIDE_GO, BIDE_WAIT or BIDE_DONE. */
enum bide_next call_resume(struct bide_call *c);
/* Sleeps until call_resume returns BIDE_GO or BIDE_DONE, and returns that. */
enum bide_next call_wait(struct bide_call *c);
/* Ends a call that has not ended as cancelled.  Returns BIDE_DONE. */
enum bide_next call_stop(struct bide_call *c);

/* ---- count.c: adds to the counters of this CPU's stripe; any thread ---- */

/* Counts an attempt in the histogram of latencies. */
void count_attempt(struct bide_policy *p, bool succeeded, uint64_t took_ns);
/* Counts a failed attempt by class and by name of its outcome. */
void count_failure(struct bide_policy *p, struct bide_outcome o);
void count_add(struct bide_policy *p, enum counter which, uint64_t by);
/* Counts the verdict of a call that has ended. */
void count_verdict(struct bide_policy *p, const struct machine *m);

#endif
