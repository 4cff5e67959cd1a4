/* The marks of a cell are a ring of 64-byte units behind the bodies.  A mark
 * takes as many units as it needs and names the mark before it; the newest one
 * is named by the word `counting` of the cell.
 *
 *   counting = 7 | 40 << 32        counts for version 7 since mark 40
 *   mark 40: before = 5 | 21 << 32 version 5 ended there, since mark 21
 *   mark 21: before = 4            version 4 ended there
 *
 * A mark is written first and then named by CAS, so a process that is killed
 * leaves either no mark or a whole one, and of several processes that see the
 * same change one leaves a mark.  When the ring is full, the oldest marks are
 * overwritten: their counts join those of the mark after them. */
#include "mark.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "inside.h"
#include "reading.h"

enum {
    UNIT = 64,
    UNITS = MARKS_SIZE / UNIT,
    COUNTS = STRIPE_WORDS + 1 + CELL_OUTCOMES + GUARD_TOTALS + CALLS_WORDS,
    MARKS_MOST = 64, /* that are read: older ones join the oldest of them */
    TRIES = 100,
};

struct mark {
    uint32_t crc;    /* of all that follows */
    uint32_t length; /* of `count` */
    uint64_t before; /* `counting` when it was left */
    uint64_t at;     /* its first unit, counted from 1 and never again */
    uint64_t some[(COUNTS + 63) / 64]; /* bits of the counts that are not 0 */
    uint64_t count[COUNTS];            /* only those */
};
_Static_assert(sizeof(struct mark) <= MARKS_SIZE, "one fits");

static uint32_t
version_of(uint64_t counting)
{
    return (uint32_t)counting;
}

static uint32_t
mark_of(uint64_t counting)
{
    return (uint32_t)(counting >> 32);
}

static size_t
mark_size(const struct mark *m)
{
    return offsetof(struct mark, count) + m->length * sizeof(m->count[0]);
}

static uint32_t
mark_crc(const struct mark *m)
{
    return crc32c(0, &m->length, mark_size(m) - offsetof(struct mark, length));
}

/* Returns the offset of a mark within the ring. */
static uint32_t
ring_offset(uint32_t at)
{
    return (at - 1) % UNITS * UNIT;
}

static uint64_t
ring_of(uint32_t index)
{
    return LIVE_MARKS + (uint64_t)index * MARKS_SIZE;
}

/* Returns the place of a count; all of them are numbered. */
static uint64_t *
count_at(struct cell_words *w, uint32_t number)
{
    if (number < STRIPE_WORDS) {
        return &w->stripe[number];
    }
    number -= STRIPE_WORDS;
    if (number <= CELL_OUTCOMES) { /* 0: the count of all others */
        return &w->outcomes[number ? number * SLOT_WORDS + 1 : 0];
    }
    number -= CELL_OUTCOMES + 1;
    return number < GUARD_TOTALS
               ? &w->guard[number]
               : (uint64_t *)&w->calls + (number - GUARD_TOTALS);
}

bool
cell_has_marks(const struct cell *c)
{
    return mark_of(atomic_load(&c->counting)) != 0;
}

/* ---- leaving a mark ---- */

struct marking {
    struct cell_words words;
    struct mark mark, last;
};

static void
fill_mark(struct marking *m)
{
    memset(&m->mark, 0, sizeof(m->mark));
    for (uint32_t i = 0; i < COUNTS; i++) {
        uint64_t count = *count_at(&m->words, i);

        if (count) {
            m->mark.some[i / 64] |= 1ull << i % 64;
            m->mark.count[m->mark.length++] = count;
        }
    }
}

static bool
read_mark(struct live *l, uint32_t index, uint32_t at, struct mark *out)
{
    uint32_t offset = ring_offset(at), room = MARKS_SIZE - offset;
    size_t size = room < sizeof(*out) ? room : sizeof(*out);

    return at && live_copy(live_fd(l), ring_of(index) + offset, out, size) &&
           out->at == at && out->length <= COUNTS && mark_size(out) <= size &&
           mark_crc(out) == out->crc;
}

/* Writes the mark and returns its place; 0 if there is no space. */
static uint32_t
write_mark(struct live *l, uint32_t index, struct cell *c, struct mark *m)
{
    uint32_t units = (uint32_t)(mark_size(m) + UNIT - 1) / UNIT, at;

    do { /* again if it would not fit before the end of the ring */
        at = atomic_fetch_add(&c->marks, units) + 1;
    } while (!at || ring_offset(at) + units * UNIT > MARKS_SIZE);
    m->at = at;
    m->crc = mark_crc(m);
    return live_write(l, ring_of(index) + ring_offset(at), m, mark_size(m)) ? at
                                                                            : 0;
}

/* Leaves a mark and returns its place.  Returns the last one's if nothing was
 * counted since, or if there is no space. */
