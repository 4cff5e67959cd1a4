/* Reads a journal through a window of JOURNAL_BATCH_MAX bytes that moves over
 * the file. */
#include "scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/paths.h"
#include "base/safe.h"
#include "store/file/place.h"
#include "record.h"

#define AT(type, field, offset) \
    _Static_assert(offsetof(struct type, field) == (offset), #field)
AT(journal_head, crc, 4);
AT(journal_head, id, 8);
AT(journal_batch, crc, 4);
AT(journal_batch, length, 8);
AT(journal_batch, number, 16);
_Static_assert(sizeof(struct journal_batch) == 24, "entries follow");
AT(journal_entry, gone, 2);
AT(journal_entry, value_length, 4);
_Static_assert(sizeof(struct journal_entry) == 8, "the key follows");
_Static_assert(sizeof(struct journal_mark) == 16, "no holes");

/* ---- the format ---- */

bool
scan_may_be_batch(const struct journal_batch *b, size_t at)
{
    return b->magic == BATCH_MAGIC && b->length > sizeof(*b) &&
           b->length <= JOURNAL_BATCH_MAX && at + b->length <= JOURNAL_SIZE;
}

uint32_t
scan_batch_crc(uint64_t id, const uint8_t *bytes, size_t length)
{
    const size_t skip = offsetof(struct journal_batch, length);

    return crc32c(crc32c(0, &id, sizeof(id)), bytes + skip, length - skip);
}

static bool
has_batch_magic(const uint8_t *bytes)
{
    uint32_t magic;

    memcpy(&magic, bytes, sizeof(magic));
    return magic == BATCH_MAGIC;
}

/* ---- the window ---- */

static void
fill_window(struct scan *s, size_t at)
{
    s->from = at;
    s->size = 0;
    while (s->size < JOURNAL_BATCH_MAX && !s->failed) {
        ssize_t n = pread(s->fd, s->buffer + s->size,
                          JOURNAL_BATCH_MAX - s->size, (off_t)(at + s->size));

        if (n < 0 && errno != EINTR) {
            s->failed = errno;
        }
        if (n == 0) {
            break;
        }
        s->size += n > 0 ? (size_t)n : 0;
    }
}

/* Returns `length` bytes at an offset; NULL: the file ends before. */
static const uint8_t *
bytes_at(struct scan *s, size_t at, size_t length)
{
    if (at + length > JOURNAL_SIZE) {
        return NULL;
    }
    if (at < s->from || at + length > s->from + s->size) {
        fill_window(s, at);
    }
    return at + length <= s->from + s->size ? s->buffer + (at - s->from) : NULL;
}

/* ---- a batch ---- */

/* Reads bytes that may be the head of a batch. */
static bool
read_batch_head(struct scan *s, size_t at, struct journal_batch *out)
{
    const uint8_t *bytes = bytes_at(s, at, sizeof(*out));

    if (bytes) {
        memcpy(out, bytes, sizeof(*out));
    }
    return bytes && scan_may_be_batch(out, at);
}

/* Returns the entries of a batch; NULL: its checksum is wrong. */
static const uint8_t *
whole_entries(struct scan *s, size_t at, const struct journal_batch *b)
{
    const uint8_t *bytes = bytes_at(s, at, b->length);

    return bytes && b->crc == scan_batch_crc(s->id, bytes, b->length)
               ? bytes + sizeof(*b)
               : NULL;
}

static int
report_batch(struct scan *s, size_t at, const struct journal_batch *b,
             const uint8_t *entries)
{
    int rc = s->batch(s->arg, entries, b->length - sizeof(*b));

    if (!rc) {
        s->at =
            at + (b->length + JOURNAL_STEP - 1) / JOURNAL_STEP * JOURNAL_STEP;
        s->next = b->number + 1;
    }
    return rc;
}

/* ---- reading ---- */

uint64_t
scan_id(struct scan *s)
{
    const uint8_t *bytes = bytes_at(s, 0, JOURNAL_START);
    struct journal_head head;

    if (!bytes) {
        return 0;
    }
    memcpy(&head, bytes, sizeof(head));
    return head.magic == JOURNAL_MAGIC &&
                   head.crc == crc32c(0, &head.id, sizeof(head.id))
               ? head.id
               : 0;
}

/* Returns the next offset with the magic of a batch, or JOURNAL_SIZE. */
static size_t
find_batch(struct scan *s, size_t at)
{
    const size_t least = sizeof(struct journal_batch);

    while (bytes_at(s, at, least)) {
        for (; at + least <= s->from + s->size; at += JOURNAL_STEP) {
            if (has_batch_magic(s->buffer + (at - s->from))) {
                return at;
            }
        }
    }
    return JOURNAL_SIZE;
}

/* Reads the batches in order, up to one that is not the next.  Then those after
 * it that are whole and have a later number: there are none unless a batch in
 * the middle was lost. */
int
scan_journal(struct scan *s)
{
    size_t at = s->at;
    int rc = 0;

    while (!rc && (at = s->tail ? at : find_batch(s, at)) < JOURNAL_SIZE) {
        const uint8_t *entries = NULL;
        struct journal_batch b;

        if (read_batch_head(s, at, &b) &&
            (s->tail ? b.number == s->next : b.number >= s->next)) {
            entries = whole_entries(s, at, &b);
        }
        if (!entries && s->tail) {
            break;
        }
        if (!entries) {
            at += JOURNAL_STEP;
            continue;
        }
        s->unsound |= at != s->at || b.number != s->next;
        rc = report_batch(s, at, &b, entries);
        at = s->at;
    }
    return rc ? rc : s->failed;
}

int
scan_past(struct scan *s)
{
    struct journal_batch b;
    size_t at;

    for (at = JOURNAL_START; (at = find_batch(s, at)) < JOURNAL_SIZE;
         at += JOURNAL_STEP) {
        if (read_batch_head(s, at, &b) && b.number >= s->next &&
            b.number < UINT64_MAX / 2) {
            s->next = b.number + 1;
        }
    }
    return s->failed;
}

bool
deferred_journal_left(const char *dir, struct journal_mark *out)
{
    struct scan s = {.fd = safe_open(path_of(dir, PATH_DEFERRED_JOURNAL).text),
                     .buffer = malloc(JOURNAL_BATCH_MAX)};
    struct journal_batch b;
    bool left = false;

    if (s.fd >= 0 && s.buffer) {
        s.id = scan_id(&s);
        left = s.id && read_batch_head(&s, JOURNAL_START, &b) &&
               whole_entries(&s, JOURNAL_START, &b);
        *out = (struct journal_mark){s.id, left ? b.number - 1 : 0};
    }
    safe_close(s.fd);
    free(s.buffer);
    return left;
}

int
scan_entries(const uint8_t *from, size_t left, scan_entry_fn *entry, void *arg)
{
    int rc = 0;

    while (left && !rc) {
        struct journal_entry e;
        size_t size;

        if (left < sizeof(e)) {
            return EBADMSG;
        }
        memcpy(&e, from, sizeof(e));
        size = sizeof(e) + e.key_length + (size_t)e.value_length;
        if (size > left || !e.key_length || e.key_length > DEFERRED_KEY_ROOM) {
            return EBADMSG;
        }
        rc = entry(arg, &e, from + sizeof(e));
        from += size;
        left -= size;
    }
    return rc;
}
