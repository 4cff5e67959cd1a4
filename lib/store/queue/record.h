/* What deferred.mdb holds: one database, "work", so that a change touches few
 * pages.
 *
 *   'a'                                     -> meta: format, boot, next id
 *   'c' policy                              -> counts
 *   'h' be64 id                             -> head, and a short payload
 *   'i' policy NUL state be64 time be64 id  -> nothing: where the work stands
 *   'j'                                     -> what of the journal is in here
 *   'k' policy NUL key                      -> id
 *   'l' be64 number                         -> a change by hand
 *   'p' be64 id                             -> a payload that is not short
 *
 * Heads and payloads are the truth; the rest can be made from the heads again,
 * but for what was counted, and the log.  The time is when it is due (waiting),
 * when its lease ends (leased), or 0 (dead).  Every value begins with a
 * checksum of key and value, as seal_write makes it; a payload's covers only
 * itself, so that a head can be written anew without it. */
#ifndef BIDE_STORE_DEFERRED_RECORD_H
#define BIDE_STORE_DEFERRED_RECORD_H

#include "queue.h"

#define DEFERRED_FORMAT 2
#define DEFERRED_FORMAT_1 1 /* without a journal */

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
    DEFERRED_SHORT = 1024, /* payloads up to that are kept with the head */
    DEFERRED_HEAD_ROOM = 1600,
};

struct deferred_meta {
    uint32_t format, zero;
    uint64_t boot; /* in which the leases were given */
    uint64_t next; /* id */
};

/* Where a payload is, and what it must come to. */
struct deferred_payload {
    uint32_t crc;
    const void *bytes; /* NULL: by itself, under 'p' */
};

/* A place in the index. */
struct deferred_place {
    char policy[BIDE_NAME_MAX + 1];
    enum deferred_state state;
    uint64_t time_ns, id;
};

/* Keys; these give their length and fit DEFERRED_KEY_ROOM. */
size_t deferred_id_key(int kind, uint64_t id, uint8_t *out);
size_t deferred_name_key(int kind, const char *policy, uint8_t *out);
size_t deferred_work_key(const char *policy, const char *key, uint8_t *out);
size_t deferred_place_key(const struct deferred_place *p, uint8_t *out);
bool deferred_place_read(const void *key, size_t length,
                         struct deferred_place *out);
/* Where an item stands now. */
struct deferred_place deferred_place_of(const struct deferred_item *item);
uint64_t deferred_key_id(const void *key, size_t length); /* 0: it is none */

/* Fits DEFERRED_HEAD_ROOM. */
size_t deferred_head_write(const struct deferred_item *item,
                           const struct deferred_payload *p, uint8_t *out);
/* False: damaged.  out->bytes is NULL. */
bool deferred_head_read(uint64_t id, const void *bytes, size_t length,
                        struct deferred_item *out, struct deferred_payload *p);

#endif
