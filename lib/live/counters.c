#include "counter.h"
#include "rule/window.h"

enum {
    COLUMN = COUNTER_IS_COLUMN,
    IF_ANY = COUNTER_IS_IF_ANY,
    VERDICT = COUNTER_IS_VERDICT,
    EXHAUSTED = COUNTER_IS_EXHAUSTED,
    FAILED = COUNTER_IS_FAILED,
};

const struct counter_row counter_rows[COUNTER_ROWS] = {
#define ROW(number, field, name, unit, title, flags, metric, help) \
    {name,   COUNTER_OF_##unit,                                    \
     title,  flags,                                                \
     metric, help,                                                 \
     number, offsetof(struct bide_stats, field)},
#define DERIVED(ID, ...) ROW(-1, __VA_ARGS__)
#define STORED(ID, ...) ROW(COUNTER_##ID, __VA_ARGS__)
#define INNER(...)
    COUNTERS(DERIVED, STORED, INNER)};

#define ONE(...) +1
_Static_assert(0 COUNTERS(ONE, ONE, INNER) == COUNTER_ROWS, "COUNTER_ROWS");

uint64_t
counter_calls(const struct bide_stats *s)
{
    uint64_t calls = 0;

    for (size_t i = 0; i < COUNTER_ROWS; i++) {
        calls += counter_rows[i].flags & COUNTER_IS_VERDICT
                     ? counter_of(s, &counter_rows[i])
                     : 0;
    }
    return calls;
}

uint64_t
counter_failed(const struct bide_stats *s)
{
    return s->exhausted + s->refused;
}

/* ---- totals ---- */

/* An attempt is added to GUARDED first, so that is read last: a part is never
 * more than the whole. */
void
tally_of_breaker(counter_read *read, void *arg, struct tally *out)
{
    uint64_t ignored = read(arg, COUNTER_GUARDED_IGNORED);

    out->failed = read(arg, COUNTER_GUARDED_FAILED);
    out->slow = read(arg, COUNTER_GUARDED_SLOW);
    out->answers = subtract_to_zero(read(arg, COUNTER_GUARDED), ignored);
}

void
tally_of_budget(counter_read *read, void *arg, struct tally *out)
{
    uint64_t again = read(arg, COUNTER_GUARDED_AGAIN);
    uint64_t unearned =
        read(arg, COUNTER_GUARDED_FAILED) + read(arg, COUNTER_GUARDED_REJECTED);
    uint64_t all = read(arg, COUNTER_GUARDED);

    out->calls = subtract_to_zero(all, again);
    out->earned = subtract_to_zero(all, unearned);
    out->retries = 0;
}
