/* The value of a head, little-endian; its checksum covers its key, not the
 * payload:
 *
 *    0 crc u32          of the key and of all up to the payload
 *    4 state u8         enum deferred_state
 *    5 policy_length u8
 *    6 type_length u8
 *    7 key_length u8
 *    8 error_length u8
 *    9 with_payload u8  1: a short payload follows
 *   10 zero u16
 *   12 attempts u32
 *   16 length u32       of the payload
 *   20 payload_crc u32
 *   24 stored_ns u64
 *   32 due_ns u64
 *   40 expires_ns u64
 *   48 lease u64
 *   56 lease_ends_ns u64
 *   64 policy, type, key, last error; then the payload
 *
 * Example: work 7 of "mail", waiting, "hi" with type "text/plain": under the
 * key 'h' 00 00 00 00 00 00 00 07
 *   cc cc cc cc  00 04 0a 00  00 01 00 00  attempts 0  length 2  crc of "hi"
 *   stored ... due ... expires ... lease 0, ends 0   "mail" "text/plain" "hi"
 */
#include "record.h"

#include <string.h>

#include "base/crc32c.h"
#include "policy/policy.h"
#include "store/file/seal.h"

enum {
    CRC = 4,
    ERROR_MAX = sizeof(((struct deferred_item *)0)->last_error) - 1
};

struct head {
    uint32_t crc;
    uint8_t state, policy_length, type_length, key_length;
    uint8_t error_length, with_payload;
    uint16_t zero;
    uint32_t attempts, length, payload_crc;
    uint64_t stored_ns, due_ns, expires_ns, lease, lease_ends_ns;
};

