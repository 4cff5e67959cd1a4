/* `until` is the only word that holds a call.  `since` and `waiting` only
 * decide how far apart the calls come back: garbage in them is bounded by
 * max_ns. */
#include "hint.h"

#include "base/duration.h"

static uint64_t
latest_ns(uint64_t now_ns, uint64_t max_ns)
{
    return now_ns + smaller_ns(max_ns, DAY_NS);
}

void
hint_hold(struct hint_words *w, uint64_t until_ns, uint64_t now_ns,
          uint64_t max_ns)
{
    uint64_t latest = latest_ns(now_ns, max_ns);
    uint64_t seen = atomic_load(&w->until);

    until_ns = smaller_ns(until_ns, latest);
    while (until_ns > now_ns && (seen < until_ns || seen > latest)) {
        if (atomic_compare_exchange_weak(&w->until, &seen, until_ns)) {
            atomic_store(&w->waiting, 0);
            return;
        }
    }
}

uint64_t
hint_until(const struct hint_words *w, uint64_t now_ns, uint64_t max_ns)
{
    uint64_t until = atomic_load_explicit(&w->until, memory_order_relaxed);

    return until > now_ns && until <= latest_ns(now_ns, max_ns) ? until : 0;
}

uint64_t
hint_turn(struct hint_words *w, uint64_t each_ns, uint64_t spread_ns,
          uint64_t now_ns, uint64_t max_ns)
{
    uint64_t until = hint_until(w, now_ns, max_ns), number, after;
    uint64_t latest = latest_ns(now_ns, max_ns);

    if (until == 0) {
        return 0;
    }
    number = atomic_fetch_add(&w->waiting, 1);
    if (each_ns) {
        after = number % 1000000 * each_ns;
    } else {
        spread_ns = spread_ns ? spread_ns : (until - now_ns) / 10;
        /* Multiples of the golden ratio divide a length evenly, however many
         * they are. */
        after = (uint64_t)((double)(number * 0x9e3779b97f4a7c15ull >> 11) *
                           0x1p-53 * (double)spread_ns);
    }
    return smaller_ns(until + after, latest);
}
