/* The state of a policy's budget and breaker that all processes share.  It is
 * in a cell of the live file, or in the memory of a simulation.  Its words are
 * changed only by single atomic operations, so a process may be stopped or
 * killed at any instruction.  Other processes may have written anything into
 * it: each reading is bounds-checked, and garbage opens or closes nothing for
 * longer than the policy's own times. */
#ifndef BIDE_RULE_GUARD_H
#define BIDE_RULE_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/boot.h"

struct rate_words;
struct hint_words;
struct place_words;

enum {
    SLICES = 16, /* in a window of time, whose length is exact to 1/16 */
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
    _Atomic uint64_t size_txn;  /* the commit that set size and refill */
    _Atomic uint64_t retries;   /* ratio: total of granted retries */
    _Atomic uint64_t next_turn; /* ticks at which the success path must call
                                   window_turn; 0: at once */
    _Atomic uint32_t refill[4]; /* budget.c: one for each serial of the size */
    uint64_t spare;
};

/* One cache line. */
struct breaker_words {
    _Atomic uint64_t state;     /* breaker.c: state, round, growth, since */
    _Atomic uint32_t run;       /* failures in a row */
    _Atomic uint32_t watched;   /* 1: a success may complete the minimum number
                                   of calls, so each one is judged too */
    _Atomic uint64_t next_turn; /* as above */
    _Atomic uint64_t slow_after_ns; /* copy of the policy's, for the success
                                       path; 0: nothing is slow */
    _Atomic uint64_t calls;         /* window of calls: total of answers */
    _Atomic uint64_t use;  /* breaker.c: whether the rules use it, 0: unknown */
    _Atomic uint64_t left; /* breaker.c: when it left the closed state */
    _Atomic uint64_t ramp; /* breaker.c: calls to let out after closing */
};

enum { TOTALS = 3, TOTAL_RETRIES = 2 };

/* Totals that only grow; a window is the difference of two readings. */
struct tally {
    union {
        uint64_t total[TOTALS];
        struct { /* of a breaker: attempts that ended, and that count for it */
            uint64_t answers, failed, slow;
        };
        struct {              /* of a budget */
            uint64_t calls;   /* first attempts that ended */
            uint64_t earned;  /* calls that succeeded */
            uint64_t retries; /* granted */
        };
    };
};

/* How an attempt ended, as a set of bits. */
enum ended {
    ENDED_AGAIN = 1,    /* it was a retry */
    ENDED_FAILED = 2,   /* it may be retried */
    ENDED_REJECTED = 4, /* it is never retried */
    ENDED_SLOW = 8,
    ENDED_IGNORED = 16, /* by the breaker */
};

/* The totals at the beginning of a slice of time. */
struct slice {
    _Atomic uint64_t number; /* 0: none; top bit: being written */
    _Atomic uint64_t length_ns;
    _Atomic uint64_t total[TOTALS];
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
    struct series breaker, budget; /* each with its own window */
    struct slice base;             /* totals when the breaker last closed */
    /* Of the half-open state, breaker_probes.c. */
    _Atomic uint64_t round, longest;
    _Atomic uint64_t probe[PROBES_MAX];
    _Atomic uint64_t process[PROCESSES_MAX];
    struct transition transition[TRANSITIONS];
    _Atomic uint64_t transitions;
    _Atomic uint64_t opened, closed, half_opened; /* totals */
    _Atomic uint64_t budget_refused;              /* total of retries */
    _Atomic uint64_t bits[WINDOW_CALLS_MAX / 32]; /* a window of calls: two
                                                     bits each, window.c */
    _Atomic uint64_t holder[PROBES_MAX]; /* of each probe, breaker_probes.c */
};

_Static_assert(sizeof(struct budget_words) == 64, "a line");
_Static_assert(sizeof(struct breaker_words) == 64, "a line");
_Static_assert(sizeof(struct guard_rings) <= 4096, "a page");

/* The budget, breaker and limits of one call.  A NULL member switches its rule
 * off. */
struct guard {
    struct budget_words *budget; /* of the budget's group, if it has one */
    struct guard_rings *budget_rings;
    struct breaker_words *breaker;
    struct guard_rings *rings;
    /* Reads the current totals of the policy's own breaker, and of its
     * budget except the retries. */
    void (*tally)(void *arg, struct tally *out);
    void (*budget_tally)(void *arg, struct tally *out);
    /* Adds one attempt to both totals; `how` are bits of enum ended. */
    void (*count)(void *arg, uint32_t how);
    void *arg;
    struct rate_words *rate;      /* of the group, if it has one */
    struct hint_words *hint;      /* of policy and scope */
    struct place_words *places;   /* of the group, if it has one; its places */
    _Atomic uint64_t *slots;      /* are these words */
    uint32_t owner;               /* the word of this process in a place */
    bool waited, watched, beside; /* place.h */
    bool (*is_gone)(void *arg, uint32_t owner);
    uint64_t txn;        /* the commit of the rules */
    struct process self; /* of the caller */
    uint64_t realtime_ns;
    uint32_t turned; /* out: incremented when the breaker changes its state */
};

#endif
