/* A record in bytes, little-endian:
 *
 *    0 crc u32        of all that follows
 *    4 format u8      2
 *    5 deleted u8     0 or 1
 *    6 name_length u8
 *    7 zero u8
 *    8 sequence u64
 *   16 version u32    of the newest part
 *   20 part_count u32
 *   24 for each part, the base first, then layers by version:
 *       0 when_ns u64
 *       8 until_ns u64       0: the base
 *      16 version u32
 *      20 value_length u32   of the base: its text
 *      24 note_length u16
 *      26 who_length u8
 *      27 key_length u8      0: the base
 *      28 unset u8           0 or 1: the key is unset; then there is no value
 *      29 zero 3 x u8
 *      name, then of each part: who, note, key, value: no NUL within or after
 *
 * Example: version 3 of "pay", by "ops", without a note, text "[pay]\n" and no
 * layers:
 *   cc cc cc cc  02 00 03 00  sequence ...  03 00 00 00  01 00 00 00
 *   when ... until (8 x 00)  03 00 00 00  06 00 00 00  00 00 03 00 00 00 00 00
 *   "pay" "ops" "[pay]\n"                                  68 bytes in all
 *
 * "bide set pay attempts=9 --for 1h" then makes version 4: the same base, with
 * version 3, and a part with version 4, an end, key "attempts", value "9". */
#include "record.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "record_key.h"

enum { FORMAT = 2, CRC = 4 };

struct header {
    uint32_t crc;
    uint8_t format;
    uint8_t deleted;
    uint8_t name_length;
    uint8_t zero;
    uint64_t sequence;
    uint32_t version;
    uint32_t part_count;
};

struct part_header {
    uint64_t when_ns, until_ns;
    uint32_t version;
    uint32_t value_length;
    uint16_t note_length;
    uint8_t who_length;
    uint8_t key_length;
    uint8_t unset;
    uint8_t zero[3];
};

