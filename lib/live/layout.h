/* What lies where in the live file.  Little-endian, 64 bit; offsets only.
 *
 *          0  header     one page
 *       4096  sleepers   SLEEPER_SLOTS x 128
 *     528384  directory  DIRECTORY_WORDS x 8: tag (32 bits) and index + 1 of a
 *                        cell; by linear probing from the hash of name and
 *                        scope; filled by CAS, never emptied
 *    2686976  cells      CELL_MAX x 512, dense: what calls and announcers read
 *   69795840  bodies     CELL_MAX x BODY_SIZE, sparse: stripes of counters,
 *                        outcomes, and room for a ring of snapshots
 * 10270343168  the end
 *
 * Example: the word of policy "payments" without a scope, whose hash is
 * 0x1122334455667788 and whose cell is the third (index 2), stands in the
 * directory at 0x55667788 % DIRECTORY_WORDS = 161672, or after it, and is
 * 0x1122334400000003.  Its cell starts at 2686976 + 2 * 512, its body at
 * 69795840 + 2 * 77824.
 *
 * Each field says who writes it: F the one that makes the file, C the one that
 * makes the cell, S any service, O an operator's command. */
#ifndef BIDE_LIVE_LAYOUT_H
#define BIDE_LIVE_LAYOUT_H

#include <stdatomic.h>
#include <stdint.h>

#define LIVE_MAGIC 0x6576696c65646962ull /* "bidelive" */
enum {
    LIVE_FORMAT = 2,
    STRIPE_MAX = 8,
    CELL_MAX = 131072,
    DIRECTORY_WORDS = 262144,
    SLEEPER_SLOTS = 4096,
    CELL_OUTCOMES = 31,
    BODY_SIZE = 77824,  /* 19 pages */
    LIVE_ALIGN = 65536, /* the largest page of the machines we know */
};

/* Up to LIVE_CELLS all of it is reserved when the file is made. */
#define LIVE_SLEEPERS 4096ull
#define LIVE_DIRECTORY (LIVE_SLEEPERS + SLEEPER_SLOTS * 128ull)
#define LIVE_CELLS 2686976ull
#define LIVE_BODIES (LIVE_CELLS + CELL_MAX * 512ull)
#define LIVE_SIZE (LIVE_BODIES + (uint64_t)CELL_MAX * BODY_SIZE)

struct live_header {
    uint64_t magic;                 /* F, last */
    uint32_t format;                /* F */
    uint32_t header_size;           /* F: sizeof(struct live_header) */
    uint32_t cell_size;             /* F */
    uint32_t body_size;             /* F */
    uint32_t cell_max;              /* F */
    uint32_t directory_words;       /* F */
    uint32_t sleeper_slots;         /* F */
    uint32_t stripes;               /* F */
    uint8_t registry_id[16];        /* F */
    uint8_t boot_id[16];            /* F: zeros where it is not known */
    uint64_t tick_mult;             /* F: clock.h */
    uint64_t begun_ns;              /* F: CLOCK_REALTIME */
    _Atomic uint32_t cells_used;    /* S: next free index */
    _Atomic uint32_t cells_refused; /* S: cells for which no place was left */
    _Atomic uint32_t rings;         /* S, O */
    _Atomic uint32_t trouble;       /* S: a BIDE_E code, negated: the last look
                                       at the registry by a service failed */
    _Atomic uint64_t trouble_ns;    /* S: when (CLOCK_REALTIME) */
    _Atomic uint64_t pages_refused; /* S: stripes for which no space was left */
    _Atomic uint64_t told;          /* S, O: the commit announced last */
    uint64_t inode; /* F, and S of a copy: the file up to LIVE_CELLS is
                       reserved if this is its number */
};

#include "body.h"
#include "gate.h"

#endif