#define AT(field, offset) \
    _Static_assert(offsetof(struct head, field) == (offset), #field)
AT(crc, 0);
AT(state, 4);
AT(policy_length, 5);
AT(type_length, 6);
AT(key_length, 7);
AT(error_length, 8);
AT(with_payload, 9);
AT(zero, 10);
AT(attempts, 12);
AT(length, 16);
AT(payload_crc, 20);
AT(stored_ns, 24);
AT(due_ns, 32);
AT(expires_ns, 40);
AT(lease, 48);
AT(lease_ends_ns, 56);
_Static_assert(sizeof(struct head) == 64, "strings follow");
_Static_assert(sizeof(struct head) + BIDE_NAME_MAX + BIDE_WORK_TYPE_MAX +
                       BIDE_WORK_KEY_MAX + ERROR_MAX + DEFERRED_SHORT <=
                   DEFERRED_HEAD_ROOM,
               "the longest head");
_Static_assert(sizeof(struct deferred_meta) == 48, "no holes");

/* ---- keys ---- */

size_t
deferred_id_key(int kind, uint64_t id, uint8_t *out)
{
    *out = (uint8_t)kind;
    return (size_t)(key_put(out + 1, id, 8) - out);
}

size_t
deferred_name_key(int kind, const char *policy, uint8_t *out)
{
    *out = (uint8_t)kind;
    return (size_t)(key_append(out + 1, policy, strlen(policy)) - out);
}

size_t
deferred_work_key(const char *policy, const char *key, uint8_t *out)
{
    uint8_t *to = out;

    *to++ = DEFERRED_BY_KEY;
    to = key_append(to, policy, strlen(policy) + 1);
    return (size_t)(key_append(to, key, strlen(key)) - out);
}

size_t
deferred_place_key(const struct deferred_place *p, uint8_t *out)
{
    uint8_t *to = out;

    *to++ = DEFERRED_INDEX;
    to = key_append(to, p->policy, strlen(p->policy) + 1);
    *to++ = (uint8_t)p->state;
    to = key_put(to, p->time_ns, 8);
    return (size_t)(key_put(to, p->id, 8) - out);
}

bool
deferred_place_read(const void *key, size_t length, struct deferred_place *out)
{
    const uint8_t *from = key, *end;

    if (length < 19 || length > 19 + BIDE_NAME_MAX || *from != DEFERRED_INDEX) {
        return false;
    }
    end = memchr(from + 1, '\0', length - 1);
    if (!end || end + 18 != from + length || end[1] > DEFERRED_DEAD) {
        return false;
    }
    memcpy(out->policy, from + 1, (size_t)(end - from));
    out->state = (enum deferred_state)end[1];
    out->time_ns = key_get(end + 2, 8);
    out->id = key_get(end + 10, 8);
    return true;
}

struct deferred_place
deferred_place_of(const struct deferred_item *item)
{
    struct deferred_place p = {.state = item->state, .id = item->id};

    strcpy(p.policy, item->policy);
    p.time_ns = item->state == DEFERRED_WAITING  ? item->due_ns
                : item->state == DEFERRED_LEASED ? item->lease_ends_ns
                                                 : 0;
    return p;
}

uint64_t
deferred_key_id(const void *key, size_t length)
{
    return length == 9 ? key_get((const uint8_t *)key + 1, 8) : 0;
}

/* ---- heads ---- */

static uint32_t
head_crc(uint64_t id, const uint8_t *bytes, size_t length)
{
    uint8_t key[DEFERRED_KEY_ROOM];
    size_t key_length = deferred_id_key(DEFERRED_HEAD, id, key);

    return crc32c(crc32c(0, key, key_length), bytes + CRC, length - CRC);
}

size_t
deferred_head_write(const struct deferred_item *item,
                    const struct deferred_payload *p, uint8_t *out)
{
    struct head h = {
        .state = (uint8_t)item->state,
        .policy_length = (uint8_t)strlen(item->policy),
        .type_length = (uint8_t)strlen(item->type),
        .key_length = (uint8_t)strlen(item->key),
        .error_length = (uint8_t)strlen(item->last_error),
        .with_payload = p->bytes != NULL,
        .attempts = item->attempts,
        .length = (uint32_t)item->length,
        .payload_crc = p->crc,
        .stored_ns = item->stored_ns,
        .due_ns = item->due_ns,
        .expires_ns = item->expires_ns,
        .lease = item->lease,
        .lease_ends_ns = item->lease_ends_ns,
    };
    uint8_t *to = out + sizeof(h);

    to = key_append(to, item->policy, h.policy_length);
    to = key_append(to, item->type, h.type_length);
    to = key_append(to, item->key, h.key_length);
    to = key_append(to, item->last_error, h.error_length);
    memcpy(out, &h, sizeof(h));
    h.crc = head_crc(item->id, out, (size_t)(to - out));
    memcpy(out, &h.crc, CRC);
    if (p->bytes) {
        to = key_append(to, p->bytes, item->length);
    }
    return (size_t)(to - out);
}

/* Reports whether all numbers are in range and `length` follows from them. */
static bool
is_valid_head(const struct head *h, size_t strings, size_t length)
{
    return h->state <= DEFERRED_DEAD && h->policy_length &&
           h->policy_length <= BIDE_NAME_MAX &&
           h->type_length <= BIDE_WORK_TYPE_MAX &&
           h->key_length <= BIDE_WORK_KEY_MAX && h->error_length <= ERROR_MAX &&
           h->with_payload <= 1 && h->length <= BIDE_WORK_MAX &&
           (!h->with_payload || h->length <= DEFERRED_SHORT) &&
           length == sizeof(*h) + strings + (h->with_payload ? h->length : 0);
}

bool
deferred_head_read(uint64_t id, const void *bytes, size_t length,
                   struct deferred_item *out, struct deferred_payload *p)
{
    const uint8_t *from = bytes;
    size_t strings;
    struct head h;

    if (length < sizeof(h)) {
        return false;
    }
    memcpy(&h, bytes, sizeof(h));
    strings =
        (size_t)h.policy_length + h.type_length + h.key_length + h.error_length;
    if (!is_valid_head(&h, strings, length) ||
        h.crc != head_crc(id, bytes, sizeof(h) + strings) ||
        memchr(from + sizeof(h), '\0', strings)) {
        return false;
    }
    *out = (struct deferred_item){
        .id = id,
        .state = (enum deferred_state)h.state,
        .attempts = h.attempts,
        .stored_ns = h.stored_ns,
        .due_ns = h.due_ns,
        .expires_ns = h.expires_ns,
        .lease = h.lease,
        .lease_ends_ns = h.lease_ends_ns,
        .length = h.length,
    };
    from = key_text(from + sizeof(h), out->policy, h.policy_length);
    from = key_text(from, out->type, h.type_length);
    from = key_text(from, out->key, h.key_length);
    from = key_text(from, out->last_error, h.error_length);
    p->crc = h.payload_crc;
    p->bytes = h.with_payload ? from : NULL;
    return policy_name_ok(out->policy);
}
