/* A record in bytes, little-endian:
 *
 *    0 crc u32        of all that follows
 *    4 format u8      3
 *    5 deleted u8     0 or 1
 *    6 zero u16
 *    8 sequence u64
 *   16 version u32    of the newest part
 *   20 part_count u32
 *   24 the name, with a NUL
 *      for each part, the base first, then layers by version:
 *        when_ns u64
 *        until_ns u64   0: the base
 *        version u32
 *        unset u32      0, or 1: the key is unset; then the value is ""
 *        uid u32        the real one of the process; not 4294967295
 *        zero u32
 *        who, note, key ("": the base), value (of the base: its text), each
 *        with a NUL
 *
 * Example: version 3 of "pay", by "ops" (uid 1000), without a note, text
 * "[pay]\n" and no layers:
 *   cc cc cc cc  03 00 00 00  sequence ...  03 00 00 00  01 00 00 00
 *   "pay" 00  when ... until (8 x 00)  03 00 00 00  00 00 00 00
 *   e8 03 00 00  00 00 00 00
 *   "ops" 00 00 00 "[pay]\n" 00                            73 bytes in all
 *
 * "bide set pay attempts=9 --for 1h" then makes version 4: the same base, with
 * version 3, and a part with version 4, an end, key "attempts", value "9". */
#include "record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/draft.h"
#include "store/file/seal.h"
#include "record_key.h"

enum { FORMAT = 3, CRC = 4, VERSION = 4, SEQUENCE = 8 /* sizes */ };

struct header {
    uint32_t crc;
    uint8_t format;
    uint8_t deleted;
    uint16_t zero;
    uint64_t sequence;
    uint32_t version;
    uint32_t part_count;
};

struct part_header {
    uint64_t when_ns, until_ns;
    uint32_t version;
    uint32_t unset;
    uint32_t uid;
    uint32_t zero;
};

