/* The cell: the live state of one policy and scope.  Part of layout.h. */
#ifndef BIDE_LIVE_GATE_H
#define BIDE_LIVE_GATE_H

#include <stdatomic.h>
#include <stdint.h>

#include "rule/guard.h"

/* The gate: bits in the low 16, above them the commit they are from. */
enum gate {
    GATE_PAUSED = 1,       /* refuse new calls */
    GATE_BREAKER_ON = 2,   /* a success passes it quickly while it is closed */
    GATE_BREAKER_OPEN = 4, /* forced open: refuse new calls */
    GATE_EACH = 8,         /* breaker with a window of calls: each answer has
                              its place there */
    GATE_BUDGET_ON = 16,   /* a success passes it quickly while it is full */
    GATE_MISSING = 32,     /* nobody defined it; calls go on as usual */
    GATE_CLASSIFY = 64,    /* some natural success is a failure here */
    GATE_UNKNOWN = 128,    /* nobody has looked yet */
    GATE_GUARD = GATE_BREAKER_ON | GATE_BUDGET_ON,
    /* a call must look at the rules */
    GATE_SLOW = 0xff & ~(GATE_MISSING | GATE_GUARD | GATE_EACH),
};
#define GATE_BITS(word) ((uint32_t)((word)&0xffff))
#define GATE_TXN(word) ((word) >> 16)

struct cell {
    /* line 0: what every call loads */
    _Atomic uint64_t gate; /* S, O */
    union {
        _Atomic uint64_t limit;    /* S, O: txn (32 bits) and limit, by CAS, so
                                      that a later commit's limit stays */
        _Atomic uint32_t limit_ms; /* its low half: the time limit of a first
                                      attempt, 0: none */
    };
    _Atomic uint32_t generation; /* S, O: bumped at a change; the futex */
    _Atomic uint32_t arrivals;   /* S, O: of work that was put off; a futex */
    uint64_t spare0[5];
    /* line 1 */
    struct budget_words budget; /* S, by CAS */
    /* line 2 */
    struct breaker_words breaker; /* S, by CAS */
    /* line 3: who it is.  Text is kept in words, see words.h. */
    _Atomic uint64_t name[8];  /* C */
    _Atomic uint64_t scope[8]; /* C */
    _Atomic uint64_t hash;     /* C, last: of name and scope */
    _Atomic uint32_t asked_by; /* S: pid of a program that looked it up */
    _Atomic uint32_t version;  /* S: compiled last, 0: none */
    _Atomic uint64_t asked_program[2]; /* S: its comm */
    _Atomic uint32_t scopes;           /* S: of a cell without scope: how many
                                          scopes its policy has */
    _Atomic uint32_t scopes_refused;   /* S: that found no place of their own */
    uint64_t spare3[19];
};

#endif