#define AT(type, field, offset) \
    _Static_assert(offsetof(struct type, field) == (offset), #field)
AT(header, crc, 0);
AT(header, format, 4);
AT(header, deleted, 5);
AT(header, name_length, 6);
AT(header, zero, 7);
AT(header, sequence, 8);
AT(header, version, 16);
AT(header, part_count, 20);
_Static_assert(sizeof(struct header) == 24, "the parts follow at 24");
AT(part_header, when_ns, 0);
AT(part_header, until_ns, 8);
AT(part_header, version, 16);
AT(part_header, value_length, 20);
AT(part_header, note_length, 24);
AT(part_header, who_length, 26);
AT(part_header, key_length, 27);
AT(part_header, unset, 28);
AT(part_header, zero, 29);
_Static_assert(sizeof(struct part_header) == 32, "without a gap");
_Static_assert(RECORD_WHO_MAX <= UINT8_MAX, "who_length");
_Static_assert(RECORD_NOTE_MAX <= UINT16_MAX, "note_length");
_Static_assert(RECORD_KEY_NAME_MAX <= UINT8_MAX, "key_length");

bool
record_name_fits(const char *name)
{
    size_t length = strnlen(name, BIDE_NAME_MAX + 1);

    return length && length <= BIDE_NAME_MAX;
}

/* Reports whether part `i` may follow a part of version `before`. */
static bool
part_is_valid(const struct part_header *p, uint32_t i, uint32_t before,
              const struct header *h)
{
    bool base = i == 0;

    return p->version && p->version <= h->version &&
           (i < 2 || p->version >= before) && base == !p->until_ns &&
           base == !p->key_length && p->unset <= !base &&
           !(p->unset && p->value_length) && !p->zero[0] && !p->zero[1] &&
           !p->zero[2] && p->who_length <= RECORD_WHO_MAX &&
           p->note_length <= RECORD_NOTE_MAX &&
           p->key_length <= RECORD_KEY_NAME_MAX &&
           p->value_length <= RECORD_TEXT_MAX;
}

/* Reports whether the headers are valid.  Returns the length of a record with
 * them in *out. */
static bool
headers_are_valid(const struct header *h, const struct part_header *parts,
                  size_t *out)
{
    uint32_t before = 0, newest = 0;

    *out = sizeof(*h) + h->part_count * sizeof(*parts) + h->name_length;
    for (uint32_t i = 0; i < h->part_count; i++) {
        const struct part_header *p = &parts[i];

        if (!part_is_valid(p, i, before, h)) {
            return false;
        }
        before = p->version;
        newest = before > newest ? before : newest;
        *out += (size_t)p->who_length + p->note_length + p->key_length +
                p->value_length;
    }
    return h->format == FORMAT && h->deleted <= 1 && !h->zero &&
           h->name_length && h->name_length <= BIDE_NAME_MAX && h->version &&
           newest == h->version &&
           !(h->deleted && (h->part_count > 1 || parts[0].value_length));
}

/* ---- writing ---- */

/* Fills the header of a part.  Returns false if a string is NULL or too long
 * for its field. */
static bool
fill_part_header(const struct record *r, const struct record_part *p,
                 struct part_header *out)
{
    *out = (struct part_header){
        .when_ns = p->when_ns,
        .until_ns = p->until_ns,
        .version = p->version ? p->version : r->version,
        .unset = !p->value,
    };
    if (!p->who || !p->note || !p->key || strlen(p->who) > RECORD_WHO_MAX ||
        strlen(p->note) > RECORD_NOTE_MAX ||
        strlen(p->key) > RECORD_KEY_NAME_MAX ||
        (p->value && strlen(p->value) > RECORD_TEXT_MAX)) {
        return false;
    }
    out->who_length = (uint8_t)strlen(p->who);
    out->note_length = (uint16_t)strlen(p->note);
    out->key_length = (uint8_t)strlen(p->key);
    out->value_length = p->value ? (uint32_t)strlen(p->value) : 0;
    return true;
}

static uint8_t *
append_string(uint8_t *to, const char *string, size_t length)
{
    memcpy(to, string ? string : "", length);
    return to + length;
}

/* Encodes the parts; `headers` has room for them. */
static int
write_parts(const struct record *r, const struct record_part *parts,
            struct header *h, struct part_header *headers, void **out,
            size_t *out_length)
{
    uint8_t *bytes, *to;
    size_t length;

    for (uint32_t i = 0; i < h->part_count; i++) {
        if (!fill_part_header(r, &parts[i], &headers[i])) {
            return BIDE_EINVAL;
        }
    }
    if (!headers_are_valid(h, headers, &length)) {
        return BIDE_EINVAL;
    }
    bytes = malloc(length);
    if (!bytes) {
        return BIDE_ENOMEM;
    }
    to = bytes + sizeof(*h);
    memcpy(to, headers, h->part_count * sizeof(*headers));
    to += h->part_count * sizeof(*headers);
    to = append_string(to, r->name, h->name_length);
    for (uint32_t i = 0; i < h->part_count; i++) {
        to = append_string(to, parts[i].who, headers[i].who_length);
        to = append_string(to, parts[i].note, headers[i].note_length);
        to = append_string(to, parts[i].key, headers[i].key_length);
        to = append_string(to, parts[i].value, headers[i].value_length);
    }
    memcpy(bytes, h, sizeof(*h));
    h->crc = crc32c(0, bytes + CRC, length - CRC);
    memcpy(bytes, &h->crc, CRC);
    *out = bytes;
    *out_length = length;
    return 0;
}

int
record_write(const struct record *r, void **out, size_t *out_length)
{
    const struct record_part base = {.when_ns = r->when_ns,
                                     .who = r->who,
                                     .note = r->note,
                                     .key = "",
                                     .value = r->text};
    struct header h = {
        .format = FORMAT,
        .deleted = r->deleted,
        .name_length = (uint8_t)strnlen(r->name, BIDE_NAME_MAX + 1),
        .sequence = r->sequence,
        .version = r->version,
        .part_count = r->part_count ? (uint32_t)r->part_count : 1,
    };
    struct part_header *headers;
    int rc;

    if (r->part_count > RECORD_PARTS_MAX) {
        return BIDE_EINVAL;
    }
    headers = calloc(h.part_count, sizeof(*headers));
    if (!headers) {
        return BIDE_ENOMEM;
    }
    rc = write_parts(r, r->part_count ? r->parts : &base, &h, headers, out,
                     out_length);
    free(headers);
    return rc;
}

/* ---- reading ---- */

/* Copies `length` bytes to *to with a NUL, and moves both past them. */
static const char *
copy_string(char **to, const uint8_t **from, size_t length)
{
    char *string = *to;

    memcpy(string, *from, length);
    string[length] = '\0';
    *from += length;
    *to += length + 1;
    return string;
}

/* Decodes the parts of a valid record; one allocation has all of them and their
 * strings. */
static int
read_parts(const struct header *h, const uint8_t *bytes, size_t length,
           struct record *out)
{
    const uint8_t *head = bytes + sizeof(*h);
    const uint8_t *from =
        head + h->part_count * sizeof(struct part_header) + h->name_length;
    size_t size = h->part_count * (sizeof(*out->parts) + 4);
    struct part_header p;
    char *to;

    out->parts = malloc(size + length);
    if (!out->parts) {
        return BIDE_ENOMEM;
    }
    to = (char *)(out->parts + h->part_count);
    for (uint32_t i = 0; i < h->part_count; i++, head += sizeof(p)) {
        struct record_part *part = &out->parts[i];

        memcpy(&p, head, sizeof(p));
        part->version = p.version;
        part->when_ns = p.when_ns;
        part->until_ns = p.until_ns;
        part->who = copy_string(&to, &from, p.who_length);
        part->note = copy_string(&to, &from, p.note_length);
        part->key = copy_string(&to, &from, p.key_length);
        part->value = copy_string(&to, &from, p.value_length);
        part->value = p.unset ? NULL : part->value;
    }
    out->part_count = h->part_count;
    return 0;
}

/* Reports whether the bytes are a record.  Fills its header. */
static int
check_record(const uint8_t *bytes, size_t length, struct header *h)
{
    struct part_header *parts;
    size_t wanted, heads;
    bool ok;

    if (length < sizeof(*h)) {
        return BIDE_EDAMAGED;
    }
    memcpy(h, bytes, sizeof(*h));
    heads = h->part_count * sizeof(*parts);
    if (!h->part_count || h->part_count > RECORD_PARTS_MAX ||
        length - sizeof(*h) < heads) {
        return BIDE_EDAMAGED;
    }
    parts = malloc(heads); /* because the bytes may not be aligned */
    if (!parts) {
        return BIDE_ENOMEM;
    }
    memcpy(parts, bytes + sizeof(*h), heads);
    heads += sizeof(*h);
    ok = headers_are_valid(h, parts, &wanted) && length == wanted &&
         h->crc == crc32c(0, bytes + CRC, length - CRC) &&
         !memchr(bytes + heads, '\0', length - heads);
    free(parts);
    return ok ? 0 : BIDE_EDAMAGED;
}

int
record_read(const void *bytes, size_t length, const char *name,
            struct record *out)
{
    struct record r = {.deleted = false};
    struct header h;
    int rc = check_record(bytes, length, &h);

    if (rc) {
        return rc;
    }
    memcpy(r.name,
           (const uint8_t *)bytes + sizeof(h) +
               h.part_count * sizeof(struct part_header),
           h.name_length);
    if (name && strcmp(r.name, name)) {
        return BIDE_EDAMAGED;
    }
    rc = read_parts(&h, bytes, length, &r);
    if (rc) {
        return rc;
    }
    r.deleted = h.deleted;
    r.sequence = h.sequence;
    record_settle(&r, 0);
    *out = r;
    return 0;
}

void
record_free(struct record *r)
{
    free(r->parts);
    r->parts = NULL;
    r->part_count = 0;
    r->who = r->note = r->text = NULL;
}

void
record_settle(struct record *r, uint64_t at_ns)
{
    const struct record_part *newest = r->parts;
    size_t kept = 1;

    r->until_ns = 0;
    for (size_t i = 1; i < r->part_count; i++) {
        const struct record_part *p = &r->parts[i];

        if (p->until_ns <= at_ns) {
            continue;
        }
        if (!r->until_ns || p->until_ns < r->until_ns) {
            r->until_ns = p->until_ns;
        }
        r->parts[kept] = *p;
        p = &r->parts[kept++];
        newest = p->version > newest->version ? p : newest;
    }
    r->part_count = kept;
    r->version = newest->version;
    r->when_ns = newest->when_ns;
    r->who = newest->who;
    r->note = newest->note;
    r->text = r->parts[0].value;
}

uint64_t
record_end(const struct record *r)
{
    const struct record_part *last = &r->parts[r->part_count - 1];

    return last->version == r->version ? last->until_ns : 0;
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
