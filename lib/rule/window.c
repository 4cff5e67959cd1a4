/* Time is divided into slices of 1/16 of the window, numbered from 0.  The
 * first event of a slice stores the totals before it.  Slices without an event
 * store nothing: the totals at their start equal the totals of the next slice
 * with an event.  So the totals at the start of slice s are in the first slot
 * that begins there or later.
 *
 *   events      x xx      |         |   x
 *   slice       7         8         9            (8: no event)
 *   stored      7: 0                9: 3         -> at the beginning of 8: 3
 *
 * A slot holds the number of its slice plus 1, so that 0 is an empty slot, and
 * the length of its slice.  If the length of the window changes, older slots
 * keep their lengths and stay usable, because only the time at which a slot
 * begins matters.
 *
 * A window has at most 17 slices, so of 20 slots at least 3 are not needed:
 * they are empty, begin before the window, or begin in the same slice of the
 * present length as an earlier slot.  A slot that begins far ahead is garbage.
 */
#include "window.h"

#include <stddef.h>

#define WRITING (1ull << 63)
#define FAR_AHEAD 1000000ull

bool
commit_is_newest(_Atomic uint64_t *word, uint64_t txn)
{
    uint64_t seen = atomic_load(word);

    while (seen < txn || seen - txn > FAR_AHEAD) {
        if (atomic_compare_exchange_weak(word, &seen, txn)) {
            return true;
        }
    }
    return seen == txn;
}

static uint64_t
slice_ns(uint64_t window_ns)
{
    return window_ns / SLICES ? window_ns / SLICES : 1;
}

uint64_t
window_next_ns(uint64_t window_ns, uint64_t now_ns)
{
    uint64_t length = slice_ns(window_ns);

    return (now_ns / length + 1) * length;
}

/* Returns the time at which a slot begins; UINT64_MAX: it is empty, or holds
 * impossible numbers. */
static uint64_t
begin_of(const struct slice *s)
{
    uint64_t number =
        atomic_load_explicit(&s->number, memory_order_acquire) & ~WRITING;
    uint64_t length = atomic_load_explicit(&s->length_ns, memory_order_relaxed);
    uint64_t begin;

    return number == 0 || length == 0 ||
                   __builtin_mul_overflow(number - 1, length, &begin)
               ? UINT64_MAX
               : begin;
}

/* Returns the beginning of the first slice that is entirely within the window.
 */
static uint64_t
begin_of_window(uint64_t window_ns, uint64_t now_ns)
{
    uint64_t length = slice_ns(window_ns);
    uint64_t begin = now_ns > window_ns ? now_ns - window_ns : 0;

    return begin + (length - begin % length) % length;
}

/* Reports whether slot number i begins in the same slice as an earlier one. */
static bool
shares_slice(const uint64_t begin[SLICE_SLOTS], uint32_t i, uint64_t length)
{
    uint64_t slice = begin[i] - begin[i] % length;

    for (uint32_t k = 0; k < SLICE_SLOTS; k++) {
        if (begin[k] >= slice &&
            (begin[k] < begin[i] || (begin[k] == begin[i] && k < i))) {
            return true;
        }
    }
    return false;
}

/* Returns a slot that is not needed for the window that ends at now_ns; NULL if
 * a slot begins in the slice of now_ns already, or if every slot is needed
 * (this process was stopped since it read the time). */
static struct slice *
find_slot(struct series *r, uint64_t window_ns, uint64_t now_ns)
{
    uint64_t length = slice_ns(window_ns), slice = now_ns - now_ns % length;
    uint64_t oldest = begin_of_window(window_ns, now_ns);
    uint64_t begin[SLICE_SLOTS], latest = 0;
    uint32_t found = SLICE_SLOTS;

    for (uint32_t i = 0; i < SLICE_SLOTS; i++) {
        begin[i] = begin_of(&r->slot[i]);
        if (begin[i] >= slice && begin[i] - slice < length) {
            return NULL;
        }
    }
    for (uint32_t k = 1; k <= SLICE_SLOTS; k++) {
        uint32_t i = (uint32_t)((now_ns / length + k) % SLICE_SLOTS);

        if (begin[i] == UINT64_MAX || begin[i] < oldest ||
            shares_slice(begin, i, length)) {
            return &r->slot[i];
        }
        if (begin[i] > now_ns && begin[i] - now_ns > window_ns &&
            begin[i] > latest) {
            latest = begin[i];
            found = i;
        }
    }
    return found < SLICE_SLOTS ? &r->slot[found] : NULL;
}

void
window_turn(struct series *r, uint64_t window_ns, uint64_t now_ns,
            const struct tally *now)
{
    uint64_t length = slice_ns(window_ns), number = now_ns / length + 1, old;
    struct slice *s = &r->slot[number % SLICE_SLOTS];

    if (atomic_load_explicit(&s->number, memory_order_acquire) == number &&
        atomic_load_explicit(&s->length_ns, memory_order_relaxed) == length) {
        return;
    }
    s = find_slot(r, window_ns, now_ns);
    if (!s) {
        return;
    }
    old = atomic_load_explicit(&s->number, memory_order_relaxed);
    if (old == (number | WRITING) ||
        !atomic_compare_exchange_strong(&s->number, &old, number | WRITING)) {
        return; /* another process writes it, or died doing so: the next slice
                   will be written */
    }
    atomic_store_explicit(&s->length_ns, length, memory_order_relaxed);
    for (uint32_t i = 0; i < TOTALS; i++) {
        atomic_store_explicit(&s->total[i], now->total[i],
                              memory_order_relaxed);
    }
    atomic_store_explicit(&s->number, number, memory_order_release);
}

