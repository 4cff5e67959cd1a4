#include "inside.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/boot.h"
#include "policy/outcome.h"
#include "reading.h"
#include "rule/window.h"
#include "live/words/words.h"

/* The parts of a body (its stripes, its outcomes ...) are reserved one by one.
 * They consist of 64-bit words only. */
enum { DOMAIN_SHIFT = 56, APP_TEXT = 6 * 8 + 1 };

/* The parts after the stripes. */
static const struct {
    uint32_t offset, words;
} other_parts[] = {
    {offsetof(struct body, outcomes), OUTCOMES_WORDS},
    {offsetof(struct body, calls), CALLS_WORDS},
    {offsetof(struct body, guard), sizeof(struct guard_rings) / 8},
    {offsetof(struct body, declared), sizeof(struct declared_rules) / 8},
    {offsetof(struct body, limits), sizeof(struct limits) / 8},
};
_Static_assert(PARTS - STRIPE_MAX == sizeof(other_parts) / 8, "in order");

static size_t
part_words(uint32_t part)
{
    return part < STRIPE_MAX ? STRIPE_WORDS
                             : other_parts[part - STRIPE_MAX].words;
}

static uint64_t
part_offset(uint32_t part)
{
    return part < STRIPE_MAX ? (uint64_t)part * sizeof(struct stripe)
                             : other_parts[part - STRIPE_MAX].offset;
}

/* ---- counting ---- */

static bool
is_part_known(struct live *l, uint32_t index, uint32_t part)
{
    return atomic_load_explicit(&l->parts[index], memory_order_acquire) &
           1u << part;
}

static _Atomic uint64_t *
map_part(struct live *l, uint32_t index, uint32_t part)
{
    char *body = (char *)live_map_body(l, index);

    return body ? (void *)(body + part_offset(part)) : NULL;
}

/* Notes that a part is reserved, for this process and for readers. */
static void
note_part(struct live *l, uint32_t index, uint32_t part)
{
    struct cell *c = cell_at(l, index);

    if (c) {
        atomic_fetch_or(&c->parts, 1u << part);
    }
    atomic_fetch_or_explicit(&l->parts[index], (uint16_t)(1u << part),
                             memory_order_acq_rel);
}

/* Returns a part, reserved and mapped; NULL if that fails. */
static _Atomic uint64_t *
use_part(struct live *l, uint32_t index, uint32_t part)
{
    _Atomic uint64_t *words;

    if (index >= l->cell_max || part >= PARTS) {
        return NULL;
    }
    words = map_part(l, index, part);
    if (!words || is_part_known(l, index, part)) {
        return words;
    }
    if (live_reserve(l, body_offset(index) + part_offset(part),
                     part_words(part) * sizeof(*words))) {
        atomic_fetch_add(&live_header(l)->pages_refused, 1);
        return NULL;
    }
    if (atomic_load(&live_header(l)->pages_refused)) {
        atomic_store(&live_header(l)->pages_refused, 0); /* there is space */
    }
    note_part(l, index, part);
    return words;
}

struct stripe *
cell_stripe(struct live *l, uint32_t index, uint32_t stripe)
{
    return stripe < STRIPE_MAX ? (void *)use_part(l, index, stripe) : NULL;
}

struct guard_rings *
cell_guard(struct live *l, uint32_t index)
{
    return (void *)use_part(l, index, PART_GUARD);
}

struct limits *
cell_limits(struct live *l, uint32_t index)
{
    return (void *)use_part(l, index, PART_LIMITS);
}

struct whole_calls *
cell_calls(struct live *l, uint32_t index)
{
    return (void *)use_part(l, index, PART_CALLS);
}

struct stripe *
live_scrap(struct live *l)
{
    return &l->scrap;
}

/* ---- outcomes ---- */

static uint64_t
key_of_app_name(const char *app)
{
    return (uint64_t)BIDE_DOMAIN_APP << DOMAIN_SHIFT |
           words_hash(app, strlen(app)) >> (64 - DOMAIN_SHIFT);
}

/* Returns the key of an outcome, and for an app outcome its name; 0 for success
 * and for an unknown domain. */
static uint64_t
outcome_key(struct bide_outcome o, char app[APP_TEXT])
{
    char name[64];

    app[0] = '\0';
    if (o.domain == BIDE_DOMAIN_OK || o.domain >= OUTCOME_DOMAINS) {
        return 0;
    }
    if (o.domain != BIDE_DOMAIN_APP) {
        return (uint64_t)o.domain << DOMAIN_SHIFT | (uint32_t)o.code;
    }
    /* The code is valid in this process only, so the name is counted. */
    bide_outcome_name(o, name, sizeof(name));
    snprintf(app, APP_TEXT, "%.48s",
             strncmp(name, "app.", 4) ? "other" : name + 4);
    return key_of_app_name(app);
}

