/* The snapshots of a cell are a ring of six slots behind the marks, one page
 * for each cell.  The slot of a snapshot is its time in steps of 10 s, modulo
 * six: one that is taken in time replaces one that is a minute old.
 *
 *   now 123 s     slot 0 has 121 s, 1 has 73 s, 2 has 82 s, ... 5 has 114 s;
 *                 the one that is nearest to a minute old is that of 73 s
 *
 * A process claims the right to take the next snapshot by a CAS of the cell's
 * snapshot_ns.  Its checksum makes readers ignore a snapshot whose writer was
 * killed, and `begun` one of another name that the cell had before.
 *
 * Latencies are stored in groups of neighbouring buckets, the smallest that
 * hold all that were counted: of 17 buckets for each power of two they are
 * exact over six powers of two, 6 % over 11. */
#include "snapshot.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "inside.h"
#include "reading.h"

#define EVERY_NS UINT64_C(10000000000)
#define WINDOW_NS UINT64_C(60000000000)
#define SHORTEST_NS UINT64_C(1000000000)

enum {
    RING_SIZE = 4096,
    SLOTS = 6,
    GROUPS = 98,
    COUNTS = 14, /* counters, from the first one on */
    GROUP_MOST = (HISTOGRAM_BUCKETS + GROUPS - 1) / GROUPS,
};

struct cell_snapshot {
    uint32_t crc;                        /* of all that follows */
    uint16_t first, step;                /* first bucket, buckets in a group */
    uint64_t when_ns;                    /* CLOCK_MONOTONIC */
    uint64_t begun;                      /* of the cell */
    uint64_t succeeded, failed;          /* attempts */
    uint64_t counter[COUNTS];            /* enum counter */
    uint32_t outcome[1 + CELL_OUTCOMES]; /* modulo 2^32; the first: others */
    uint32_t group[GROUPS];              /* modulo 2^32 */
};
_Static_assert(sizeof(struct cell_snapshot) == 672, "six in a page");
_Static_assert(SLOTS * sizeof(struct cell_snapshot) <= RING_SIZE, "ring");
_Static_assert(COUNTER_PERMANENT + 1 == COUNTS, "the counters that count now");

static uint64_t
ring_of(uint32_t index)
{
    return LIVE_SNAPSHOTS + (uint64_t)index * RING_SIZE;
}

static uint32_t
snapshot_crc(const struct cell_snapshot *s)
{
    return crc32c(0, &s->first,
                  sizeof(*s) - offsetof(struct cell_snapshot, first));
}

static uint64_t *
counters_in(struct cell_words *w)
{
    return w->stripe + 2 * (size_t)HISTOGRAM_BUCKETS;
}

/* Returns the count of an outcome's slot; 0: of all others. */
static uint64_t *
outcome_in(struct cell_words *w, size_t number)
{
    return &w->outcomes[number ? number * SLOT_WORDS + 1 : 0];
}

/* ---- taking ---- */

static void
fill_groups(struct cell_snapshot *s, const uint64_t *counts)
{
    uint32_t first = 0, end = HISTOGRAM_BUCKETS;

    while (first < end && !counts[first]) {
        first++;
    }
    while (end > first && !counts[end - 1]) {
        end--;
    }
    s->first = (uint16_t)first;
    s->step = (uint16_t)((end - first + GROUPS - 1) / GROUPS);
    s->step += !s->step;
    for (uint32_t i = first; i < end; i++) {
        s->group[(i - first) / s->step] += (uint32_t)counts[i];
    }
}

/* Fills a snapshot without its groups and its checksum. */
static void
fill_snapshot(struct cell_snapshot *s, struct cell_words *w, uint64_t begun,
              uint64_t now_ns)
{
    memset(s, 0, sizeof(*s));
    s->when_ns = now_ns;
    s->begun = begun;
    s->succeeded = histogram_count(w->stripe);
    s->failed = histogram_count(w->stripe + HISTOGRAM_BUCKETS);
    memcpy(s->counter, counters_in(w), sizeof(s->counter));
    for (size_t i = 0; i <= CELL_OUTCOMES; i++) {
        s->outcome[i] = (uint32_t)*outcome_in(w, i);
    }
}

