/* How history.mdb looks, for those who write it and those who read it.
 *
 *   names    'c' policy NUL scope    -> u32 id, u32 day it was recorded last
 *            'o' outcome             -> the same, ids from the same numbers
 *   base     be32 id                 -> what was counted until the last
 *                                       recording, and until its hour began
 *   minutes  be64 end, be16 part     -> block: what was counted till `end`,
 *                                       since the recording before
 *   hours    be64 end, be16 part     -> block: the same of an hour that is over
 *   state    'm'                     -> struct history_state
 *            'n' policy              -> its level, and since when
 *            'e' be64 when, be32 id, be16 number -> event
 *
 * An interval belongs to the hour in which it ends, so hours and minutes hold
 * the same counts, and ranges that meet add up to the range of both.  Names are
 * stored once and blocks hold many cells, to keep the file small: with 1,000
 * policies at 2 calls a minute each it takes 0.96 GiB after a year (measured by
 * tests/bench), and --keep-size, 1 GiB by default, bounds it.
 *
 * Values are sealed (record.h).  A block: format u8, begin u64, end u64, then
 * for each cell: how far its id is from the next one (LEB128, its sign in the
 * lowest bit), version, length, and that many bytes of figures.
 * A base: version u32, length u32, that many bytes of figures, and the figures
 * at the beginning of the hour.  An event: kind u8, from u8, to u8, words. */
#ifndef BIDE_STORE_HISTORY_FORM_H
#define BIDE_STORE_HISTORY_FORM_H

#include <bide.h>
#include "figures.h"

#define HISTORY_FILE "history.mdb"
#define HISTORY_DAMAGED HISTORY_FILE ".damaged"
#define HOUR_NS UINT64_C(3600000000000)
#define DAY_NS (24 * HOUR_NS)

enum {
    HISTORY_FORMAT = 1,
    BLOCK_HEADER = 1 + 8 + 8,
    /* Two to a page of LMDB's, key and checksum included. */
    BLOCK_ROOM = 2000,
    BLOCK_KEY = 8 + 2,
    EVENT_KEY = 1 + 8 + 4 + 2,
    ENTRY_MAX = FIGURES_BYTES + 16,
    BASE_MAX = 2 * FIGURES_BYTES + 8,
    NAME_KEY_MAX = 1 + 2 * (BIDE_NAME_MAX + 1) + 64,
};

struct history_state {
    uint32_t format, next_id;
    uint64_t commit;        /* the transaction's own number */
    uint64_t live_begun_ns; /* which live state was recorded last */
    uint8_t live_boot[16];
    uint64_t last_ns;         /* when (CLOCK_REALTIME) */
    uint64_t hour_from_ns;    /* begin of the first interval of that hour */
    uint64_t minutes_from_ns; /* minutes that end later are there */
    uint64_t hours_from_ns;   /* and hours */
    uint64_t lost;            /* cells whose base was damaged */
    uint64_t unreadable;      /* records and pages, when others were rescued */
    uint64_t flags;
};
_Static_assert(sizeof(struct history_state) == 96, "no gaps");

enum history_flags {
    HISTORY_BASES_LOST = 1, /* some: what has none is not new for that */
    HISTORY_LIVE_LOST = 2,  /* nor is it known which live state it was */
};

/* The end of the hour that `ns` falls into; the hour's own end is in it. */
static inline uint64_t
hour_end(uint64_t ns)
{
    return (ns / HOUR_NS + (ns % HOUR_NS != 0)) * HOUR_NS;
}

size_t form_block_key(uint64_t end_ns, uint32_t part, uint8_t *out);
/* 0: it is no key of a block. */
uint64_t form_block_end(const void *key, size_t length);
size_t form_event_key(uint64_t when_ns, uint32_t id, uint32_t number,
                      uint8_t *out);
size_t form_name_key(char kind, const char *name, const char *scope,
                     uint8_t *out);
size_t form_id_key(uint32_t id, uint8_t *out);

struct form_name {
    uint32_t id, day; /* days since 1970 */
};
_Static_assert(sizeof(struct form_name) == 8, "no gaps");

struct form_entry {
    uint32_t id, version;
    const uint8_t *bytes;
    size_t length;
};

/* Fits ENTRY_MAX; gives the length.  `before`: the id of the entry before, 0
 * at the block's begin. */
size_t form_put_entry(const struct form_entry *e, uint32_t before,
                      uint8_t *out);
void form_put_header(uint64_t begin_ns, uint64_t end_ns, uint8_t *out);

/* An unsealed block, read entry by entry. */
struct form_block {
    uint64_t begin_ns, end_ns;
    const uint8_t *at, *end;
    uint32_t last_id;
    bool bad; /* its rest can not be read */
};
bool form_block_open(const uint8_t *bytes, size_t length,
                     struct form_block *out);
bool form_block_next(struct form_block *b, struct form_entry *out);

struct form_base {
    uint32_t version;
    const uint8_t *now, *hour;
    size_t now_length, hour_length;
};
bool form_base_read(const uint8_t *value, size_t length, struct form_base *out);

#endif