/* Writes the name of an app outcome into its slot, unless it is there.  The
 * process that claimed the slot may have been killed before it did so. */
static void
name_slot(struct outcome_slot *slot, const char *app)
{
    char there[APP_TEXT];

    words_read(slot->app, 6, there);
    if (strcmp(there, app)) {
        words_write(slot->app, 6, app);
    }
}

/* Returns the count of an outcome's slot, claimed if necessary; the count of
 * all others if no slot is free. */
static _Atomic uint64_t *
find_outcome_count(struct outcomes *all, uint64_t key, const char *app)
{
    /* Codes differ in their low bits only, hashes in all bits. */
    uint64_t start = (key ^ key >> 29) * 0x9e3779b97f4a7c15ull >> 32;

    for (uint32_t i = 0; i < CELL_OUTCOMES; i++) {
        struct outcome_slot *slot = &all->slot[(start + i) % CELL_OUTCOMES];
        uint64_t seen = atomic_load(&slot->key);

        if (seen == 0 &&
            atomic_compare_exchange_strong(&slot->key, &seen, key)) {
            seen = key;
        }
        if (seen == key) {
            if (*app) {
                name_slot(slot, app);
            }
            return &slot->count;
        }
    }
    return &all->other;
}

void
cell_count_outcome(struct live *l, uint32_t index, struct bide_outcome o)
{
    char app[APP_TEXT];
    uint64_t key = outcome_key(o, app);
    struct outcomes *all;

    if (!key) {
        return;
    }
    all = (void *)use_part(l, index, PART_OUTCOMES);
    if (all) {
        atomic_fetch_add(find_outcome_count(all, key, app), 1);
    }
}

/* ---- reading ---- */

/* Copies `count` words of a part, from word `first` on.  A part that this
 * process has reserved is read in place, any other from the file: touching a
 * page that is not reserved would take space.  *fd is the file's descriptor;
 * -1: not asked for yet. */
static bool
copy_words(struct live *l, uint32_t index, uint32_t part, size_t first,
           size_t count, uint64_t *out, int *fd)
{
    const _Atomic uint64_t *words;
    const struct cell *c;

    if (!is_part_known(l, index, part)) {
        c = cell_at(l, index);
        if (!c || !(atomic_load(&c->parts) & 1u << part)) {
            return false;
        }
        *fd = *fd < 0 ? live_fd(l) : *fd;
        return live_copy(
            *fd, body_offset(index) + part_offset(part) + first * sizeof(*out),
            out, count * sizeof(*out));
    }
    words = map_part(l, index, part);
    for (size_t i = 0; words && i < count; i++) {
        out[i] = atomic_load_explicit(&words[first + i], memory_order_relaxed);
    }
    return words;
}

static bool
copy_part(struct live *l, uint32_t index, uint32_t part, uint64_t *out)
{
    int fd = -1;

    return copy_words(l, index, part, 0, part_words(part), out, &fd);
}

static void
add_words(uint64_t *sums, const uint64_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sums[i] += words[i];
    }
}

/* Reads the name of an app outcome from its slot.  Returns false if it is not a
 * name or does not match the key, perhaps because it is not written yet. */
static bool
read_app_name(const uint64_t *slot, char app[APP_TEXT])
{
    memcpy(app, slot + 2, APP_TEXT - 1);
    app[APP_TEXT - 1] = '\0';
    for (const char *c = app; *c; c++) {
        if (!isalnum((unsigned char)*c) && !strchr("._-", *c)) {
            return false;
        }
    }
    return *app && key_of_app_name(app) == slot[0];
}

static bool
name_outcome(const uint64_t *slot, char *out, size_t size)
{
    struct bide_outcome o = {
        .domain = (uint8_t)(slot[0] >> DOMAIN_SHIFT),
        .code = (int32_t)slot[0],
    };
    char app[APP_TEXT];

    if (o.domain == BIDE_DOMAIN_APP) {
        snprintf(out, size, "app.%s", read_app_name(slot, app) ? app : "");
        return out[4];
    }
    if (o.domain == BIDE_DOMAIN_OK || o.domain >= OUTCOME_DOMAINS ||
        slot[0] << 8 >> 40) { /* bits between domain and code */
        return false;
    }
    bide_outcome_name(o, out, size);
    out[size - 1] = '\0';
    return true;
}

int
cell_outcome_order(const void *a, const void *b)
{
    const struct cell_outcome *x = a, *y = b;

    if (x->count != y->count) {
        return x->count < y->count ? 1 : -1;
    }
    return strcmp(x->name, y->name);
}

