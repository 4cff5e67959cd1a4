/* The format of history.mdb, for recorders and readers.
 *
 *   names    'c' policy NUL scope    -> u32 id, u32 day of its last recording
 *            'o' outcome             -> the same; cells and outcomes share ids
 *   base     be32 id                 -> totals at the last recording, and at
 *                                       the beginning of its hour
 *   minutes  be64 end, be16 part     -> block: counts from the recording before
 *                                       until `end`
 *   hours    be64 end, be16 part     -> block: counts of a completed hour
 *   state    'm'                     -> struct history_state
 *            'n' policy              -> its level, and since when
 *            'e' be64 when, be32 id, be16 number -> event
 *
 * An interval belongs to the hour in which it ends, so hours and minutes hold
 * the same counts, and adjacent ranges add up to the range of both.  Names are
 * stored once and blocks hold many cells, to keep the file small: with 1,000
 * policies at 2 calls a minute each it takes 0.96 GiB after a year (measured by
 * tests/bench), and --keep-size, 1 GiB by default, bounds it.
 *
 * Values are sealed (store/file/seal.h).  A block: format u8, begin u64, end
 * u64, then for each cell: its id as the difference to the id before plus one
 * (LEB128, the sign in the lowest bit), version, length (LEB128 both), and
 * `length` bytes of figures.
 * A base: begun u64 (of the cell, layout.h: a cell with another one begins at
 * 0), version u32, length u32, `length` bytes of figures, and the figures at
 * the beginning of the hour.  An event: kind u8, from u8, to u8, words. */
#ifndef BIDE_STORE_HISTORY_FORM_H
#define BIDE_STORE_HISTORY_FORM_H

#include <bide.h>
#include "base/duration.h"
#include "figures.h"
#include "history_known.h"

enum {
    HISTORY_FORMAT = 3,
    HISTORY_OLDER = 2, /* without whole calls: is read, and recorded into */
    HISTORY_GAPS = 8,
    BLOCK_HEADER = 1 + 8 + 8,
    /* Two fit into a page of LMDB, key and checksum included. */
    BLOCK_ROOM = 2000,
    BLOCK_KEY = 8 + 2,
    EVENT_KEY = 1 + 8 + 4 + 2,
    ENTRY_MAX = FIGURES_BYTES + 16,
    BASE_HEADER = 8 + 4 + 4,
    BASE_MAX = 2 * FIGURES_BYTES + BASE_HEADER,
    NAME_KEY_MAX = 1 + 2 * (BIDE_NAME_MAX + 1) + 64,
};

/* Time between two recordings in which nobody recorded. */
struct history_gap {
    uint64_t end_ns, length_ns; /* length 0: none */
};

struct history_state {
    uint32_t format, next_id;
    uint64_t commit;        /* the transaction's own number */
    uint64_t live_begun_ns; /* the live state that was recorded last */
    uint8_t live_boot[16];
    uint64_t last_ns;         /* the last recording, recording_line.h */
    uint64_t hour_from_ns;    /* begin of the first interval of its hour */
    uint64_t minutes_from_ns; /* minutes that end later are kept */
    uint64_t hours_from_ns;   /* hours that end later are kept */
    uint64_t lost;            /* cells that lost counts by a damaged base */
    uint64_t unreadable; /* records and pages lost when a file was rescued */
    uint64_t flags;
    uint64_t every_ns;    /* the interval of its recorder */
    uint8_t registry[16]; /* zeros: not known yet */
    uint64_t newest_ns;   /* the latest time of any recording */
    uint64_t boottime_ns; /* CLOCK_BOOTTIME of the last recording; 0: none */
    uint64_t offset_ns;   /* added to it */
    int64_t jump_ns;      /* how far the clock is ahead of the sum */
    /* When a live state began anew within its boot, and the time before since
     * the last recording of the one before it; or history_known.h. */
    uint64_t anew_ns, anew_lost_ns;
    struct history_gap gap[HISTORY_GAPS]; /* the oldest first */
    struct history_changes changes;
    uint64_t told_ns; /* until then transitions of breakers were told */
};
_Static_assert(sizeof(struct history_state) == 456, "no gaps");
enum { STATE_LEAST = offsetof(struct history_state, changes) };

enum history_flags {
    HISTORY_BASES_LOST = 1, /* some bases are lost: a cell without one may have
                               been recorded before */
    HISTORY_LIVE_LOST = 2,  /* live_begun_ns and live_boot are lost */
    HISTORY_REMADE = 4,     /* an earlier file is gone; nothing is recorded */
};

/* The names of its databases. */
enum { NAMES, BASE, MINUTES, HOURS, STATE, HISTORY_DATABASES };
extern const char *const history_databases[HISTORY_DATABASES];

/* Returns the end of the hour with `ns`; an hour includes its end. */
static inline uint64_t
hour_end(uint64_t ns)
{
    return (ns / HOUR_NS + (ns % HOUR_NS != 0)) * HOUR_NS;
}

/* Functions with a key as output return its length. */
size_t form_block_key(uint64_t end_ns, uint32_t part, uint8_t *out);
/* Returns the end in the key of a block; 0 if it is no such key. */
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

/* Writes an entry of at most ENTRY_MAX bytes and returns its length.  `before`
 * is the id of the entry before, 0 at the beginning of a block. */
size_t form_put_entry(const struct form_entry *e, uint32_t before,
                      uint8_t *out);
void form_put_header(uint64_t begin_ns, uint64_t end_ns, uint8_t *out);

/* An unsealed block, read entry by entry. */
struct form_block {
    uint64_t begin_ns, end_ns;
    const uint8_t *at, *end;
    uint32_t last_id;
    bool bad; /* the rest is damaged */
};
/* Begins reading a block; returns false if it is damaged. */
bool form_block_open(const uint8_t *bytes, size_t length,
                     struct form_block *out);
/* Reads the next entry; returns false at the end, or with b->bad at damage. */
bool form_block_next(struct form_block *b, struct form_entry *out);

struct form_base {
    uint64_t begun;
    uint32_t version;
    const uint8_t *now, *hour;
    size_t now_length, hour_length;
};
bool form_base_read(const uint8_t *value, size_t length, struct form_base *out);

#endif
