/* A record in bytes, little-endian:
 *
 *    0 crc u32        of all that follows
 *    4 format u8      1
 *    5 deleted u8     0 or 1
 *    6 name_length u8
 *    7 who_length u8
 *    8 note_length u16
 *   10 zero u16
 *   12 text_length u32
 *   16 version u32
 *   20 back_to u32
 *   24 sequence u64
 *   32 when_ns u64
 *   40 until_ns u64
 *   48 name, who, note, text: no NUL within or after
 *
 * Example: version 3 of "pay", by "ops", without a note, text "[pay]\n":
 *   cc cc cc cc  01 00 03 03  00 00 00 00  06 00 00 00
 *   03 00 00 00  00 00 00 00  sequence ... when ... until (8 x 00)
 *   "pay" "ops" "[pay]\n"                                  60 bytes in all */
#include "record.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"

enum { FORMAT = 1, CRC = 4 };

struct header {
    uint32_t crc;
    uint8_t format;
    uint8_t deleted;
    uint8_t name_length;
    uint8_t who_length;
    uint16_t note_length;
    uint16_t zero;
    uint32_t text_length;
    uint32_t version;
    uint32_t back_to;
    uint64_t sequence;
    uint64_t when_ns;
    uint64_t until_ns;
};

#define AT(field, offset) \
    _Static_assert(offsetof(struct header, field) == (offset), #field)
AT(crc, 0);
AT(format, 4);
AT(deleted, 5);
AT(name_length, 6);
AT(who_length, 7);
AT(note_length, 8);
AT(zero, 10);
AT(text_length, 12);
AT(version, 16);
AT(back_to, 20);
AT(sequence, 24);
AT(when_ns, 32);
AT(until_ns, 40);
_Static_assert(sizeof(struct header) == 48, "the strings follow at 48");
_Static_assert(RECORD_WHO_MAX <= UINT8_MAX, "who_length");
_Static_assert(RECORD_NOTE_MAX <= UINT16_MAX, "note_length");

bool
record_name_fits(const char *name)
{
    size_t length = strnlen(name, BIDE_NAME_MAX + 1);

    return length && length <= BIDE_NAME_MAX;
}

/* ---- writing ---- */

static bool
record_is_valid(const struct record *r)
{
    return record_name_fits(r->name) && r->version && r->who && r->note &&
           r->text && strlen(r->who) <= RECORD_WHO_MAX &&
           strlen(r->note) <= RECORD_NOTE_MAX &&
           strlen(r->text) <= RECORD_TEXT_MAX && !(r->deleted && *r->text);
}

static uint8_t *
append_string(uint8_t *to, const char *string, size_t length)
{
    memcpy(to, string, length);
    return to + length;
}

int
record_write(const struct record *r, void **out, size_t *out_length)
{
    struct header h = {.format = FORMAT};
    uint8_t *bytes, *to;
    size_t length;

    if (!record_is_valid(r)) {
        return BIDE_EINVAL;
    }
    h.deleted = r->deleted;
    h.name_length = (uint8_t)strlen(r->name);
    h.who_length = (uint8_t)strlen(r->who);
    h.note_length = (uint16_t)strlen(r->note);
    h.text_length = (uint32_t)strlen(r->text);
    h.version = r->version;
    h.back_to = r->back_to;
    h.sequence = r->sequence;
    h.when_ns = r->when_ns;
    h.until_ns = r->until_ns;
    length = sizeof(h) + h.name_length + h.who_length + h.note_length +
             h.text_length;
    bytes = malloc(length);
    if (!bytes) {
        return BIDE_ENOMEM;
    }
    to = append_string(bytes + sizeof(h), r->name, h.name_length);
    to = append_string(to, r->who, h.who_length);
    to = append_string(to, r->note, h.note_length);
    append_string(to, r->text, h.text_length);
    memcpy(bytes, &h, sizeof(h));
    h.crc = crc32c(0, bytes + CRC, length - CRC);
    memcpy(bytes, &h.crc, CRC);
    *out = bytes;
    *out_length = length;
    return 0;
}

/* ---- reading ---- */

/* Reports whether the header is valid and matches the length, checksum and
 * strings of the record. */
static bool
is_whole(const struct header *h, const uint8_t *bytes, size_t length)
{
    return h->format == FORMAT && h->deleted <= 1 && !h->zero &&
           h->name_length && h->name_length <= BIDE_NAME_MAX &&
           h->who_length <= RECORD_WHO_MAX &&
           h->note_length <= RECORD_NOTE_MAX &&
           h->text_length <= RECORD_TEXT_MAX && h->version &&
           !(h->deleted && h->text_length) &&
           length == sizeof(*h) + h->name_length + h->who_length +
                         h->note_length + h->text_length &&
           h->crc == crc32c(0, bytes + CRC, length - CRC) &&
           !memchr(bytes + sizeof(*h), '\0', length - sizeof(*h));
}

/* Returns a copy of `length` bytes, malloc'ed with a NUL, and moves *from past
 * them; NULL if out of memory. */
static char *
copy_string(const uint8_t **from, size_t length)
{
    char *string = malloc(length + 1);

    if (string) {
        memcpy(string, *from, length);
        string[length] = '\0';
    }
    *from += length;
    return string;
}

int
record_read(const void *bytes, size_t length, const char *name,
            struct record *out)
{
    struct record r = {.deleted = false};
    const uint8_t *from = bytes;
    struct header h;

    if (length < sizeof(h)) {
        return BIDE_EDAMAGED;
    }
    memcpy(&h, bytes, sizeof(h));
    if (!is_whole(&h, bytes, length)) {
        return BIDE_EDAMAGED;
    }
    from += sizeof(h);
    memcpy(r.name, from, h.name_length);
    if (name && strcmp(r.name, name)) {
        return BIDE_EDAMAGED;
    }
    from += h.name_length;
    r.version = h.version;
    r.deleted = h.deleted;
    r.sequence = h.sequence;
    r.when_ns = h.when_ns;
    r.until_ns = h.until_ns;
    r.back_to = h.back_to;
    r.who = copy_string(&from, h.who_length);
    r.note = copy_string(&from, h.note_length);
    r.text = copy_string(&from, h.text_length);
    if (!r.who || !r.note || !r.text) {
        record_free(&r);
        return BIDE_ENOMEM;
    }
    *out = r;
    return 0;
}

void
record_free(struct record *r)
{
    free(r->who);
    free(r->note);
    free(r->text);
    r->who = r->note = r->text = NULL;
}

/* ---- keys ---- */

size_t
record_version_key(const char *name, uint32_t version, uint8_t *out)
{
    size_t length = strlen(name) + 1;
    uint32_t be = htobe32(version);

    memcpy(out, name, length);
    memcpy(out + length, &be, sizeof(be));
    return length + sizeof(be);
}

size_t
record_sequence_key(uint64_t sequence, uint8_t *out)
{
    uint64_t be = htobe64(sequence);

    memcpy(out, &be, sizeof(be));
    return sizeof(be);
}

size_t
record_child_key(const char *parent, const char *name, uint8_t *out)
{
    size_t before = strlen(parent) + 1, length = strlen(name);

    memcpy(out, parent, before);
    memcpy(out + before, name, length);
    return before + length;
}

uint32_t
record_key_version(const char *name, const void *key, size_t length)
{
    size_t before = strlen(name) + 1;
    uint32_t be;

    if (length != before + sizeof(be) || memcmp(key, name, before)) {
        return 0;
    }
    memcpy(&be, (const uint8_t *)key + before, sizeof(be));
    return be32toh(be);
}

uint64_t
record_key_sequence(const void *key, size_t length)
{
    uint64_t be;

    if (length != sizeof(be)) {
        return 0;
    }
    memcpy(&be, key, sizeof(be));
    return be64toh(be);
}

size_t
record_change(const struct record *r, uint8_t *out)
{
    uint32_t be = htobe32(r->version);
    size_t length = strlen(r->name);

    memcpy(out, &be, sizeof(be));
    memcpy(out + sizeof(be), r->name, length);
    return sizeof(be) + length;
}

bool
record_change_read(const uint8_t *value, size_t length, uint32_t *version,
                   char name[BIDE_NAME_MAX + 1])
{
    uint32_t be;

    if (length <= sizeof(be) || length > sizeof(be) + BIDE_NAME_MAX) {
        return false;
    }
    memcpy(&be, value, sizeof(be));
    *version = be32toh(be);
    memcpy(name, value + sizeof(be), length - sizeof(be));
    name[length - sizeof(be)] = '\0';
    return true;
}