static void
read_outcomes(const uint64_t *words, struct cell_reading *out)
{
    uint64_t other = words[0];
    uint32_t n = 0;

    out->unnamed = 0;

    for (uint32_t i = 0; i < CELL_OUTCOMES; i++) {
        const uint64_t *slot = words + (1 + i) * SLOT_WORDS;

        if (!slot[1]) {
            continue;
        }
        if (name_outcome(slot, out->outcome[n].name,
                         sizeof(out->outcome[n].name))) {
            out->outcome[n++].count = slot[1];
        } else {
            other += slot[1];
            if (slot[0] >> DOMAIN_SHIFT == BIDE_DOMAIN_APP) {
                out->unnamed += slot[1];
            }
        }
    }
    qsort(out->outcome, n, sizeof(out->outcome[0]), cell_outcome_order);
    if (other) {
        memset(&out->outcome[n], 0, sizeof(out->outcome[n]));
        strcpy(out->outcome[n].name, "other");
        out->outcome[n++].count = other;
    }
    out->outcome_count = n;
}

int
words_of_cell(struct live *l, uint32_t index, struct cell_words *out)
{
    uint64_t words[STRIPE_WORDS];
    int fd = -1;

    memset(out, 0, sizeof(*out));
    if (index >= l->cell_max) {
        return fd;
    }
    for (uint32_t part = 0; part < STRIPE_MAX; part++) {
        if (copy_words(l, index, part, 0, STRIPE_WORDS, words, &fd)) {
            add_words(out->stripe, words, STRIPE_WORDS);
        }
    }
    (void)copy_words(l, index, PART_OUTCOMES, 0, OUTCOMES_WORDS, out->outcomes,
                     &fd);
    (void)copy_words(l, index, PART_GUARD,
                     offsetof(struct guard_rings, transitions) / 8,
                     GUARD_TOTALS, out->guard, &fd);
    if (copy_words(l, index, PART_CALLS, 0, CALLS_WORDS,
                   (uint64_t *)&out->calls, &fd)) {
        add_words(out->stripe, out->calls.again, HISTOGRAM_BUCKETS);
    }
    return fd;
}

void
reading_of_words(const struct cell_words *w, struct cell_reading *out)
{
    memcpy(out->succeeded, w->stripe, sizeof(out->succeeded));
    memcpy(out->failed, w->stripe + HISTOGRAM_BUCKETS, sizeof(out->failed));
    memcpy(out->counter, w->stripe + 2 * HISTOGRAM_BUCKETS,
           sizeof(out->counter));
    memcpy(out->guard, w->guard, sizeof(out->guard));
    out->calls = w->calls;
    read_outcomes(w->outcomes, out);
}

void
cell_read(struct live *l, uint32_t index, struct cell_reading *out)
{
    struct cell_words words;

    words_of_cell(l, index, &words);
    reading_of_words(&words, out);
}

static void
add_outcome(struct cell_reading *sum, const struct cell_outcome *o)
{
    struct cell_outcome *last = &sum->outcome[CELL_OUTCOMES];
    uint32_t i = 0;

    while (i < sum->outcome_count && strcmp(sum->outcome[i].name, o->name)) {
        i++;
    }
    if (i == sum->outcome_count && i < CELL_OUTCOMES) {
        sum->outcome[sum->outcome_count++] = *o;
    } else if (i < CELL_OUTCOMES) {
        sum->outcome[i].count += o->count;
    } else {
        strcpy(last->name, "other");
        last->count += o->count;
        sum->outcome_count = CELL_OUTCOMES + 1;
    }
}

void
cell_reading_add(struct cell_reading *sum, const struct cell_reading *r)
{
    add_words(sum->counter, r->counter, COUNTER_COUNT);
    add_words(sum->succeeded, r->succeeded, HISTOGRAM_BUCKETS);
    add_words(sum->failed, r->failed, HISTOGRAM_BUCKETS);
    add_words((uint64_t *)&sum->calls, (const uint64_t *)&r->calls,
              CALLS_WORDS);
    for (uint32_t i = 0; i < r->outcome_count; i++) {
        add_outcome(sum, &r->outcome[i]);
    }
}

/* Copies a part to `out`, which is not shared; zeros if there is none. */
static void
read_part(struct live *l, uint32_t index, uint32_t part, void *out)
{
    if (index >= l->cell_max || !copy_part(l, index, part, out)) {
        memset(out, 0, part_words(part) * 8);
    }
}

void
cell_guard_read(struct live *l, uint32_t index, struct guard_rings *out)
{
    read_part(l, index, PART_GUARD, out);
}

void
cell_limits_read(struct live *l, uint32_t index, struct limits *out)
{
    read_part(l, index, PART_LIMITS, out);
}

/* ---- moving ---- */

