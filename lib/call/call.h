/* A call in progress: what lies in the opaque part of struct bide_call, and the
 * steps all drivers are made of. */
#ifndef BIDE_CALL_H
#define BIDE_CALL_H

#include "registry/registry.h"
#include "rule/machine.h"

enum call_state {
    CALL_IDLE,  /* ended, or never begun */
    CALL_READY, /* let out; its attempt has not started yet */
    CALL_ATTEMPT,
    CALL_WAITING,
};

struct call {
    /* What bide_call_cancel reads and writes, from other threads. */
    _Atomic(struct bide_policy *) policy;
    _Atomic uint32_t cancelled;

    /* The rest is the call's own thread's. */
    struct rules *rules; /* held from the first failure on */
    enum call_state state;
    bool told_outcome;            /* BIDE_TRY: the block said how it went */
    bool exact;                   /* what follows `ticks` is in use */
    uint64_t ticks;               /* the attempt's begin */
    const struct bide_work *work; /* the caller's; NULL: none */

    /* Not touched while all goes well: clearing it costs more than the rest of
     * such a call. */
    struct live *bed;    /* where its sleeper's slot is */
    int sleeper;         /* slot, or -1 */
    uint32_t generation; /* of the cell, at the last look at the rules */
    bool numbered;
    uint64_t number; /* of its draws, from the first failure on */
    uint64_t wait_began_ns, slept_ns;
    struct machine machine;
};
_Static_assert(sizeof(struct call) <= sizeof((struct bide_call *)0)->opaque,
               "struct bide_call has room for it");

static inline struct call *
call_of(struct bide_call *c)
{
    return (struct call *)(void *)c->opaque;
}

/* What to look at before and after an attempt, the program's own rules
 * included. */
static inline uint32_t
call_gate(const struct bide_policy *p, const struct cell *cell)
{
    return GATE_BITS(atomic_load_explicit(&cell->gate, memory_order_acquire)) |
           atomic_load_explicit(&p->local_gate, memory_order_relaxed);
}

/* Begins: CALL_READY, or ended as refused. */
enum bide_next call_begin(struct bide_call *c, struct bide_policy *p);
/* The same, with work that is put off when it does not succeed. */
enum bide_next call_begin_with(struct bide_call *c, struct bide_policy *p,
                               const struct bide_work *work);
/* Fills c->attempt and starts the clock. */
void call_start_attempt(struct bide_call *c);
/* WAIT or DONE. */
enum bide_next call_end_attempt(struct bide_call *c, struct bide_outcome o);
/* A first attempt that ran without a struct bide_call failed, or had no plain
 * success: from here on there is one.  `ticks` are its begin and end. */
enum bide_next call_adopt(struct bide_call *c, struct bide_policy *p,
                          struct bide_outcome o, uint64_t ticks,
                          uint64_t end_ticks);
/* While it waits: GO, WAIT or DONE. */
enum bide_next call_look(struct bide_call *c);
/* Sleeps until call_look says something else. */
enum bide_next call_wait(struct bide_call *c);
enum bide_next call_stop(struct bide_call *c); /* as cancelled */

/* ---- count.c ---- */

void count_attempt(struct bide_policy *p, bool succeeded, uint64_t took_ns);
void count_failure(struct bide_policy *p, struct bide_outcome o);
void count(struct bide_policy *p, enum counter which, uint64_t by);
/* The verdict of a call that has ended. */
void count_verdict(struct bide_policy *p, const struct machine *m);

#endif
