/* Looking at postponed work without touching it, for doctors. */
#include "store/deferred_record.h"
#include "store/place.h"
#include "store/record.h"

#include <stdlib.h>
#include <string.h>

struct survey {
    const struct snapshot *snapshot;
    struct deferred_survey *out;
    int rc;
};

/* 1: it is whole; 0: it is not; or BIDE_E. */
static int
payload_is_whole(const struct survey *s, const struct deferred_item *item,
                 const struct deferred_payload *p)
{
    uint8_t key[DEFERRED_KEY_ROOM];
    size_t length;
    void *bytes;
    int rc;

    if (p->bytes) {
        return crc32c(0, p->bytes, item->length) == p->crc;
    }
    rc = pages_get(s->snapshot, "work", key,
                   deferred_id_key(DEFERRED_PAYLOAD, item->id, key), &bytes,
                   &length);
    if (rc) {
        return rc == BIDE_ENOPOLICY || rc == BIDE_EDAMAGED ? 0 : rc;
    }
    rc = length == item->length && crc32c(0, bytes, length) == p->crc;
    free(bytes);
    return rc;
}

static void
add(struct deferred_survey *out, const struct deferred_item *item)
{
    out->waiting += item->state == DEFERRED_WAITING;
    out->leased += item->state == DEFERRED_LEASED;
    out->dead += item->state == DEFERRED_DEAD;
    if (out->oldest_ns == 0 || item->stored_ns < out->oldest_ns) {
        out->oldest_ns = item->stored_ns;
    }
    if (item->state == DEFERRED_WAITING &&
        (out->due_ns == 0 || item->due_ns < out->due_ns)) {
        out->due_ns = item->due_ns;
    }
}

static int
see_head(struct survey *s, const void *key, size_t key_length,
         const void *value, size_t length)
{
    struct deferred_item item;
    struct deferred_payload payload;
    int whole = 0;

    if (deferred_head_read(deferred_key_id(key, key_length), value, length,
                           &item, &payload)) {
        whole = payload_is_whole(s, &item, &payload);
    }
    if (whole < 0) {
        return s->rc = whole;
    }
    if (whole) {
        add(s->out, &item);
    } else {
        s->out->damaged++;
    }
    return 0;
}

static int
see(void *arg, const void *key, size_t key_length, const void *value,
    size_t length)
{
    struct survey *s = arg;
    size_t unsealed;

    switch (key_length > 0 ? *(const uint8_t *)key : 0) {
    case DEFERRED_HEAD:
        return see_head(s, key, key_length, value, length);
    case DEFERRED_META:
    case DEFERRED_COUNTS:
    case DEFERRED_BY_KEY:
        s->out->damaged +=
            !record_unseal(key, key_length, value, length, &unsealed);
        return 0;
    default: /* an index; a payload, which its head has told of */
        return 0;
    }
}

static int
look(struct pages *p, struct deferred_survey *out)
{
    struct snapshot snapshot;
    struct survey s = {&snapshot, out, 0};
    int rc = pages_begin(p, &snapshot), end;

    if (rc) {
        return rc;
    }
    *out = (struct deferred_survey){.bytes = 0};
    rc = pages_walk_whole(&snapshot, "work", NULL, 0, see, &s, &out->damaged);
    end = pages_end(&snapshot);
    return end ? end : rc == BIDE_ENOPOLICY ? 0 : rc;
}

int
deferred_survey(const char *dir, struct deferred_survey *out)
{
    enum { TRIES = 20 };
    char *path = place_path(dir, "deferred.mdb");
    struct pages_stamp stamp;
    struct pages *p = NULL;
    int rc = path ? pages_open(path, &p) : BIDE_ENOMEM;

    free(path);
    if (!rc) {
        rc = pages_check(p);
    }
    for (int i = 0; i < TRIES && !rc; i++) {
        rc = look(p, out);
        if (rc != PAGES_AGAIN) {
            break;
        }
        rc = i + 1 < TRIES ? 0 : BIDE_ELOCKED;
    }
    if (!rc && !pages_look(p, &stamp)) {
        out->bytes = stamp.size;
    }
    pages_close(p);
    return rc;
}
