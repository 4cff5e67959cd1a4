/* What all processes share of a policy's budget and breaker: words that are
 * only ever changed by compare-and-swap, so that a process may be stopped or
 * killed at any instruction.  In a cell of the live file, or in a simulation's
 * memory.  Other processes may have written anything there: each reading is
 * bounded, and garbage opens or closes nothing for longer than its time. */
#ifndef BIDE_RULE_GUARD_H
#define BIDE_RULE_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    SLICES = 16, /* of a window of time: what is older is forgotten to
                    within a 16th of it */
    SLICE_SLOTS = 20,
    PROBES_MAX = 32,
    PROCESSES_MAX = 16,
    TRANSITIONS = 8,
    WINDOW_CALLS_MAX = 4096,
};

/* One cache line. */
struct budget_words {
    _Atomic uint64_t tokens;    /* budget.c: tokens, size's serial, time */
    _Atomic uint64_t size;      /* budget.c: serial, size before, size now */
    _Atomic uint64_t size_txn;  /* the commit that the size is from */
    _Atomic uint64_t retries;   /* ratio: let out, ever */
    _Atomic uint64_t next_turn; /* ticks at which the success path must let the
                                   window turn; 0: at once */
    uint64_t spare[3];
};

/* One cache line. */
struct breaker_words {
    _Atomic uint64_t state;     /* breaker.c: state, round, growth, since */
    _Atomic uint32_t run;       /* failures in a row */
    _Atomic uint32_t watched;   /* 1: a success may complete the minimum that
                                   opens it, so each is looked at too */
    _Atomic uint64_t next_turn; /* as above */
    _Atomic uint64_t slow_after_ns; /* the policy's, for the success path; 0:
                                       nothing is slow */
    _Atomic uint64_t calls;         /* window of calls: answers, ever */
    uint64_t spare[3];
};

/* Totals that only grow; a window is the difference of two readings. */
struct tally {
    uint64_t answers; /* attempts that ended, with the guard on */
    uint64_t failed, slow;
    uint64_t calls;   /* first attempts among them */
    uint64_t retries; /* let out by the budget */
};

/* The totals as a slice of time began. */
struct slice {
    _Atomic uint64_t number; /* 0: none; top bit: being written */
    _Atomic uint64_t length_ns;
    _Atomic uint64_t answers, failed, slow, calls, retries;
};
struct series {
    struct slice slot[SLICE_SLOTS];
};

struct transition {
    _Atomic uint64_t to_and_serial; /* breaker.c */
    _Atomic uint64_t realtime_ns;
};

/* At most a page. */
struct guard_rings {
    struct series breaker, budget; /* each by its own window */
    struct slice base;             /* the totals when the breaker closed last */
    _Atomic uint64_t probe[PROBES_MAX];
    _Atomic uint64_t process[PROCESSES_MAX];
    struct transition transition[TRANSITIONS];
    _Atomic uint64_t transitions;
    _Atomic uint64_t opened, closed, half_opened; /* times, ever */
    _Atomic uint64_t budget_refused;              /* retries, ever */
    _Atomic uint64_t bits[WINDOW_CALLS_MAX / 32]; /* a window of calls: two
                                                     bits each, breaker.c */
};

_Static_assert(sizeof(struct budget_words) == 64, "a line");
_Static_assert(sizeof(struct breaker_words) == 64, "a line");
_Static_assert(sizeof(struct guard_rings) <= 4096, "a page");

/* What a call works with.  NULL members: as if that rule were off. */
struct guard {
    struct budget_words *budget; /* the group's, where there is one */
    struct guard_rings *budget_rings;
    struct breaker_words *breaker;
    struct guard_rings *rings;
    /* Totals now: of the policy's own cell, and of the budget's; and adding
     * one attempt to both. */
    void (*tally)(void *arg, struct tally *out);
    void (*budget_tally)(void *arg, struct tally *out);
    void (*count)(void *arg, bool failed, bool slow, bool first);
    void *arg;
    uint64_t txn;     /* the commit that the rules are from */
    uint32_t process; /* this one */
    uint64_t realtime_ns;
    uint32_t turned; /* out: the breaker changed its state by this event */
};

#endif
