/* Figures are stored as a string of bits, to be small: a minute with ten calls
 * takes fifteen bytes.  There are three codes for a number x:
 *   gamma   Elias gamma code of x + 1: n zeros, then the n + 1 bits of x + 1;
 *           0 is "1", 1 is "010"
 *   delta   Elias delta code of x + 1, for large numbers: n in gamma, then the
 *           last n bits of x + 1
 *   Rice    x >> k ones and a zero, then the last k bits of x; k fits the mean
 *
 * All numbers are in gamma unless another code is named:
 *   counters    number of counters that are not 0; for each: number of zero
 *               counters before it, count - 1 in delta
 *   guard       0: all are zero; or 1 and each of FIGURES_GUARD
 *   succeeded, failed   number of buckets that are not 0; if any: the first in
 *               10 bits, k of the gaps, k of the counts; for each in Rice:
 *               number of zero buckets before it, count - 1
 *   outcomes    number of outcomes; for each: id, count
 *   calls       nothing if all are zero; or a one, then took and again like
 *               succeeded, attempts like counters (since format 3)
 *   zeros up to a whole byte */
#include "figures.h"

#include <assert.h>
#include <string.h>

#include "rule/histogram.h"

/* The counts of figures other than those of outcomes come first. */
enum { COUNTS = offsetof(struct figures, outcome_count) / sizeof(uint64_t) };

static uint64_t
sum_of(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* ---- adding ---- */

static void
add_counts(uint64_t *sums, const uint64_t *counts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sums[i] = sum_of(sums[i], counts[i]);
    }
}

void
figures_add_outcome(struct figures *f, uint32_t id, uint64_t count)
{
    uint32_t i = 0;

    if (count == 0) {
        return;
    }
    while (i < f->outcome_count && f->outcome[i].id != id) {
        i++;
    }
    if (i == FIGURES_OUTCOMES) {
        i = FIGURES_OUTCOMES - 1; /* the last one becomes "other" */
        f->outcome[i].id = 0;
    } else if (i == f->outcome_count) {
        f->outcome_count++;
        f->outcome[i] = (struct figures_outcome){id, 0};
    }
    f->outcome[i].count = sum_of(f->outcome[i].count, count);
}

void
figures_add(struct figures *sum, const struct figures *f)
{
    add_counts((uint64_t *)sum, (const uint64_t *)f, COUNTS);
    for (uint32_t i = 0; i < f->outcome_count; i++) {
        figures_add_outcome(sum, f->outcome[i].id, f->outcome[i].count);
    }
}

/* ---- differences ---- */

static uint64_t
increase_of(uint64_t before, uint64_t now)
{
    return now > before ? now - before : 0;
}

uint64_t
figures_outcome_count(const struct figures *f, uint32_t id)
{
    for (uint32_t i = 0; i < f->outcome_count; i++) {
        if (f->outcome[i].id == id) {
            return f->outcome[i].count;
        }
    }
    return 0;
}

void
figures_between(const struct figures *before, const struct figures *now,
                struct figures *out)
{
    const uint64_t *b = (const uint64_t *)before, *n = (const uint64_t *)now;

    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < COUNTS; i++) {
        ((uint64_t *)out)[i] = increase_of(b[i], n[i]);
    }
    for (uint32_t i = 0; i < now->outcome_count; i++) {
        uint32_t id = now->outcome[i].id;

        figures_add_outcome(out, id,
                            increase_of(figures_outcome_count(before, id),
                                        now->outcome[i].count));
    }
}

void
figures_raise(struct figures *f, const struct figures *before)
{
    struct figures missing;

    figures_between(f, before, &missing);
    figures_add(f, &missing);
}

bool
figures_none(const struct figures *f)
{
    uint64_t any = f->outcome_count;

    for (size_t i = 0; i < COUNTS; i++) {
        any |= ((const uint64_t *)f)[i];
    }
    return any == 0;
}

/* ---- bits ---- */

/* A count takes at most 127 bits, the number of zeros before it only a few. */
_Static_assert((COUNTER_ROOM + 4 * HISTOGRAM_BUCKETS + ATTEMPTS_GROUPS +
                FIGURES_OUTCOMES + 8) *
                           16 +
                       4 * HISTOGRAM_BUCKETS + 8 * FIGURES_OUTCOMES <
                   FIGURES_BYTES,
               "figures_write never needs more");

enum { FIRST_BITS = 10 };
_Static_assert(HISTOGRAM_BUCKETS <= 1 << FIRST_BITS, "put_histogram");

struct bits {
    uint8_t *out;
    const uint8_t *in;
    size_t at, end; /* in bits */
    bool bad;
};

