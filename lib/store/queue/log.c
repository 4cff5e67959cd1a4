/* Makes changes by hand, and logs them: author, note and change are committed
 * together.
 *
 * A record of the log, little-endian, sealed with its key:
 *
 *    0 when_ns u64
 *    8 id u64
 *   16 attempts u32
 *   20 did u8             enum deferred_did
 *   21 policy_length u8   0: its record was damaged
 *   22 who_length u8
 *   23 zero u8
 *   24 note_length u16
 *   26 zero u16
 *   28 uid u32            of the author; not 4294967295
 *   32 policy, who, note
 *
 * Numbers grow by 1, so the oldest record is found by its number. */
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"
#include "store/file/place.h"
#include "store/file/seal.h"

struct logged {
    uint64_t when_ns, id;
    uint32_t attempts;
    uint8_t did, policy_length, who_length, zero;
    uint16_t note_length, zeros;
    uint32_t uid;
};

_Static_assert(offsetof(struct logged, attempts) == 16, "attempts");
_Static_assert(offsetof(struct logged, did) == 20, "did");
_Static_assert(offsetof(struct logged, note_length) == 24, "note_length");
_Static_assert(offsetof(struct logged, uid) == 28, "uid");
_Static_assert(sizeof(struct logged) == 32, "strings follow");

enum {
    SEAL = 4,
    VALUE_ROOM = sizeof(struct logged) + BIDE_NAME_MAX + DEFERRED_WHO_MAX +
                 DEFERRED_NOTE_MAX,
    PIECE = 64,
};

/* ---- writing ---- */

/* Returns the length of text, cut to at most `max` bytes between two UTF-8
 * characters. */
static size_t
cut_length(const char *text, size_t max)
{
    size_t length = text ? strnlen(text, max + 1) : 0;

    if (length > max) {
        length = max;
        while (length && ((unsigned char)text[length] & 0xc0) == 0x80) {
            length--;
        }
    }
    return length;
}

static size_t
encode_event(const struct deferred_event *e, const struct deferred_by *by,
             uint8_t *out)
{
    const char *who = by && by->who ? by->who : "";
    const char *note = by && by->note ? by->note : "";
    struct logged l = {
        .when_ns = e->when_ns,
        .id = e->id,
        .attempts = e->attempts,
        .did = (uint8_t)e->did,
        .policy_length = (uint8_t)strlen(e->policy),
        .who_length = (uint8_t)cut_length(who, DEFERRED_WHO_MAX),
        .note_length = (uint16_t)cut_length(note, DEFERRED_NOTE_MAX),
        .uid = by ? by->uid : 0,
    };
    uint8_t *to = key_append(out, &l, sizeof(l));

    to = key_append(to, e->policy, l.policy_length);
    to = key_append(to, who, l.who_length);
    return (size_t)(key_append(to, note, l.note_length) - out);
}

static int
read_number(void *arg, const MDB_val *key, const MDB_val *value)
{
    uint64_t *out = arg;

    (void)value;
    *out = deferred_key_id(key->mv_data, key->mv_size);
    return MDB_KEYEXIST; /* ends the walk */
}

/* Stores the number of the last record; 0: there is none.  Looks for records in
 * steps that double while there are later ones, and are halved after that. */
static int
find_last_number(struct work *w, uint64_t *out_number)
{
    const uint8_t all = DEFERRED_LOG;
    uint8_t from[DEFERRED_KEY_ROOM];
    bool doubles = true;
    uint64_t step = 1;
    int rc = 0;

    *out_number = 0;
    while (step && (!rc || rc == MDB_KEYEXIST)) {
        rc = tree_each_from(
            w, &all, 1, from,
            deferred_id_key(DEFERRED_LOG, *out_number + step, from),
            read_number, out_number);
        doubles = doubles && rc;
        step = doubles ? 2 * step : step / 2;
    }
    return rc == MDB_KEYEXIST ? 0 : rc;
}

