#include "history_form.h"

#include <string.h>

#include "store/file/seal.h"

const char *const history_databases[HISTORY_DATABASES] = {
    [NAMES] = "names", [BASE] = "base",   [MINUTES] = "minutes",
    [HOURS] = "hours", [STATE] = "state",
};

/* ---- keys ---- */

size_t
form_block_key(uint64_t end_ns, uint32_t part, uint8_t *out)
{
    key_put(key_put(out, end_ns, 8), part, 2);
    return BLOCK_KEY;
}

uint64_t
form_block_end(const void *key, size_t length)
{
    return length == BLOCK_KEY ? key_get(key, 8) : 0;
}

size_t
form_event_key(uint64_t when_ns, uint32_t id, uint32_t number, uint8_t *out)
{
    *out = 'e';
    key_put(key_put(key_put(out + 1, when_ns, 8), id, 4), number, 2);
    return EVENT_KEY;
}

size_t
form_name_key(char kind, const char *name, const char *scope, uint8_t *out)
{
    uint8_t *to = out;

    *to++ = (uint8_t)kind;
    to = key_append(to, name, strnlen(name, 63));
    if (kind == 'c') {
        *to++ = '\0';
        to = key_append(to, scope, strnlen(scope, BIDE_NAME_MAX));
    }
    return (size_t)(to - out);
}

size_t
form_id_key(uint32_t id, uint8_t *out)
{
    key_put(out, id, sizeof(id));
    return sizeof(id);
}

/* ---- blocks ---- */

static uint8_t *
put_leb(uint8_t *to, uint64_t number)
{
    while (number >= 128) {
        *to++ = (uint8_t)(number | 128);
        number >>= 7;
    }
    *to++ = (uint8_t)number;
    return to;
}

static bool
get_leb(struct form_block *b, uint64_t *out)
{
    uint64_t number = 0;

    for (unsigned shift = 0; shift < 35 && b->at < b->end; shift += 7) {
        uint8_t byte = *b->at++;

        number |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            *out = number;
            return true;
        }
    }
    return false;
}

size_t
form_put_entry(const struct form_entry *e, uint32_t before, uint8_t *out)
{
    /* Cells have the same order in each recording, so most steps are 0. */
    int64_t step = (int64_t)e->id - before - 1;
    uint8_t *to =
        put_leb(out, step < 0 ? ~((uint64_t)step << 1) : (uint64_t)step << 1);

    to = put_leb(put_leb(to, e->version), e->length);
    memcpy(to, e->bytes, e->length);
    return (size_t)(to - out) + e->length;
}

void
form_put_header(uint64_t begin_ns, uint64_t end_ns, uint8_t *out)
{
    *out = HISTORY_FORMAT;
    memcpy(out + 1, &begin_ns, sizeof(begin_ns));
    memcpy(out + 9, &end_ns, sizeof(end_ns));
}

bool
form_block_open(const uint8_t *bytes, size_t length, struct form_block *out)
{
    *out = (struct form_block){.at = bytes, .end = bytes + length};
    if (length < BLOCK_HEADER ||
        (*bytes != HISTORY_FORMAT && *bytes != HISTORY_OLDER)) {
        return false;
    }
    memcpy(&out->begin_ns, bytes + 1, sizeof(out->begin_ns));
    memcpy(&out->end_ns, bytes + 9, sizeof(out->end_ns));
    out->at += BLOCK_HEADER;
    return out->begin_ns <= out->end_ns;
}

bool
form_block_next(struct form_block *b, struct form_entry *out)
{
    uint64_t step, version, length;
    int64_t id;

    if (b->at == b->end) {
        return false;
    }
    if (!get_leb(b, &step) || !get_leb(b, &version) || !get_leb(b, &length) ||
        length > (uint64_t)(b->end - b->at) || version > UINT32_MAX) {
        b->bad = true;
        return false;
    }
    id = (int64_t)b->last_id + 1 +
         (int64_t)(step & 1 ? ~(step >> 1) : step >> 1);
    if (id < 0 || id > UINT32_MAX) {
        b->bad = true;
        return false;
    }
    b->last_id = (uint32_t)id;
    *out = (struct form_entry){(uint32_t)id, (uint32_t)version, b->at,
                               (size_t)length};
    b->at += length;
    return true;
}

/* ---- bases ---- */

bool
form_base_read(const uint8_t *value, size_t length, struct form_base *out)
{
    uint32_t now_length;

    if (length < BASE_HEADER) {
        return false;
    }
    memcpy(&out->begun, value, 8);
    memcpy(&out->version, value + 8, 4);
    memcpy(&now_length, value + 12, 4);
    if (now_length > length - BASE_HEADER) {
        return false;
    }
    out->now = value + BASE_HEADER;
    out->now_length = now_length;
    out->hour = out->now + now_length;
    out->hour_length = length - BASE_HEADER - now_length;
    return out->hour_length <= FIGURES_BYTES && now_length <= FIGURES_BYTES;
}