/* Appends the lowest `count` bits of `value`, the highest of them first. */
static void
put_bits(struct bits *b, uint64_t value, unsigned count)
{
    if (count > b->end - b->at) {
        b->bad = true;
        return;
    }
    while (count > 0) {
        unsigned room = 8 - b->at % 8, take = count < room ? count : room;
        uint64_t part = value >> (count - take) & ((1u << take) - 1);

        if (room == 8) {
            b->out[b->at / 8] = 0;
        }
        b->out[b->at / 8] |= (uint8_t)(part << (room - take));
        b->at += take;
        count -= take;
    }
}

static uint64_t
get_bits(struct bits *b, unsigned count)
{
    uint64_t value = 0;

    if (b->bad || count > b->end - b->at) {
        b->bad = true;
        return 0;
    }
    while (count > 0) {
        unsigned room = 8 - b->at % 8, take = count < room ? count : room;
        unsigned byte = b->in[b->at / 8];

        value = value << take | (byte >> (room - take) & ((1u << take) - 1));
        b->at += take;
        count -= take;
    }
    return value;
}

static void
put_gamma(struct bits *b, uint64_t number)
{
    uint64_t plus = number == UINT64_MAX ? number : number + 1;
    unsigned after = 63 - (unsigned)__builtin_clzll(plus);

    put_bits(b, 0, after);
    put_bits(b, plus, after + 1);
}

static uint64_t
get_gamma(struct bits *b)
{
    unsigned after = 0;

    while (!b->bad && get_bits(b, 1) == 0) {
        if (++after > 63) {
            b->bad = true;
        }
    }
    return b->bad ? 0 : (1ull << after | get_bits(b, after)) - 1;
}

/* Elias delta, for numbers that are often large. */
static void
put_large(struct bits *b, uint64_t number)
{
    uint64_t plus = number == UINT64_MAX ? number : number + 1;
    unsigned after = 63 - (unsigned)__builtin_clzll(plus);

    put_gamma(b, after);
    put_bits(b, after ? plus & (UINT64_MAX >> (64 - after)) : 0, after);
}

static uint64_t
get_large(struct bits *b)
{
    uint64_t after = get_gamma(b);

    if (after > 63) {
        b->bad = true;
        return 0;
    }
    return (1ull << after | get_bits(b, (unsigned)after)) - 1;
}

/* After RICE_ONES ones a number far above the mean follows in delta. */
enum { RICE_ONES = 20, RICE_K_MAX = 40 };

static unsigned
rice_k(uint64_t sum, uint64_t count)
{
    uint64_t mean = count > 0 ? sum / count : 0;
    unsigned k = mean > 0 ? 63 - (unsigned)__builtin_clzll(mean) : 0;

    return k < RICE_K_MAX ? k : RICE_K_MAX;
}

static void
put_rice(struct bits *b, unsigned k, uint64_t number)
{
    uint64_t ones = number >> k;

    if (ones >= RICE_ONES) {
        put_bits(b, (1u << RICE_ONES) - 1, RICE_ONES);
        put_large(b, number);
        return;
    }
    put_bits(b, ((1u << ones) - 1) << 1, (unsigned)ones + 1);
    put_bits(b, number & ((1ull << k) - 1), k);
}

static uint64_t
get_rice(struct bits *b, unsigned k)
{
    uint64_t ones = 0;

    while (ones < RICE_ONES && get_bits(b, 1)) {
        ones++;
    }
    return ones == RICE_ONES ? get_large(b) : ones << k | get_bits(b, k);
}

/* ---- writing ---- */

static void
put_sparse(struct bits *b, const uint64_t *counts, size_t count)
{
    size_t next = 0, some = 0;

    for (size_t i = 0; i < count; i++) {
        some += counts[i] != 0;
    }
    put_gamma(b, some);
    for (size_t i = 0; some > 0; i++) {
        if (counts[i]) {
            put_gamma(b, i - next);
            put_large(b, counts[i] - 1);
            next = i + 1;
            some--;
        }
    }
}

static void
put_histogram(struct bits *b, const uint64_t counts[HISTOGRAM_BUCKETS])
{
    size_t some = 0, first = 0, next;
    uint64_t gaps = 0, sum = 0;
    unsigned gap_k, count_k;

    for (size_t i = HISTOGRAM_BUCKETS; i-- > 0;) {
        if (counts[i]) {
            gaps += some > 0 ? first - i - 1 : 0;
            sum = sum_of(sum, counts[i] - 1);
            first = i;
            some++;
        }
    }
    put_gamma(b, some);
    if (some == 0) {
        return;
    }
    gap_k = rice_k(gaps, some);
    count_k = rice_k(sum, some);
    put_bits(b, first, FIRST_BITS);
    put_gamma(b, gap_k);
    put_gamma(b, count_k);
    for (next = first; some > 0; some--) {
        size_t i = next;

        while (!counts[i]) {
            i++;
        }
        put_rice(b, gap_k, i - next);
        put_rice(b, count_k, counts[i] - 1);
        next = i + 1;
    }
}

