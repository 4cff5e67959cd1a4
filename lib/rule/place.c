/* The word of a place: the owner (32 bits), a serial (8), and the time from
 * which the place is overdue (24, in 2^28 ns, modulo 2^24; 0: never).
 *
 * The word of those that wait: the time at which one of them looked last (32
 * bits, in 2^20 ns), a serial (24), and a bit for each kind that waits (8).  A
 * giver that wakes nobody clears the bit, unless the serial has changed. */
#include "place.h"

#include <math.h>

#include "base/duration.h"

enum {
    DUE_SHIFT = 28,
    DUE_BITS = 24,
    ROWLESS_UNITS = 1 << 13, /* 37 min */
    GRACE_UNITS = 4,         /* 1 s: an attempt ends slightly after its limit */
    WAITING_SHIFT = 20,
    STALE_UNITS = 512, /* 0.5 s: those that wait look more often */
};
#define DUE_MASK ((1u << DUE_BITS) - 1)
#define LOOK_DEAD_NS UINT64_C(20000000)

_Static_assert(sizeof(((struct limits *)0)->slot) == LIMIT_PLACES_MAX * 8,
               "a word for each");

static uint64_t
pack_word(const struct place_ask *a)
{
    uint64_t units = a->limit_ns >> DUE_SHIFT, due = 0;

    if (!(a->owner >> 31) && units > ROWLESS_UNITS) {
        units = ROWLESS_UNITS;
    }
    if (units < DUE_MASK / 2) {
        due = ((a->now_ns >> DUE_SHIFT) + units + 1) & DUE_MASK;
        due += due == 0;
    }
    return (uint64_t)a->owner << 32 |
           (a->now_ns * UINT64_C(0x9e3779b97f4a7c15) >> 56) << DUE_BITS | due;
}

static bool
is_overdue(uint64_t word, uint64_t now_ns)
{
    uint32_t due = (uint32_t)word & DUE_MASK;
    uint32_t past = (uint32_t)(now_ns >> DUE_SHIFT) - due - GRACE_UNITS;

    /* Without a row nobody knows whether the owner lives: it has a time. */
    return due ? !(past << (32 - DUE_BITS) >> 31) : !(word >> 63);
}

/* Tries the slots in [from, to): takes one that is free or, in a second round,
 * overdue.  Begins where this owner is likely to find one alone.  Neighbours
 * are on different cache lines.  Returns its number, or 0. */
static uint32_t
take_between(_Atomic uint64_t *slots, uint32_t from, uint32_t to,
             const struct place_ask *a, uint64_t word)
{
    uint32_t count = to - from;
    uint32_t start =
        (uint32_t)((uint64_t)(a->owner * 0x9e3779b9u) * count >> 32);

    for (uint32_t i = 0; i < (a->now_ns ? 2 : 1) * count; i++) {
        uint32_t n = start + i % count, place;
        uint64_t seen;

        n = from + (n < count ? n : n - count);
        place = n % 125 * 8 + n / 125;
        seen = atomic_load_explicit(&slots[place], memory_order_relaxed);
        if ((!seen || (i >= count && is_overdue(seen, a->now_ns))) &&
            atomic_compare_exchange_strong(&slots[place], &seen, word)) {
            return place + 1;
        }
    }
    return 0;
}

/* Reports whether others that wait come before this one. */
static bool
comes_later(const struct place_words *w, enum importance who,
            const struct place_ask *a)
{
    uint64_t seen = atomic_load_explicit(&w->waiting, memory_order_relaxed);
    uint32_t first = (1u << (who + !a->waited)) - 1; /* importances */

    return seen & (first | first << 3) &&
           (!a->now_ns ||
            (uint32_t)(a->now_ns >> WAITING_SHIFT) - (uint32_t)(seen >> 32) <
                STALE_UNITS);
}

struct place_rules
place_rules(const struct limit_rules *r, enum importance who)
{
    uint32_t places =
        r->places < LIMIT_PLACES_MAX ? r->places : LIMIT_PLACES_MAX;
    uint32_t reserve = (uint32_t)ceil(places * r->reserve - 1e-9);

    /* A small share of few places leaves one for the others. */
    reserve -= reserve && reserve == places && r->reserve < 1;
    return (struct place_rules){(uint16_t)places, (uint16_t)reserve, who};
}

uint32_t
place_take_at_once(struct place_rules r, const struct place_words *w,
                   _Atomic uint64_t *slots, const struct place_ask *a,
                   uint64_t *out_word)
{
    uint32_t place;

    if (comes_later(w, r.who, a)) {
        return 0;
    }
    *out_word = pack_word(a);
    place = take_between(slots, r.reserve, r.places, a, *out_word);
    return !place && r.who == MANDATORY
               ? take_between(slots, 0, r.reserve, a, *out_word)
               : place;
}

static void
note_waiting(struct place_words *w, enum importance who,
             const struct place_ask *a)
{
    uint64_t seen = atomic_load(&w->waiting), next;
    uint64_t bit = a->watched ? PLACE_WATCHES(who) : PLACE_SLEEPS(who);

    do {
        next = (a->now_ns >> WAITING_SHIFT) << 32 |
               (((seen & UINT32_MAX) + 0x100) & UINT32_MAX) | bit;
    } while (!atomic_compare_exchange_weak(&w->waiting, &seen, next));
}

/* Frees the places of dead owners, now and then. */
static bool
release_dead(struct place_words *w, _Atomic uint64_t *slots,
             const struct place_ask *a)
{
    uint64_t looked = atomic_load(&w->looked);
    bool released = false;

    if (!a->is_gone || a->now_ns - looked < LOOK_DEAD_NS ||
        !atomic_compare_exchange_strong(&w->looked, &looked, a->now_ns)) {
        return false;
    }
    for (uint32_t i = 0; i < LIMIT_PLACES_MAX; i++) {
        uint64_t seen = atomic_load(&slots[i]);

        released |= seen && a->is_gone(a->arg, (uint32_t)(seen >> 32)) &&
                    atomic_compare_exchange_strong(&slots[i], &seen, 0);
    }
    return released;
}

uint32_t
place_take(const struct limit_rules *rules, enum importance who,
           struct place_words *w, _Atomic uint64_t *slots,
           const struct place_ask *a, uint64_t *out_word)
{
    struct place_rules r = place_rules(rules, who);
    uint32_t place = place_take_at_once(r, w, slots, a, out_word);

    if (!place && rules->wait_ns && !a->beside) {
        note_waiting(w, who, a);
        place = place_take_at_once(r, w, slots, a, out_word);
    }
    if (!place && release_dead(w, slots, a)) {
        place = place_take_at_once(r, w, slots, a, out_word);
    }
    return place;
}

bool
place_give(struct place_words *w, _Atomic uint64_t *slots, uint32_t place,
           uint64_t word)
{
    return place && place <= LIMIT_PLACES_MAX &&
           atomic_compare_exchange_strong(&slots[place - 1], &word, 0) &&
           (uint32_t)atomic_load(&w->waiting) & 0x3f;
}

uint32_t
place_used(const _Atomic uint64_t *slots)
{
    uint32_t used = 0;

    for (uint32_t i = 0; i < LIMIT_PLACES_MAX; i++) {
        used += atomic_load_explicit(&slots[i], memory_order_relaxed) != 0;
    }
    return used;
}

void
place_reset(struct place_words *w, _Atomic uint64_t *slots)
{
    for (uint32_t i = 0; i < LIMIT_PLACES_MAX; i++) {
        atomic_store(&slots[i], 0);
    }
    atomic_store(&w->waiting, 0);
}
