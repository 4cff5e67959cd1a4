/* The table of sleepers: waiting calls, listed for operators.  A slot is free
 * once its time is past or its process is dead, so a killed process leaves
 * nothing to repair.  Only the time frees the slot of a process in another PID
 * namespace, whose number means another process here. */
#ifndef BIDE_LIVE_SLEEPER_H
#define BIDE_LIVE_SLEEPER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <bide.h>
#include "live/words/who.h"

struct live;

/* The "cell" of a process that closed its registry while calls ran: `attempts`
 * is their number, it "wakes" this long after the closing.  The time limits
 * what a process in another PID namespace can leave behind. */
#define SLEEPER_CLOSED UINT32_MAX
#define SLEEPER_CLOSED_NS (UINT64_C(7) * 86400 * 1000000000)

/* A slot in the live file; 128 bytes. */
struct sleeper_slot {
    /* S, by CAS; 0: free. Id of the process (22 bits), serial (10) and time of
     * waking (32, in 2^26 ns, rounded up) are in one word, so that one CAS
     * claims the slot. */
    _Atomic uint64_t claim;
    _Atomic uint64_t
        filled; /* S, last: the claim that the other fields are of */
    _Atomic uint64_t wake_ns;
    _Atomic uint32_t cell;
    _Atomic uint32_t attempts;
    _Atomic uint32_t allowed;
    _Atomic uint32_t pid_space;  /* inode of the PID namespace; 0: unknown */
    _Atomic uint64_t program[2]; /* text in words, words.h */
    _Atomic uint64_t outcome[8];
    _Atomic uint32_t pid;       /* in that namespace */
    _Atomic uint32_t waits_for; /* enum bide_reason; 0: its next retry */
};

struct sleeper {
    uint32_t cell;
    uint32_t attempts;          /* number made */
    uint32_t allowed;           /* UINT32_MAX: no limit */
    uint64_t wake_ns;           /* monotonic */
    char outcome[64];           /* name */
    enum bide_reason waits_for; /* what refuses its next attempt; NONE: it waits
                                   for its next retry */
    struct who by;
};

/* Lists a waiting call.  Returns its slot, or -1 if no free slot was found; the
 * call then waits unlisted. */
int sleeper_enter(struct live *l, uint32_t cell, uint32_t attempts,
                  uint32_t allowed, struct bide_outcome last,
                  enum bide_reason waits_for, uint64_t wake_ns);
/* Changes the number of attempts allowed and what the call waits for; removes
 * the call from the table.  Both do nothing for slot -1, or if another process
 * has taken over the slot. */
void sleeper_move(struct live *l, int slot, uint32_t allowed,
                  enum bide_reason waits_for, uint64_t wake_ns);
void sleeper_leave(struct live *l, int slot);

/* Returns the number of slots whose time is not past and whose process is
 * dead. */
uint32_t sleeper_dead(struct live *l, uint64_t now_ns);

/* Visits each call of a live process that waits at now_ns.  Stops at the first
 * visit that returns nonzero, and returns that value; else 0. */
int sleeper_each(struct live *l, uint64_t now_ns,
                 int (*visit)(void *arg, const struct sleeper *s), void *arg);

#endif