/* Claims the next snapshot of a cell, if the last one is `age_ns` old. */
static bool
claim_snapshot(struct live *l, struct cell *c, uint64_t now_ns, uint64_t age_ns)
{
    uint64_t last = c ? atomic_load(&c->snapshot_ns) : 0;

    return c && !live_is_private(l) &&
           (last > now_ns || now_ns - last >= age_ns) &&
           atomic_compare_exchange_strong(&c->snapshot_ns, &last, now_ns);
}

static void
write_snapshot(struct live *l, uint32_t index, struct cell *c,
               const struct cell_words *w, struct cell_snapshot *s)
{
    uint64_t slot = s->when_ns / EVERY_NS % SLOTS;

    fill_groups(s, w->stripe);
    s->crc = snapshot_crc(s);
    if (!live_write(l, ring_of(index) + slot * sizeof(*s), s, sizeof(*s))) {
        atomic_store(&c->snapshot_ns, 0);
    }
}

static bool
has_counted(const struct cell_snapshot *s)
{
    return s->succeeded || s->failed || s->counter[COUNTER_REFUSED] ||
           s->counter[COUNTER_CANCELLED];
}

void
cell_snapshot(struct live *l, uint32_t index, uint64_t now_ns)
{
    struct cell *c = cell_at(l, index);
    struct taking {
        struct cell_words words;
        struct cell_snapshot snapshot;
    } * t;

    if (!claim_snapshot(l, c, now_ns, EVERY_NS)) {
        return;
    }
    t = malloc(sizeof(*t));
    if (t) {
        words_of_cell(l, index, &t->words);
        fill_snapshot(&t->snapshot, &t->words, atomic_load(&c->begun), now_ns);
        if (has_counted(&t->snapshot)) {
            write_snapshot(l, index, c, &t->words, &t->snapshot);
        }
    }
    free(t);
}

/* ---- reading ---- */

struct window {
    struct cell_words now, grown;
    struct cell_snapshot slot[SLOTS], last;
};

/* Returns how far an age is from a minute. */
static uint64_t
distance_ns(uint64_t age_ns)
{
    return age_ns > WINDOW_NS ? age_ns - WINDOW_NS : WINDOW_NS - age_ns;
}

/* Returns the snapshot nearest to a minute old; NULL if the cell, of this age,
 * is nearer. */
static struct cell_snapshot *
choose_snapshot(struct window *w, uint64_t begun, uint64_t age_ns,
                uint64_t now_ns)
{
    struct cell_snapshot *best = NULL;
    uint64_t nearest = distance_ns(age_ns);

    for (size_t i = 0; i < SLOTS; i++) {
        struct cell_snapshot *s = &w->slot[i];

        if (s->when_ns && s->when_ns + SHORTEST_NS <= now_ns &&
            s->begun == begun && s->first < HISTOGRAM_BUCKETS && s->step > 0 &&
            s->step <= GROUP_MOST &&
            distance_ns(now_ns - s->when_ns) < nearest &&
            snapshot_crc(s) == s->crc) {
            best = s;
            nearest = distance_ns(now_ns - s->when_ns);
        }
    }
    return best;
}

/* Sets `grown`, which is zeros, to what each group has counted since the
 * snapshot, in the middle bucket of the group.  Returns false if these are not
 * `succeeded` in all. */
static bool
subtract_groups(const struct cell_snapshot *s, const uint64_t *now,
                uint64_t succeeded, uint64_t *grown)
{
    uint32_t at = s->first;

    if (succeeded == 0) {
        return true;
    }
    memcpy(grown, now, HISTOGRAM_BUCKETS * sizeof(*grown));
    for (uint32_t i = 0; i < GROUPS && at < HISTOGRAM_BUCKETS; i++) {
        uint32_t left = HISTOGRAM_BUCKETS - at;
        uint32_t size = s->step < left ? s->step : left;
        uint64_t count = 0;

        for (uint32_t k = 0; k < size; k++) {
            count += now[at + k];
            grown[at + k] = 0;
        }
        grown[at + (size - 1) / 2] = (uint32_t)count - s->group[i];
        at += size;
    }
    return histogram_count(grown) == succeeded;
}