struct tally
tally_minus(const struct tally *a, const struct tally *b)
{
    struct tally t;

    for (uint32_t i = 0; i < TOTALS; i++) {
        t.total[i] = subtract_to_zero(a->total[i], b->total[i]);
    }
    return t;
}

/* Copies the totals of a slot and the time at which it begins.  Returns false
 * if it is empty, garbage or being written. */
static bool
read_slot(const struct slice *s, uint64_t *out_begin, struct tally *out)
{
    uint64_t number = atomic_load_explicit(&s->number, memory_order_acquire);

    *out_begin = begin_of(s);
    for (uint32_t i = 0; i < TOTALS; i++) {
        out->total[i] =
            atomic_load_explicit(&s->total[i], memory_order_relaxed);
    }
    atomic_thread_fence(memory_order_acquire);
    return *out_begin != UINT64_MAX && !(number & WRITING) &&
           atomic_load_explicit(&s->number, memory_order_relaxed) == number;
}

/* Finds the totals at `begin`: those of the slot that begins first, but not
 * before that.  Returns false if there is none until now_ns. */
static bool
find_totals(const struct series *r, uint64_t begin, uint64_t now_ns,
            struct tally *out)
{
    uint64_t first = UINT64_MAX;

    for (uint32_t i = 0; i < SLICE_SLOTS; i++) {
        uint64_t at = begin_of(&r->slot[i]);
        struct tally t;

        /* Most slots need not be copied. */
        if (at >= begin && at <= now_ns && at < first &&
            read_slot(&r->slot[i], &at, &t) && at >= begin && at <= now_ns &&
            at < first) {
            first = at;
            *out = t;
        }
    }
    return first != UINT64_MAX;
}

struct tally
window_since(const struct series *r, uint64_t window_ns, uint64_t now_ns,
             const struct tally *now)
{
    uint64_t begin = begin_of_window(window_ns, now_ns), at;
    uint64_t number = begin / slice_ns(window_ns) + 1;
    struct tally then;

    if ((read_slot(&r->slot[number % SLICE_SLOTS], &at, &then) &&
         at == begin) ||
        find_totals(r, begin, now_ns, &then)) {
        return tally_minus(now, &then);
    }
    return (struct tally){0}; /* no event within the window */
}

void
window_forget_retries(struct series *r, uint64_t retries)
{
    for (int i = 0; i < SLICE_SLOTS; i++) {
        atomic_store_explicit(&r->slot[i].total[TOTAL_RETRIES], retries,
                              memory_order_relaxed);
    }
}

void
window_decrement(_Atomic uint64_t *total)
{
    uint64_t seen = atomic_load(total);

    while (seen && !atomic_compare_exchange_weak(total, &seen, seen - 1)) {
    }
}

void
window_return_retry(struct series *r, uint64_t granted_ns)
{
    for (int i = 0; i < SLICE_SLOTS; i++) {
        uint64_t begin = begin_of(&r->slot[i]);

        if (begin > granted_ns && begin != UINT64_MAX) {
            window_decrement(&r->slot[i].total[TOTAL_RETRIES]);
        }
    }
}

void
window_clear(struct series *r)
{
    for (int i = 0; i < SLICE_SLOTS; i++) {
        atomic_store_explicit(&r->slot[i].number, 0, memory_order_relaxed);
    }
}

/* ---- windows of calls ---- */

/* Stores two bits of a call, failed and slow, in a ring.  Usually both the old
 * and the new bits are 0, and no word is written. */
void
window_keep_call(struct guard_rings *r, uint64_t call, bool failed, bool slow)
{
    uint64_t at = call % WINDOW_CALLS_MAX, shift = at % 32 * 2;
    _Atomic uint64_t *word = &r->bits[at / 32];
    uint64_t bits = (uint64_t)(failed | slow << 1);
    uint64_t was =
        atomic_load_explicit(word, memory_order_relaxed) >> shift & 3;

    if (was & ~bits) {
        atomic_fetch_and_explicit(word, ~((was & ~bits) << shift),
                                  memory_order_relaxed);
    }
    if (bits & ~was) {
        atomic_fetch_or_explicit(word, bits << shift, memory_order_relaxed);
    }
}

struct tally
window_of_calls(const struct guard_rings *r, uint64_t end, uint64_t count)
{
    struct tally t = {0};

    if (count > WINDOW_CALLS_MAX) {
        count = WINDOW_CALLS_MAX;
    }
    for (uint64_t call = end - count; call != end; call++) {
        uint64_t at = call % WINDOW_CALLS_MAX;
        uint64_t bits =
            atomic_load_explicit(&r->bits[at / 32], memory_order_relaxed) >>
            at % 32 * 2;

        t.failed += bits & 1;
        t.slow += bits >> 1 & 1;
    }
    t.answers = count;
    return t;
}