static uint32_t
leave_mark(struct live *l, uint32_t index, struct cell *c, uint64_t seen,
           struct marking *m)
{
    uint32_t last = mark_of(seen), at;

    words_of_cell(l, index, &m->words);
    fill_mark(m);
    if (m->mark.length == 0 ||
        (read_mark(l, index, last, &m->last) &&
         m->last.length == m->mark.length &&
         !memcmp(m->last.some, m->mark.some,
                 mark_size(&m->mark) - offsetof(struct mark, some)))) {
        return last;
    }
    m->mark.before = seen;
    at = write_mark(l, index, c, &m->mark);
    if (!at) {
        atomic_fetch_add(&live_header(l)->marks_refused, 1);
    }
    return at ? at : last;
}

void
cell_count_for(struct live *l, uint32_t index, uint64_t txn, uint32_t gate,
               uint32_t version)
{
    struct cell *c = cell_at(l, index);
    struct marking *m = NULL;

    live_raise(&live_header(l)->newest_txn, txn);
    live_raise(&live_header(l)->newest_version, version);
    for (int i = 0; c && i < TRIES; i++) {
        uint64_t seen = atomic_load(&c->counting), now = atomic_load(&c->gate);
        uint32_t at = mark_of(seen);

        if (version_of(seen) == version || GATE_TXN(now) > (txn & TXN_MASK) ||
            (now ^ gate) & GATE_MOVED) {
            break;
        }
        if (!live_is_private(l) && (m || (m = malloc(sizeof(*m))))) {
            at = leave_mark(l, index, c, seen, m);
        }
        if (atomic_compare_exchange_strong(&c->counting, &seen,
                                           (uint64_t)at << 32 | version)) {
            break;
        }
    }
    free(m);
}

/* ---- reading ---- */

struct parts {
    struct cell_words now, then;
    struct mark mark;
    struct cell_part part;
    uint32_t count, at[MARKS_MOST]; /* the newest first */
};

/* Reads the totals and finds the marks before them.  Returns the word that the
 * totals are counted for. */
static uint64_t
find_parts(struct live *l, uint32_t index, const struct cell *c,
           struct parts *p)
{
    uint64_t seen = atomic_load(&c->counting), again, before;

    for (int i = 0; i < TRIES; i++, seen = again) {
        words_of_cell(l, index, &p->now);
        again = atomic_load(&c->counting);
        if (again == seen) {
            break;
        }
    }
    p->count = 0;
    before = seen;
    while (p->count < MARKS_MOST &&
           read_mark(l, index, mark_of(before), &p->mark)) {
        p->at[p->count++] = mark_of(before);
        before = p->mark.before;
    }
    p->part.cut = mark_of(before) != 0;
    return seen;
}

/* Sets p->then to the totals in the mark.  Returns false if they are not
 * between those of the part before it and now. */
static bool
restore_counts(struct parts *p)
{
    struct cell_words earlier = p->then;
    uint32_t used = 0;

    for (uint32_t i = 0; i < COUNTS; i++) {
        uint64_t *count = count_at(&p->then, i), before = *count;
        bool some = p->mark.some[i / 64] >> i % 64 & 1;

        *count = some && used < p->mark.length ? p->mark.count[used++] : 0;
        if (*count < before || *count > *count_at(&p->now, i)) {
            p->then = earlier;
            return false;
        }
    }
    return true;
}

int
cell_each_part(struct live *l, uint32_t index,
               int (*visit)(void *arg, const struct cell_part *part), void *arg)
{
    const struct cell *c = cell_at(l, index);
    struct parts *p = c ? calloc(1, sizeof(*p)) : NULL;
    uint64_t counting;
    int rc = 0;

    if (!p) {
        return c ? BIDE_ENOMEM : 0;
    }
    counting = p->part.counting = find_parts(l, index, c, p);
    /* Outcomes keep their slots, so only their counts differ. */
    p->then = p->now;
    for (uint32_t i = 0; i < COUNTS; i++) {
        *count_at(&p->then, i) = 0;
    }
    while (p->count > 0 && !rc) {
        if (read_mark(l, index, p->at[--p->count], &p->mark) &&
            restore_counts(p)) {
            p->part.version = version_of(p->mark.before);
            reading_of_words(&p->then, &p->part.reading);
            rc = visit(arg, &p->part);
            p->part.cut = false;
        }
    }
    if (!rc) {
        p->part.version = version_of(counting);
        p->part.last = true;
        reading_of_words(&p->now, &p->part.reading);
        rc = visit(arg, &p->part);
    }
    free(p);
    return rc;
}

void
cell_forget_marks(struct cell *c, uint64_t counting)
{
    atomic_compare_exchange_strong(&c->counting, &counting,
                                   version_of(counting));
}
