/* The layout of the live file.  Little-endian, 64 bit; offsets, no pointers.
 *
 *          0  header     one page
 *       4096  sleepers   SLEEPER_SLOTS x 128
 *     528384  directory  DIRECTORY_WORDS x 8: a hash table of cells; each word
 *                        is the serial number of changes (32 bits) and the
 *                        index + 1 of the first of a chain, linked by `next`
 *    2686976  cells      CELL_MAX x 512, dense: read by calls and announcements
 *   69795840  bodies     CELL_MAX x BODY_SIZE, sparse: stripes of counters,
 *                        outcomes, the rings of budget and breaker, whole
 *                        calls, declared rules, limits
 * 13491568640 marks      CELL_MAX x MARKS_SIZE, sparse: counts at version ends
 * 19934019584 snapshots  CELL_MAX x 4096, sparse: counts in the last minute
 * 20470890496 processes  PROCESS_ROWS x 4096, sparse: process.h
 * 20487667712 end
 *
 * Example: policy "payments" without a scope has the hash 0x1122334455667788
 * and the third cell (index 2).  The low half of the word at position
 * 0x1122334455667788 % DIRECTORY_WORDS = 161672 of the directory is 3, or leads
 * to a cell whose chain has it.  Its cell begins at 2686976 + 2 * 512, its body
 * at 69795840 + 2 * 102400.
 *
 * A letter tells which process writes a field: F the one that makes the file, C
 * the one that makes the cell, S any service, O an operator's command. */
#ifndef BIDE_LIVE_LAYOUT_H
#define BIDE_LIVE_LAYOUT_H

#include <stdatomic.h>
#include <stdint.h>

#define LIVE_MAGIC 0x6576696c65646962ull /* "bidelive" */
enum {
    LIVE_FORMAT = 8,
    STRIPE_MAX = 8,
    CELL_MAX = 131072,
    DIRECTORY_WORDS = 262144,
    SLEEPER_SLOTS = 4096,
    CELL_OUTCOMES = 31,
    DECLARED_WORDS = 507,
    BODY_SIZE = 102400, /* 25 pages */
    MARKS_SIZE = 49152, /* 12 pages */
    LIVE_ALIGN = 65536, /* the largest page of the machines we know */
};

/* Everything before LIVE_CELLS is reserved when the file is made. */
#define LIVE_SLEEPERS 4096ull
#define LIVE_DIRECTORY (LIVE_SLEEPERS + SLEEPER_SLOTS * 128ull)
#define LIVE_CELLS 2686976ull
#define LIVE_BODIES (LIVE_CELLS + CELL_MAX * 512ull)
#define LIVE_MARKS (LIVE_BODIES + (uint64_t)CELL_MAX * BODY_SIZE)
#define LIVE_SNAPSHOTS (LIVE_MARKS + (uint64_t)CELL_MAX * MARKS_SIZE)
#define LIVE_PROCESSES (LIVE_SNAPSHOTS + CELL_MAX * 4096ull)
#define LIVE_SIZE (LIVE_PROCESSES + PROCESS_ROWS * 4096ull)

struct live_header {
    uint64_t magic;                  /* F, last */
    uint32_t format;                 /* F */
    uint32_t header_size;            /* F: sizeof(struct live_header) */
    uint32_t cell_size;              /* F */
    uint32_t body_size;              /* F */
    uint32_t cell_max;               /* F */
    uint32_t directory_words;        /* F */
    uint32_t sleeper_slots;          /* F */
    uint32_t stripes;                /* F */
    uint8_t registry_id[16];         /* F */
    uint8_t boot_id[16];             /* F: zeros if unknown */
    uint64_t tick_mult;              /* F: clock.h */
    uint64_t begun_ns;               /* F: CLOCK_REALTIME */
    _Atomic uint32_t cells_used;     /* S: next free index */
    _Atomic uint32_t cells_refused;  /* S: without space, since one was made */
    _Atomic uint32_t rings;          /* S, O: number of calls of live_ring */
    _Atomic uint32_t trouble;        /* S: -BIDE_E of the last failed reading */
    _Atomic uint64_t trouble_ns;     /* S: its time (CLOCK_REALTIME) */
    _Atomic uint64_t pages_refused;  /* S: parts, since one got space */
    _Atomic uint64_t announced_txn;  /* S, O: the last commit announced */
    _Atomic uint64_t free;           /* C, recorder: the chain of free cells, as
                                        in the directory */
    _Atomic uint64_t marks_refused;  /* S, O, recorder: lost marks */
    _Atomic uint64_t shares_refused; /* S: cells beyond a process's share */
    uint64_t inode; /* F, or S in a copy of the file: if it is the inode number
                       of this file, everything before LIVE_CELLS is reserved */
    _Atomic uint64_t newest_txn;     /* S, O: followed; MAX: announce.h */
    _Atomic uint64_t newest_version; /* S: the highest counted for */
    _Atomic uint64_t recorded_ns;    /* recorder: its last CLOCK_BOOTTIME */
};

#include "body.h"
#include "gate.h"

#endif
