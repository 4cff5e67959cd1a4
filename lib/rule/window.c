/* Time is divided into slices of 1/16 of the window, numbered from 0.  The
 * first event of a slice stores the totals before it.  Slices without an event
 * store nothing: the totals at their start equal the totals of the next slice
 * with an event.  So the totals at the start of slice s are in the first slot
 * with a number of at least s.
 *
 *   events      x xx      |         |   x
 *   slice       7         8         9            (8: no event)
 *   stored      7: 0                9: 3         -> at the beginning of 8: 3
 *
 * A slot holds the number of its slice plus 1, so that 0 is an empty slot. */
#include "window.h"

#define WRITING (1ull << 63)

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

static void
fill_slice(struct slice *s, uint64_t length, const struct tally *t)
{
    atomic_store_explicit(&s->length_ns, length, memory_order_relaxed);
    atomic_store_explicit(&s->answers, t->answers, memory_order_relaxed);
    atomic_store_explicit(&s->failed, t->failed, memory_order_relaxed);
    atomic_store_explicit(&s->slow, t->slow, memory_order_relaxed);
    atomic_store_explicit(&s->calls, t->calls, memory_order_relaxed);
    atomic_store_explicit(&s->retries, t->retries, memory_order_relaxed);
}

/* Reports whether slot `s`, whose number is `found`, already holds a later
 * slice than `number`.  A number far ahead is garbage. */
static bool
is_later_slice(const struct slice *s, uint64_t found, uint64_t number,
               uint64_t length)
{
    return found > number && found - number <= 1000 * SLICE_SLOTS &&
           atomic_load_explicit(&s->length_ns, memory_order_relaxed) == length;
}

void
window_turn(struct series *r, uint64_t window_ns, uint64_t now_ns,
            const struct tally *now)
{
    uint64_t length = slice_ns(window_ns), number = now_ns / length + 1;
    struct slice *s = &r->slot[number % SLICE_SLOTS];
    uint64_t old = atomic_load_explicit(&s->number, memory_order_acquire);

    if (old == number &&
        atomic_load_explicit(&s->length_ns, memory_order_relaxed) == length) {
        return;
    }
    if (old == (number | WRITING)) {
        return; /* another process writes it, or died doing so: the next slice
                   will be written */
    }
    if (is_later_slice(s, old & ~WRITING, number, length)) {
        return; /* this process was stopped since it read the time */
    }
    if (!atomic_compare_exchange_strong(&s->number, &old, number | WRITING)) {
        return;
    }
    fill_slice(s, length, now);
    atomic_store_explicit(&s->number, number, memory_order_release);
}

static struct tally
read_totals(const struct slice *s)
{
    return (struct tally){
        .answers = atomic_load_explicit(&s->answers, memory_order_relaxed),
        .failed = atomic_load_explicit(&s->failed, memory_order_relaxed),
        .slow = atomic_load_explicit(&s->slow, memory_order_relaxed),
        .calls = atomic_load_explicit(&s->calls, memory_order_relaxed),
        .retries = atomic_load_explicit(&s->retries, memory_order_relaxed),
    };
}

static uint64_t
subtract_to_zero(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

struct tally
tally_minus(const struct tally *a, const struct tally *b)
{
    return (struct tally){
        .answers = subtract_to_zero(a->answers, b->answers),
        .failed = subtract_to_zero(a->failed, b->failed),
        .slow = subtract_to_zero(a->slow, b->slow),
        .calls = subtract_to_zero(a->calls, b->calls),
        .retries = subtract_to_zero(a->retries, b->retries),
    };
}

struct tally
window_since(const struct series *r, uint64_t window_ns, uint64_t now_ns,
             const struct tally *now)
{
    uint64_t length = slice_ns(window_ns);
    uint64_t begin = now_ns > window_ns ? now_ns - window_ns : 0;
    /* The first slice that is entirely within the window. */
    uint64_t first = (begin + length - 1) / length + 1;
    uint64_t last = now_ns / length + 1;

    for (uint64_t n = first; n <= last && n - first < SLICE_SLOTS; n++) {
        const struct slice *s = &r->slot[n % SLICE_SLOTS];
        struct tally then;

        if (atomic_load_explicit(&s->number, memory_order_acquire) != n ||
            atomic_load_explicit(&s->length_ns, memory_order_relaxed) !=
                length) {
            continue;
        }
        then = read_totals(s);
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&s->number, memory_order_relaxed) == n) {
            return tally_minus(now, &then);
        }
    }
    return (struct tally){0}; /* no event within the window */
}

void
window_forget_retries(struct series *r, uint64_t retries)
{
    for (int i = 0; i < SLICE_SLOTS; i++) {
        atomic_store_explicit(&r->slot[i].retries, retries,
                              memory_order_relaxed);
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
