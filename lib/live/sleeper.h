/* Who sleeps between two attempts, for people to see.  A slot past its time,
 * or of a dead process, is free: who is killed leaves nothing behind. */
#ifndef BIDE_LIVE_SLEEPER_H
#define BIDE_LIVE_SLEEPER_H

#include <stdatomic.h>
#include <stdint.h>

#include <bide.h>

struct live;

/* As it stands in the file; 128 bytes. */
struct sleeper_slot {
    /* S, by CAS; 0: free.  Process (22 bits), serial (10), and when it wakes
     * (32, in 2^26 ns, rounded up): one word, so that a claim is one step. */
    _Atomic uint64_t claim;
    _Atomic uint64_t filled; /* S: the claim that the rest belongs to, last */
    _Atomic uint64_t wake_ns;
    _Atomic uint32_t cell;
    _Atomic uint32_t attempts;
    _Atomic uint32_t allowed;
    _Atomic uint32_t pid_space;  /* the namespace that the process is of */
    _Atomic uint64_t program[2]; /* text in words, words.h */
    _Atomic uint64_t outcome[8];
    uint64_t spare;
};

struct sleeper {
    uint32_t cell;
    uint32_t pid;
    uint32_t attempts; /* made so far */
    uint32_t allowed;  /* UINT32_MAX: no limit */
    uint64_t wake_ns;  /* monotonic */
    char outcome[64];  /* name */
    char program[16];  /* comm */
};

/* A slot, or -1 when none was found (the call sleeps all the same). */
int sleeper_enter(struct live *l, uint32_t cell, uint32_t attempts,
                  uint32_t allowed, struct bide_outcome last, uint64_t wake_ns);
/* Slot -1: does nothing; nor with one that another took meanwhile. */
void sleeper_move(struct live *l, int slot, uint32_t allowed, uint64_t wake_ns);
void sleeper_leave(struct live *l, int slot);

/* Slots of processes that died in their sleep, their time not yet past. */
uint32_t sleeper_dead(struct live *l, uint64_t now_ns);

/* Those that sleep now; dead processes and times past are left out.  Ends with
 * the first visit that does not return 0, and returns that; else 0. */
int sleeper_each(struct live *l, uint64_t now_ns,
                 int (*visit)(void *arg, const struct sleeper *s), void *arg);

#endif
