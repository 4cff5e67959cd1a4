/* The layout of struct bide_call, and the steps of the drivers run.c, step.c */
#ifndef BIDE_CALL_H
#define BIDE_CALL_H

#include "registry/registry.h"
#include "rule/machine.h"

/* Numbers that are unlikely in memory that nobody set up. */
enum call_state {
    CALL_IDLE = 0,           /* ended, or not begun; any other number too */
    CALL_READY = 0x62696400, /* allowed to start an attempt */
    CALL_ATTEMPT,            /* an attempt is in progress */
    CALL_WAITING,            /* asleep between two attempts */
};

struct call {
    /* For bide_call_cancel in other threads: */
    _Atomic(struct bide_policy *) policy; /* NULL: not in progress */
    _Atomic(struct bide_watch *) watch;   /* while in progress; NULL: none */
    _Atomic uint32_t cancelled;

    /* Only the thread of the call uses the rest. */
    enum call_state state;
    uint64_t serial;        /* of the call, for BIDE_TRY */
    uint64_t deadline_ns;   /* of the caller; 0: none */
    void *data;             /* of the caller */
    struct bide_work *work; /* a copy; NULL: none */
    struct hedges *hedges;  /* of the caller; NULL: no hedges */
    struct bide_result result;
    struct bide_attempt attempt;
    struct rules *rules; /* a reference; NULL until the rules are needed */
    bool exact;          /* the fields from sleeper_live on are set */
    bool in_place;       /* without rules it holds the place in machine.has */
    uint64_t ticks;      /* begin of the attempt */

    /* Set by become_exact; a plain success neither uses nor clears them. */
    struct live *sleeper_live; /* the live state that holds its sleeper slot */
    int sleeper;               /* the slot, or -1 */
    uint32_t generation;       /* of the cell, when the rules were last taken */
    bool numbered;
    uint64_t number; /* of its random draws, from the first failure on */
    uint64_t wait_began_ns, slept_ns; /* registry_now_ns; sum of all waits */
    uint64_t look_ns;                 /* when it looks for changes next */
    uint64_t woken_ns;  /* the last wake that ended a wait, or its begin */
    uint64_t listed_ns; /* the time of waking in the sleeper slot */
    struct machine machine;
};

static inline struct call *
call_of(struct bide_call *c)
{
    return (struct call *)c;
}

static inline bool
call_is_live(const struct call *k)
{
    return (k->state & ~3u) == CALL_READY;
}

static inline bool
call_is_cancelled(const struct call *k)
{
    return load_acquire(&k->cancelled);
}

/* Reports whether a bit of GATE_SLOW asks for rules: not LOOKS, not ADMIT. */
bool call_needs_rules(const struct bide_policy *p, uint32_t gate);
void call_init(struct call *k); /* bide_call_init, but for k->attempt */
/* Begins a call of `p`; abandons one in progress.  `w`: its watch, or NULL.
 * Returns BIDE_GO (CALL_READY), BIDE_WAIT, or BIDE_DONE if refused. */
enum bide_next call_begin(struct call *k, struct bide_policy *p,
                          struct bide_watch *w);
/* Starts an attempt of a call in CALL_READY.  False: it was cancelled. */
bool call_start_attempt(struct call *k);
/* Ends the attempt in progress with `o`.  Returns BIDE_WAIT or BIDE_DONE. */
enum bide_next call_end_attempt(struct call *k, struct bide_outcome o);
/* Begins a call of bide_run after its first attempt, which it then ends. */
enum bide_next call_adopt(struct call *k, struct bide_policy *p,
                          struct bide_outcome o, uint64_t ticks, uint64_t end);
/* Ends a call as cancelled.  Returns BIDE_DONE. */
enum bide_next call_stop(struct call *k);
enum bide_next call_next(const struct call *k); /* what its caller must do */
/* Ends a call that its own attempt has begun again as cancelled. */
void call_lost(struct call *k);
/* Pass the cancellation to the machine; end a call whose machine has ended. */
void call_cancel_machine(struct call *k, uint64_t now_ns);
void call_finish(struct call *k, uint64_t now_ns);

#endif
