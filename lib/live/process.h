/* The table of processes: a row for each process that looks up policies in the
 * live file.  A process claims its row by a lock (fcntl) on one byte of a small
 * file beside the live file, and then counts up the row's generation.  The
 * kernel removes the lock when the process ends or calls exec, in whichever PID
 * namespace it is; a forked child has none and claims a row of its own.
 *
 * The kernel also removes it when the process closes any descriptor of that
 * file, so a process opens the file once for all its registries.  A program
 * that closes all its descriptors loses its row until the next check. */
#ifndef BIDE_LIVE_PROCESS_H
#define BIDE_LIVE_PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "live/words/who.h"

struct live;

#define PROCESS_FILE ".alive" /* after the path of the live file */
enum { PROCESS_ROWS = 4096, PROCESS_ASKS = 1008, GENERATION_BITS = 19 };

/* One page, read and written as a file. Only the process that holds the lock
 * writes it. */
struct process_row {
    uint32_t generation;
    uint32_t pid, space;         /* its number in this PID namespace */
    uint32_t asks;               /* number; more than PROCESS_ASKS: not all are
                                    in the row */
    uint64_t begun_ns;           /* CLOCK_REALTIME of the claim */
    _Atomic uint64_t program[2]; /* words.h */
    uint64_t spare[3];
    uint32_t ask[PROCESS_ASKS]; /* process.c: cells */
};

/* The owner of what a process holds: a row and its generation in one word. */
#define OWNER_WORD(row, generation) \
    (1u << 31 | (uint32_t)(row) << GENERATION_BITS | (generation))
#define OWNER_ROW(word) ((word) >> GENERATION_BITS & 0xfff)
#define OWNER_GENERATION(word) ((word) & ((1u << GENERATION_BITS) - 1))

/* What a process has in the table through one live state. */
struct process_use {
    struct process_file *file; /* under its lock, as are the next fields */
    struct live *next;         /* of those that use the file */
    uint64_t claimed_ns;       /* CLOCK_REALTIME */
    uint64_t checked_ns;
    _Atomic uint64_t owner; /* id of the process, and its owner word */
    uint32_t asks, ask[PROCESS_ASKS];
};

/* Returns the owner word of this process, which claims a row if it has none; 0:
 * there is none for it (private live state, no right to write, all are taken).
 * Takes a few ns after the first time. */
uint32_t live_owner(struct live *l);

/* Claims a row again if this process has lost its own; no more often than every
 * few seconds, unless it `must`. */
void live_check_owner(struct live *l, bool must);

/* Reports whether the process that claimed this generation of a row runs; true
 * if that cannot be known. */
bool live_process_alive(struct live *l, uint32_t row, uint32_t generation);

/* Gives up what process_use has, for live_close. */
void live_leave_processes(struct live *l);

/* Records until live_close that this process asks for a cell. */
void live_ask(struct live *l, uint32_t index);

struct live_process {
    struct who by;
    uint32_t row, generation;
    uint64_t begun_ns; /* CLOCK_REALTIME */
    bool perhaps;      /* it asks for more cells than its row can hold, and
                          this one is not among those it holds */
};
/* Visits the processes that run and ask for a cell, or may do so; UINT32_MAX:
 * all processes.  Stops at the first visit that returns nonzero, and returns
 * that value; else 0, or BIDE_E if the table cannot be read. */
int live_asking(struct live *l, uint32_t index,
                int (*visit)(void *arg, const struct live_process *p),
                void *arg);

#endif
