/* The records of deferred.mdb: one database, "work", so that a change touches
 * few pages.
 *
 *   'a'                                     -> meta: format, boot, next id
 *   'c' policy                              -> counts
 *   'h' be64 id                             -> head, and a short payload
 *   'i' policy NUL state be64 time be64 id  -> nothing: the place
 *   'j'                                     -> its journal, the last batch
 *   'k' policy NUL key                      -> id
 *   'l' be64 number                         -> a change by hand: log.c
 *   'p' be64 id                             -> a payload that is not short
 *
 * Heads and payloads are the truth.  The index, the keys and the current counts
 * can be made from the heads again; the total counts and the log cannot.  The
 * time in the index is when work is due (waiting), when its lease ends (leased)
 * or 0 (dead).  Every value begins with a checksum of key and value, made by
 * seal_write.  The checksum of a payload covers only the payload, so that a
 * head can be written again without it. */
#ifndef BIDE_STORE_DEFERRED_RECORD_H
#define BIDE_STORE_DEFERRED_RECORD_H

#include "queue.h"

#define DEFERRED_FORMAT 4

enum {
    DEFERRED_META = 'a',
    DEFERRED_COUNTS = 'c',
    DEFERRED_HEAD = 'h',
    DEFERRED_INDEX = 'i',
    DEFERRED_JOURNAL = 'j',
    DEFERRED_BY_KEY = 'k',
    DEFERRED_LOG = 'l',
    DEFERRED_PAYLOAD = 'p',
    DEFERRED_KEY_ROOM = 1 + BIDE_NAME_MAX + 1 + BIDE_WORK_KEY_MAX,
    DEFERRED_SHORT = 1024, /* payloads up to this size are kept in the head */
    DEFERRED_HEAD_ROOM = 1600,
};

struct deferred_meta {
    uint32_t format, zero;
    uint64_t boot;     /* the boot of the leases */
    uint64_t next;     /* the next id */
    uint64_t registry; /* of its registry's id, the first bytes; 0: unknown */
    uint64_t lost, lost_ns; /* pieces that may be missing, noticed then */
};

/* A payload and its checksum. */
struct deferred_payload {
    uint32_t crc;
    const void *bytes; /* NULL: it is in a record of its own, 'p' */
};

/* A place in the index. */
struct deferred_place {
    char policy[BIDE_NAME_MAX + 1];
    enum deferred_state state;
    uint64_t time_ns, id;
};

/* Write a key of at most DEFERRED_KEY_ROOM bytes and return its length. */
size_t deferred_id_key(int kind, uint64_t id, uint8_t *out);
size_t deferred_name_key(int kind, const char *policy, uint8_t *out);
size_t deferred_work_key(const char *policy, const char *key, uint8_t *out);
size_t deferred_place_key(const struct deferred_place *p, uint8_t *out);
/* Returns false if the key does not belong to a place. */
bool deferred_place_read(const void *key, size_t length,
                         struct deferred_place *out);
/* Returns the place of an item in its current state. */
struct deferred_place deferred_place_of(const struct deferred_item *item);
/* Returns the id in a key; 0: the key has none. */
uint64_t deferred_key_id(const void *key, size_t length);

/* Writes the value of a head, at most DEFERRED_HEAD_ROOM bytes, and returns its
 * length. */
size_t deferred_head_write(const struct deferred_item *item,
                           const struct deferred_payload *p, uint8_t *out);
/* Reads the value of a head; out->bytes is NULL.  Returns false if it is
 * damaged. */
bool deferred_head_read(uint64_t id, const void *bytes, size_t length,
                        struct deferred_item *out, struct deferred_payload *p);

#endif