static void
move_count(_Atomic uint64_t *from, _Atomic uint64_t *to)
{
    uint64_t n = atomic_exchange(from, 0);

    if (n) {
        atomic_fetch_add(to, n);
    }
}

/* Copies a part to `seen` and maps it; NULL if none of its words is set.  The
 * pages of words that are set exist: touching them takes no space. */
static _Atomic uint64_t *
map_set_part(struct live *l, uint32_t index, uint32_t part, uint64_t *seen)
{
    size_t i = 0;

    if (!copy_part(l, index, part, seen)) {
        return NULL;
    }
    while (i < part_words(part) && !seen[i]) {
        i++;
    }
    return i < part_words(part) ? map_part(l, index, part) : NULL;
}

static void
fold_outcomes(const uint64_t *seen, struct outcomes *from, struct outcomes *to)
{
    char app[APP_TEXT];

    if (seen[0]) {
        move_count(&from->other, &to->other);
    }
    for (uint32_t i = 0; i < CELL_OUTCOMES; i++) {
        const uint64_t *slot = seen + (1 + i) * SLOT_WORDS;
        bool is_app = slot[0] >> DOMAIN_SHIFT == BIDE_DOMAIN_APP;
        _Atomic uint64_t *target = &to->other;

        if (!slot[1]) {
            continue;
        }
        app[0] = '\0';
        if (slot[0] && (!is_app || read_app_name(slot, app))) {
            target = find_outcome_count(to, slot[0], app);
        }
        move_count(&from->slot[i].count, target);
    }
}

static void
fold_part(struct live *from, uint32_t from_index, struct live *to,
          uint32_t to_index, uint32_t part)
{
    uint64_t seen[STRIPE_WORDS];
    uint32_t to_part = part < STRIPE_MAX ? part & (to->stripes - 1) : part;
    _Atomic uint64_t *source = map_set_part(from, from_index, part, seen),
                     *target = source ? use_part(to, to_index, to_part) : NULL;

    if (!target) {
        return; /* no space in the target: the counts stay */
    }
    if (part == PART_OUTCOMES) {
        fold_outcomes(seen, (void *)source, (void *)target);
        return;
    }
    for (size_t i = 0; i < part_words(part); i++) {
        if (seen[i]) {
            move_count(&source[i], &target[i]);
        }
    }
}

void
cell_fold(struct live *from, uint32_t from_index, struct live *to,
          uint32_t to_index)
{
    if (from_index >= from->cell_max || to_index >= to->cell_max) {
        return;
    }
    for (uint32_t part = 0; part <= PART_CALLS; part++) {
        fold_part(from, from_index, to, to_index, part);
    }
}

/* ---- declared rules ---- */

static bool
keeps_declared(const struct declared_rules *d, uint64_t self, bool again)
{
    uint64_t by = atomic_load(&d->pid);

    return atomic_load(&d->hash) &&
           (again || (by >> 32 == self >> 32 && by != self)) &&
           !process_is_gone((uint32_t)by, (uint32_t)(by >> 32));
}

void
cell_declare(struct live *l, uint32_t index, const char *text, bool again)
{
    struct declared_rules *d = (void *)use_part(l, index, PART_DECLARED);
    struct process process = process_self();
    uint64_t self = (uint64_t)process.space << 32 | process.pid;

    if (!d || keeps_declared(d, self, again)) {
        return;
    }
    atomic_store(&d->hash, 0);
    who_write(d->program);
    atomic_store(&d->pid, self);
    atomic_store(&d->when_ns, clock_realtime_ns());
    words_write(d->text, DECLARED_WORDS, text);
    atomic_store(&d->hash, words_hash(text, strlen(text)));
}

bool
cell_declared(struct live *l, uint32_t index, struct cell_declared *out)
{
    struct declared_rules d;

    if (!copy_part(l, index, PART_DECLARED, (uint64_t *)(void *)&d)) {
        return false;
    }
    words_read(d.text, DECLARED_WORDS, out->text);
    who_read((uint32_t)d.pid, (uint32_t)(d.pid >> 32), d.program, &out->by);
    out->when_ns = d.when_ns;
    out->rank = d.when_ns >> 1 | (uint64_t)!out->by.ended << 63;
    return d.hash && words_hash(out->text, strlen(out->text)) == d.hash;
}

void
cell_clear(struct live *l, uint32_t index)
{
    uint64_t seen[STRIPE_WORDS];

    for (uint32_t part = 0; part < PARTS; part++) {
        _Atomic uint64_t *words = map_set_part(l, index, part, seen);

        for (size_t i = 0; words && i < part_words(part); i++) {
            if (seen[i]) {
                atomic_store(&words[i], 0);
            }
        }
    }
}
