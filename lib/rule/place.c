#include "place.h"

_Static_assert(sizeof(((struct limits *)0)->slot) == LIMIT_PLACES_MAX * 8,
               "a word for each");

/* Returns the number of a free place in [from, to) that is now taken, plus one;
 * 0: none.  Begins where this owner is likely to find one in a cache line that
 * others do not use. */
static uint32_t
take_between(_Atomic uint64_t *slots, uint32_t from, uint32_t to,
             uint64_t owner)
{
    uint32_t count = to - from;
    uint32_t start =
        count ? (uint32_t)((owner * UINT64_C(0x9e3779b97f4a7c15)) >> 32) % count
              : 0;

    for (uint32_t i = 0; i < count; i++) {
        _Atomic uint64_t *slot = &slots[from + (start + i) % count];
        uint64_t nobody = 0;

        if (!atomic_load_explicit(slot, memory_order_relaxed) &&
            atomic_compare_exchange_strong(slot, &nobody, owner)) {
            return (uint32_t)(slot - slots) + 1;
        }
    }
    return 0;
}

uint32_t
place_take(const struct limit_rules *r, struct place_words *w,
           _Atomic uint64_t *slots, uint64_t owner, enum importance who)
{
    uint32_t places =
        r->places < LIMIT_PLACES_MAX ? r->places : LIMIT_PLACES_MAX;
    uint32_t reserve = (uint32_t)(places * r->reserve);
    uint32_t place = take_between(slots, reserve, places, owner);

    (void)w;
    if (!place && who == MANDATORY) {
        place = take_between(slots, 0, reserve, owner);
    }
    return place;
}

bool
place_give(struct place_words *w, _Atomic uint64_t *slots, uint32_t place,
           uint64_t owner)
{
    if (place && place <= LIMIT_PLACES_MAX) {
        atomic_compare_exchange_strong(&slots[place - 1], &owner, 0);
    }
    return atomic_load(&w->waiting);
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