static void
put_figures(struct bits *b, const struct figures *f)
{
#define X(field, name) | f->field
    bool guard = (0 FIGURES_GUARD(X)) != 0;
#undef X
    static const struct call_counts none;

    put_sparse(b, f->counter, COUNTER_ROOM);
    put_gamma(b, guard);
    if (guard) {
#define X(field, name) put_gamma(b, f->field);
        FIGURES_GUARD(X)
#undef X
    }
    put_histogram(b, f->succeeded);
    put_histogram(b, f->failed);
    put_gamma(b, f->outcome_count);
    for (uint32_t i = 0; i < f->outcome_count; i++) {
        put_gamma(b, f->outcome[i].id);
        put_gamma(b, f->outcome[i].count);
    }
    if (memcmp(&f->calls, &none, sizeof(none)) != 0) {
        put_bits(b, 1, 1);
        put_histogram(b, f->calls.took);
        put_histogram(b, f->calls.again);
        put_sparse(b, f->calls.attempts, ATTEMPTS_GROUPS);
    }
}

size_t
figures_write(const struct figures *f, uint8_t *out)
{
    struct bits b = {.out = out, .end = (size_t)FIGURES_BYTES * 8};

    put_figures(&b, f);
    assert(!b.bad);
    return (b.at + 7) / 8;
}

/* ---- reading ---- */

static void
get_sparse(struct bits *b, uint64_t *counts, size_t count)
{
    uint64_t some = get_gamma(b);
    size_t next = 0;

    for (; some > 0 && !b->bad; some--) {
        uint64_t gap = get_gamma(b), n = get_large(b);

        if (gap >= count - next) {
            b->bad = true;
        }
        if (!b->bad) {
            next += (size_t)gap;
            counts[next++] = n + 1;
        }
    }
}

static void
get_histogram(struct bits *b, uint64_t counts[HISTOGRAM_BUCKETS])
{
    uint64_t some = get_gamma(b), next, gap_k, count_k;

    if (some == 0) {
        return;
    }
    next = get_bits(b, FIRST_BITS);
    gap_k = get_gamma(b);
    count_k = get_gamma(b);
    if (gap_k > RICE_K_MAX || count_k > RICE_K_MAX ||
        next >= HISTOGRAM_BUCKETS) {
        b->bad = true;
    }
    for (; some > 0 && !b->bad; some--) {
        uint64_t gap = get_rice(b, (unsigned)gap_k);
        uint64_t n = get_rice(b, (unsigned)count_k);

        if (gap >= HISTOGRAM_BUCKETS - next) {
            b->bad = true;
        }
        if (!b->bad) {
            next += gap;
            counts[next++] = n + 1;
        }
    }
}

bool
figures_read(const uint8_t *bytes, size_t length, struct figures *out)
{
    struct bits b = {.in = bytes, .end = length * 8};
    uint64_t outcomes;

    memset(out, 0, sizeof(*out));
    get_sparse(&b, out->counter, COUNTER_ROOM);
    if (get_gamma(&b)) {
#define X(field, name) out->field = get_gamma(&b);
        FIGURES_GUARD(X)
#undef X
    }
    get_histogram(&b, out->succeeded);
    get_histogram(&b, out->failed);
    outcomes = get_gamma(&b);
    if (outcomes > FIGURES_OUTCOMES) {
        return false;
    }
    for (uint32_t i = 0; i < outcomes; i++) {
        out->outcome[i].id = (uint32_t)get_gamma(&b);
        out->outcome[i].count = get_gamma(&b);
    }
    out->outcome_count = (uint32_t)outcomes;
    if (!b.bad && b.at < b.end && get_bits(&b, 1)) {
        get_histogram(&b, out->calls.took);
        get_histogram(&b, out->calls.again);
        get_sparse(&b, out->calls.attempts, ATTEMPTS_GROUPS);
    }
    return !b.bad && b.end - b.at < 8;
}

/* ---- sums ---- */

/* Returns the sum of the stored counters with that flag of counters.h. */
static uint64_t
sum_flagged(const struct figures *f, unsigned flag)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < COUNTER_ROWS; i++) {
        if (counter_rows[i].counter >= 0 && counter_rows[i].flags & flag) {
            sum = sum_of(sum, f->counter[counter_rows[i].counter]);
        }
    }
    return sum;
}

uint64_t
figures_failed(const struct figures *f)
{
    return sum_flagged(f, COUNTER_IS_FAILED);
}

uint64_t
figures_calls(const struct figures *f)
{
    return sum_of(histogram_count(f->succeeded),
                  sum_flagged(f, COUNTER_IS_VERDICT));
}

uint64_t
figures_attempts(const struct figures *f)
{
    return sum_of(histogram_count(f->succeeded), histogram_count(f->failed));
}

uint64_t
figures_at_ns(const struct figures *f, double share)
{
    uint64_t both[HISTOGRAM_BUCKETS];

    memcpy(both, f->succeeded, sizeof(both));
    add_counts(both, f->failed, HISTOGRAM_BUCKETS);
    return histogram_at_ns(both, share);
}