static int
log_event(struct work *w, const struct deferred_event *e,
          const struct deferred_by *by)
{
    uint8_t key[DEFERRED_KEY_ROOM], value[VALUE_ROOM],
        sealed[SEAL + VALUE_ROOM];
    int rc = w->logged ? 0 : find_last_number(w, &w->logged);
    size_t length = deferred_id_key(DEFERRED_LOG, ++w->logged, key);

    rc = rc ? rc
            : tree_put(w, key, length, sealed,
                       seal_write(key, length, value,
                                  encode_event(e, by, value), sealed));
    if (!rc && w->logged > DEFERRED_LOGGED) {
        length =
            deferred_id_key(DEFERRED_LOG, w->logged - DEFERRED_LOGGED, key);
        rc = tree_delete(w, key, length);
        rc = rc == MDB_NOTFOUND ? 0 : rc;
    }
    return rc;
}

/* ---- one piece of work ---- */

struct hand_change {
    struct change change;
    enum deferred_did did;
    const struct deferred_by *by;
    const uint64_t *ids;
    size_t count, changed;
};

static int
requeue_item(struct work *w, struct tree_item *item)
{
    struct deferred_place was = deferred_place_of(&item->head);
    struct deferred_item *head = &item->head;
    uint64_t life = head->expires_ns - head->stored_ns;
    uint64_t now = w->now.realtime_ns;

    if (head->state == DEFERRED_DEAD) {
        head->attempts = 0; /* otherwise it would be dead again at once */
    }
    if (head->expires_ns != UINT64_MAX) {
        head->expires_ns = duration_add(now, life);
    }
    head->state = DEFERRED_WAITING;
    head->due_ns = now;
    head->lease = head->lease_ends_ns = 0;
    return tree_move(w, item, &was);
}

/* Requeues or drops work `id`.  *out_rc is BIDE_ENOWORK or BIDE_EDAMAGED if
 * nothing was changed. */
static int
change_id(struct work *w, const struct hand_change *b, uint64_t id, int *out_rc)
{
    struct deferred_event e = {
        .when_ns = w->now.realtime_ns, .id = id, .did = b->did};
    struct tree_item item;
    int rc = tree_head(w, id, &item);
    bool damaged = rc == DEFERRED_UNREADABLE;

    *out_rc = rc == MDB_NOTFOUND                      ? BIDE_ENOWORK
              : damaged && b->did != DEFERRED_DROPPED ? BIDE_EDAMAGED
                                                      : 0;
    if (*out_rc || (rc && !damaged)) {
        return *out_rc ? 0 : rc;
    }
    if (!damaged) {
        strcpy(e.policy, item.head.policy);
        e.attempts = item.head.attempts;
    }
    rc = damaged                      ? tree_remove_damaged(w, id, e.policy)
         : b->did == DEFERRED_DROPPED ? tree_remove(w, &item, true)
                                      : requeue_item(w, &item);
    return rc ? rc : log_event(w, &e, b->by);
}

static int
change_ids(struct work *w, struct change *c)
{
    struct hand_change *b = (struct hand_change *)c;
    int rc = 0, one = 0;

    b->changed = 0;
    for (size_t i = 0; i < b->count && !rc; i++) {
        rc = change_id(w, b, b->ids[i], &one);
        b->changed += !rc && !one;
    }
    if (!rc && b->count == 1 && one) {
        return deferred_refuse(c, one, b->ids[0]);
    }
    return rc;
}

static int
change_by_hand(struct deferred *d, enum deferred_did did, const uint64_t *ids,
               size_t count, const struct deferred_by *by, size_t *out_count)
{
    struct hand_change b = {
        .change = {.apply = change_ids,
                   .durable = true,
                   /* Dropping works on a full disk, because it frees space. */
                   .grows = did == DEFERRED_DROPPED ? 0 : count * VALUE_ROOM},
        .did = did,
        .by = by,
        .ids = ids,
        .count = count};
    int rc = deferred_submit(d, &b.change);

    *out_count += rc ? 0 : b.changed;
    return rc;
}

