/* The cell: the live state of one policy and scope.  Part of layout.h. */
#ifndef BIDE_LIVE_GATE_H
#define BIDE_LIVE_GATE_H

#include <stdatomic.h>
#include <stdint.h>

#include "rule/guard.h"

/* The gate word: the low 24 bits are these, the others the commit they are
 * from.  A cell that nobody uses is retired, and later freed for another name.
 * Its incarnation then counts up, so a handle that was not used meanwhile sees
 * that the cell is not its own any more (call_gate). */
enum gate {
    GATE_PAUSED = 1,       /* refuse new calls */
    GATE_BREAKER_ON = 2,   /* a success is fast while the breaker is closed */
    GATE_BREAKER_OPEN = 4, /* forced open: refuse new calls */
    GATE_EACH = 8,         /* breaker with a window of calls: every answer must
                              be recorded in it */
    GATE_BUDGET_ON = 16,   /* a success is fast while the budget is full */
    GATE_MISSING = 32,     /* the policy is not defined; calls run as usual */
    GATE_CLASSIFY = 64,    /* some success is a failure for the policy, or is
                              ignored by its breaker; or the time limit of
                              attempts does not fit into the cell */
    GATE_UNKNOWN = 128,    /* not yet derived from the registry */
    GATE_RULES = 0xc7f,    /* the bits that follow from a policy */
    GATE_RETIRED = 256,    /* unused for long: the next use takes the bit off */
    GATE_FREED = 512,      /* has no name any more */
    GATE_ENDS = 1024,      /* a temporary change: a call must look at the time
                              first, then, after its end, at the rules */
    GATE_ADMIT = 2048,     /* a limit, rate or hint, or hedges */
    GATE_INCARNATION = 0xfff000,
    GATE_NEXT_INCARNATION = 0x1000,
    GATE_MOVED = GATE_INCARNATION | GATE_FREED, /* not the handle's cell */
    GATE_KEPT = GATE_MOVED | GATE_RETIRED,      /* by a new commit */
    GATE_GUARD = GATE_BREAKER_ON | GATE_BUDGET_ON,
    GATE_LOOKS = 0x1000000, /* only in handles: private live state, where nobody
                               announces changes; calls look at the registry */
    /* With one of these bits, a call must read the rules first. */
    GATE_SLOW = 0x1ffffff & ~(GATE_MISSING | GATE_GUARD | GATE_EACH),
};
#define TXN_MASK 0xffffffffffull
#define GATE_BITS(word) ((uint32_t)((word)&0xffffff))
#define GATE_TXN(word) ((word) >> 24)
#define GATE_WORD(txn, bits) ((uint64_t)(txn) << 24 | GATE_BITS(bits))

struct cell {
    /* line 0: loaded by every call */
    _Atomic uint64_t gate; /* S, O */
    union {
        _Atomic uint64_t limit;    /* S, O: txn (32 bits) and limit, by CAS:
                                      an older commit never replaces it */
        _Atomic uint32_t limit_ms; /* its low half: the time limit of a first
                                      attempt, 0: none */
    };
    _Atomic uint32_t generation; /* S, O: incremented at a change; a futex */
    _Atomic uint32_t arrivals;   /* S, O: of deferred work; a futex */
    _Atomic uint64_t woken_ns;   /* O: the last bide wake, CLOCK_MONOTONIC */
    uint64_t spare0[4];
    /* line 1 */
    struct budget_words budget; /* S, by CAS */
    /* line 2 */
    struct breaker_words breaker; /* S, by CAS */
    /* line 3: identity.  Text is stored in words, see words.h. */
    _Atomic uint64_t name[8];  /* C */
    _Atomic uint64_t scope[8]; /* C */
    _Atomic uint64_t hash;     /* C, last: of name and scope */
    _Atomic uint32_t asked_by; /* S: last process that looked up the policy */
    _Atomic uint32_t marks;    /* S, O: units of marks ever taken, mark.c */
    _Atomic uint64_t asked_program[2]; /* S: comm of that process */
    _Atomic uint32_t scopes;           /* S: without a scope: number of them */
    _Atomic uint32_t scopes_refused;   /* S: scopes beyond SCOPES_MAX,
                                          since one was added */
    _Atomic uint32_t asked_space;      /* S: PID namespace of asked_by */
    _Atomic uint32_t made_by;          /* C: process, who.c */
    _Atomic uint64_t begun;    /* C: CLOCK_REALTIME when it got its name */
    _Atomic uint64_t quiet_ns; /* S, recorder: CLOCK_MONOTONIC since when it is
                                  not used, or retired; 0: used */
    union {
        _Atomic uint64_t counting; /* S, O, by CAS: the version that is counted
                                      for, and above it the newest mark */
        _Atomic uint32_t version;  /* its low half; 0: not defined */
    };
    _Atomic uint32_t next;  /* C, recorder: index + 1 of the next in a chain */
    _Atomic uint32_t parts; /* S: bits of the body's parts that are reserved */
    _Atomic uint64_t snapshot_ns; /* S, O, by CAS: the last, CLOCK_MONOTONIC */
    uint32_t spare3[26];
};

#endif