/* Sets w->grown to the growth since `s`.  Returns false if the snapshot does
 * not fit the counters, because one of them is garbage. */
static bool
subtract_snapshot(struct window *w, const struct cell_snapshot *s)
{
    uint64_t *now = counters_in(&w->now), *grown = counters_in(&w->grown);

    memset(&w->grown, 0, sizeof(w->grown));
    for (size_t i = 0; i < COUNTS; i++) {
        if (now[i] < s->counter[i]) {
            return false;
        }
        grown[i] = now[i] - s->counter[i];
    }
    if (w->last.failed < s->failed || w->last.succeeded < s->succeeded) {
        return false;
    }
    w->grown.stripe[HISTOGRAM_BUCKETS] = w->last.failed - s->failed;
    memcpy(w->grown.outcomes, w->now.outcomes, sizeof(w->grown.outcomes));
    for (size_t i = 0; i <= CELL_OUTCOMES; i++) {
        uint64_t *count = outcome_in(&w->grown, i);
        uint32_t more = (uint32_t)*count - s->outcome[i];

        *count = more <= *count ? more : 0;
    }
    return subtract_groups(s, w->now.stripe, w->last.succeeded - s->succeeded,
                           w->grown.stripe);
}

/* Takes a snapshot for the next reader, if calls have not for long although
 * they counted: their process has ended. */
static void
take_for_next(struct live *l, uint32_t index, struct cell *c,
              const struct cell_snapshot *since, struct window *w)
{
    uint64_t now_ns = w->last.when_ns;

    if (has_counted(&w->last) &&
        (!since || since->succeeded != w->last.succeeded ||
         memcmp(since->counter, w->last.counter, sizeof(since->counter)) != 0 ||
         since->failed != w->last.failed) &&
        claim_snapshot(l, c, now_ns, WINDOW_NS)) {
        write_snapshot(l, index, c, &w->now, &w->last);
    }
}

/* Returns how long all that a cell has counted took at most: since it was made,
 * or since a snapshot found nothing to write. */
static uint64_t
age_without_counts(const struct window *w, const struct cell *c,
                   uint64_t now_ns, uint64_t age_ns)
{
    uint64_t last = c ? atomic_load(&c->snapshot_ns) : 0;

    for (size_t i = 0; i < SLOTS; i++) {
        if (!last || w->slot[i].when_ns) {
            return age_ns;
        }
    }
    return now_ns > last && now_ns - last < age_ns ? now_ns - last : age_ns;
}

uint64_t
cell_read_window(struct live *l, uint32_t index, uint64_t now_ns,
                 struct cell_reading *total, struct cell_reading *window,
                 bool *out_whole)
{
    struct window w;
    struct cell *c = cell_at(l, index);
    uint64_t begun = c ? atomic_load(&c->begun) : 0;
    uint64_t now = clock_realtime_ns(), over = now > begun ? now - begun : 0;
    struct cell_snapshot *s;
    int fd = words_of_cell(l, index, &w.now);

    fill_snapshot(&w.last, &w.now, begun, now_ns);
    reading_of_words(&w.now, total);
    if (!has_counted(&w.last) ||
        !live_copy(fd < 0 ? live_fd(l) : fd, ring_of(index), w.slot,
                   sizeof(w.slot))) {
        memset(w.slot, 0, sizeof(w.slot));
    }
    s = choose_snapshot(&w, begun, over, now_ns);
    if (s && subtract_snapshot(&w, s)) {
        over = now_ns - s->when_ns;
        reading_of_words(&w.grown, window);
    } else {
        over = age_without_counts(&w, c, now_ns, over);
        s = NULL;
        *window = *total;
    }
    *out_whole = !s;
    take_for_next(l, index, c, s, &w);
    return over;
}