int
deferred_change_each(struct deferred *d, enum deferred_did did,
                     const uint64_t *ids, size_t count,
                     const struct deferred_by *by, size_t *out_count)
{
    size_t at, length;
    int rc = 0;

    *out_count = 0;
    for (at = 0; at < count && !rc; at += length) {
        length = count - at < PIECE ? count - at : PIECE;
        rc = change_by_hand(d, did, ids + at, length, by, out_count);
        rc =
            rc == BIDE_ENOWORK || (rc == BIDE_EDAMAGED && length == 1) ? 0 : rc;
    }
    return rc;
}

int
deferred_change(struct deferred *d, enum deferred_did did, uint64_t id,
                const struct deferred_by *by)
{
    size_t count = 0;

    return change_by_hand(d, did, &id, 1, by, &count);
}

/* ---- reading ---- */

static bool
decode_event(const MDB_val *key, const MDB_val *value,
             struct deferred_event *out)
{
    struct logged l;
    size_t length;
    const uint8_t *from = seal_read(key->mv_data, key->mv_size, value->mv_data,
                                    value->mv_size, &length);

    if (!from || length < sizeof(l)) {
        return false;
    }
    memcpy(&l, from, sizeof(l));
    if (l.did > DEFERRED_REQUEUED || l.policy_length > BIDE_NAME_MAX ||
        l.who_length > DEFERRED_WHO_MAX || l.note_length > DEFERRED_NOTE_MAX ||
        l.uid == UINT32_MAX ||
        length != sizeof(l) + l.policy_length + l.who_length + l.note_length) {
        return false;
    }
    *out = (struct deferred_event){.when_ns = l.when_ns,
                                   .id = l.id,
                                   .did = (enum deferred_did)l.did,
                                   .attempts = l.attempts,
                                   .uid = l.uid};
    from = key_text(from + sizeof(l), out->policy, l.policy_length);
    from = key_text(from, out->who, l.who_length);
    key_text(from, out->note, l.note_length);
    return true;
}

struct events_change {
    struct change change;
    uint64_t from, next; /* numbers of records */
    uint64_t damaged;
    size_t count;
    struct deferred_event events[PIECE];
};

static int
read_one_event(void *arg, const MDB_val *key, const MDB_val *value)
{
    struct events_change *r = arg;
    bool whole;

    if (r->count + r->damaged == PIECE) {
        return MDB_KEYEXIST; /* ends the walk */
    }
    whole = decode_event(key, value, &r->events[r->count]);
    r->count += whole;
    r->damaged += !whole;
    r->next = deferred_key_id(key->mv_data, key->mv_size) + 1;
    return 0;
}

static int
read_some_events(struct work *w, struct change *c)
{
    struct events_change *r = (struct events_change *)c;
    const uint8_t all = DEFERRED_LOG;
    uint8_t from[DEFERRED_KEY_ROOM];
    int rc;

    r->count = 0;
    r->damaged = 0;
    rc = tree_each_from(w, &all, 1, from,
                        deferred_id_key(DEFERRED_LOG, r->from, from),
                        read_one_event, r);
    return rc == MDB_KEYEXIST ? 0 : rc;
}

int
deferred_events(struct deferred *d,
                int (*visit)(void *arg, const struct deferred_event *event),
                void *arg, uint64_t *out_damaged)
{
    struct events_change *r = calloc(1, sizeof(*r));
    int rc = r ? 0 : place_failed(d->path, ENOMEM);

    *out_damaged = 0;
    while (!rc) {
        r->change.apply = read_some_events;
        rc = deferred_submit(d, &r->change);
        for (size_t i = 0; !rc && i < r->count; i++) {
            rc = visit(arg, &r->events[i]);
        }
        *out_damaged += rc < 0 ? 0 : r->damaged;
        r->from = r->next;
        if (!rc && r->count + r->damaged < PIECE) {
            break;
        }
    }
    free(r);
    return rc;
}