#define AT(type, field, offset) \
    _Static_assert(offsetof(struct type, field) == (offset), #field)
AT(header, crc, 0);
AT(header, format, 4);
AT(header, deleted, 5);
AT(header, zero, 6);
AT(header, sequence, 8);
AT(header, version, 16);
AT(header, part_count, 20);
_Static_assert(sizeof(struct header) == 24, "the name follows at 24");
AT(part_header, when_ns, 0);
AT(part_header, until_ns, 8);
AT(part_header, version, 16);
AT(part_header, unset, 20);
AT(part_header, uid, 24);
AT(part_header, zero, 28);
_Static_assert(sizeof(struct part_header) == 32, "without a gap");

bool
record_name_fits(const char *name)
{
    size_t length = strnlen(name, BIDE_NAME_MAX + 1);

    return length && length <= BIDE_NAME_MAX;
}

static bool
fits(const char *string, size_t most)
{
    return string && strnlen(string, most + 1) <= most;
}

/* Returns the version of a part; 0 stands for the one that is written. */
static uint32_t
version_of(const struct record *r, const struct record_part *p)
{
    return p->version ? p->version : r->version;
}

/* Reports whether `count` parts are those of a record. */
static bool
parts_are_valid(const struct record *r, const struct record_part *parts,
                size_t count)
{
    uint32_t newest = 0, before = 0;

    for (size_t i = 0; i < count; i++) {
        const struct record_part *p = &parts[i];
        uint32_t version = version_of(r, p);
        bool base = i == 0;

        if (!fits(p->who, RECORD_WHO_MAX) || !fits(p->note, RECORD_NOTE_MAX) ||
            !fits(p->key, RECORD_KEY_NAME_MAX) ||
            !fits(p->value ? p->value : "", RECORD_TEXT_MAX) ||
            p->uid == UINT32_MAX /* stands for no user */ ||
            base != !p->until_ns || base != !*p->key || (base && !p->value) ||
            (i > 1 && version < before)) {
            return false;
        }
        before = version;
        newest = version > newest ? version : newest;
    }
    return newest && newest == r->version &&
           !(r->deleted && (count > 1 || *parts[0].value));
}

/* ---- writing ---- */

static void
add_string(struct draft *d, const char *string)
{
    draft_add(d, string, strlen(string) + 1);
}

int
record_write(const struct record *r, void **out, size_t *out_length)
{
    const struct record_part base = {0,      r->when_ns, 0,  r->uid,
                                     r->who, r->note,    "", r->text};
    const struct record_part *p = r->part_count ? r->parts : &base;
    struct header h = {.format = FORMAT,
                       .deleted = r->deleted,
                       .sequence = r->sequence,
                       .version = r->version,
                       .part_count =
                           r->part_count ? (uint32_t)r->part_count : 1};
    struct draft d = {0};

    if (r->part_count > RECORD_PARTS_MAX || !record_name_fits(r->name) ||
        !parts_are_valid(r, p, h.part_count)) {
        return BIDE_EINVAL;
    }
    draft_add(&d, (const char *)&h, sizeof(h));
    add_string(&d, r->name);
    for (uint32_t i = 0; i < h.part_count; i++, p++) {
        struct part_header head = {p->when_ns, p->until_ns, version_of(r, p),
                                   !p->value,  p->uid,      0};

        draft_add(&d, (const char *)&head, sizeof(head));
        add_string(&d, p->who);
        add_string(&d, p->note);
        add_string(&d, p->key);
        add_string(&d, p->value ? p->value : "");
    }
    if (d.failed) {
        draft_free(&d);
        return BIDE_ENOMEM;
    }
    h.crc = crc32c(0, (const uint8_t *)d.bytes + CRC, d.used - CRC);
    memcpy(d.bytes, &h.crc, CRC);
    *out_length = d.used;
    *out = d.bytes;
    return 0;
}

/* ---- reading ---- */

/* Returns the string at *from and moves it past the NUL; NULL if there is none
 * before `end`. */
static const char *
take_string(const char **from, const char *end)
{
    const char *string = *from;
    const char *nul =
        string ? memchr(string, '\0', (size_t)(end - string)) : NULL;

    *from = nul ? nul + 1 : NULL;
    return nul ? string : NULL;
}

/* Fills the parts with strings within `from`.  Returns false if the bytes are
 * not just those parts. */
static bool
take_parts(const char *from, const char *end, struct record *r)
{
    for (size_t i = 0; i < r->part_count; i++) {
        struct record_part *p = &r->parts[i];
        struct part_header head;

        if (!from || (size_t)(end - from) < sizeof(head)) {
            return false;
        }
        memcpy(&head, from, sizeof(head));
        from += sizeof(head);
        p->when_ns = head.when_ns;
        p->until_ns = head.until_ns;
        p->version = head.version;
        p->uid = head.uid;
        p->who = take_string(&from, end);
        p->note = take_string(&from, end);
        p->key = take_string(&from, end);
        p->value = take_string(&from, end);
        if (!p->value || !p->version || head.unset > 1 || head.zero ||
            (head.unset && *p->value)) {
            return false;
        }
        p->value = head.unset ? NULL : p->value;
    }
    return from == end;
}

int
record_read(const void *bytes, size_t length, const char *name,
            struct record *out)
{
    struct record r = {.deleted = false};
    const char *from, *end, *own;
    struct header h;

    if (length < sizeof(h)) {
        return BIDE_EDAMAGED;
    }
    memcpy(&h, bytes, sizeof(h));
    if (h.format != FORMAT || h.deleted > 1 || h.zero || !h.part_count ||
        h.part_count > RECORD_PARTS_MAX ||
        h.crc != crc32c(0, (const uint8_t *)bytes + CRC, length - CRC)) {
        return BIDE_EDAMAGED;
    }
    r.deleted = h.deleted;
    r.sequence = h.sequence;
    r.version = h.version;
    r.part_count = h.part_count;
    r.parts = malloc(r.part_count * sizeof(*r.parts) + length);
    if (!r.parts) {
        return BIDE_ENOMEM;
    }
    from = memcpy(r.parts + r.part_count, bytes, length);
    end = from + length;
    from += sizeof(h);
    own = take_string(&from, end);
    if (!own || !record_name_fits(own) || (name && strcmp(own, name) != 0) ||
        !take_parts(from, end, &r) ||
        !parts_are_valid(&r, r.parts, r.part_count)) {
        record_free(&r);
        return BIDE_EDAMAGED;
    }
    strcpy(r.name, own);
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
    r->uid = newest->uid;
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
    uint8_t *end = key_append(out, name, strlen(name) + 1);

    return (size_t)(key_put(end, version, VERSION) - out);
}

size_t
record_sequence_key(uint64_t sequence, uint8_t *out)
{
    return (size_t)(key_put(out, sequence, SEQUENCE) - out);
}

size_t
record_child_key(const char *parent, const char *name, uint8_t *out)
{
    uint8_t *end = key_append(out, parent, strlen(parent) + 1);

    return (size_t)(key_append(end, name, strlen(name)) - out);
}

uint32_t
record_key_version(const char *name, const void *key, size_t length)
{
    size_t before = strlen(name) + 1;

    return length == before + VERSION && !memcmp(key, name, before)
               ? (uint32_t)key_get((const uint8_t *)key + before, VERSION)
               : 0;
}

uint64_t
record_key_sequence(const void *key, size_t length)
{
    return length == SEQUENCE ? key_get(key, SEQUENCE) : 0;
}

size_t
record_change(const struct record *r, uint8_t *out)
{
    uint8_t *end = key_put(out, r->version, VERSION);

    return (size_t)(key_append(end, r->name, strlen(r->name)) - out);
}

bool
record_change_read(const uint8_t *value, size_t length, uint32_t *version,
                   char name[BIDE_NAME_MAX + 1])
{
    if (length <= VERSION || length > VERSION + BIDE_NAME_MAX) {
        return false;
    }
    *version = (uint32_t)key_get(value, VERSION);
    key_text(value + VERSION, name, length - VERSION);
    return true;
}

struct brief
record_rename_key(unsigned number)
{
    struct brief key;

    snprintf(key.text, sizeof(key.text), "renamed %u", number);
    return key;
}

const char *
record_renamed_to(const struct record *r)
{
    size_t length = strlen(RECORD_RENAMED_TO);

    return r->deleted && strncmp(r->note, RECORD_RENAMED_TO, length) == 0
               ? r->note + length
               : NULL;
}

char *
record_text_named(const struct record *r, const char *name)
{
    char *text; /* it begins with "[NAME]" */

    return asprintf(&text, "[%s]%s", name, r->text + strlen(r->name) + 2) < 0
               ? NULL
               : text;
}
