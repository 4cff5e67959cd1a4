/* Layout of the words: `cut` is the time in ns, above the bits CUT, set after
 * the first throttle, and BEGUN; without CUT it is when the measuring began.
 * `meter` is the number of the half second, in 40 bits, above its responses,
 * in 24.
 *
 * Example, measured from 0, the first response throttled at 0.5 s: one response
 * in half a second is 2 per second, smoothed 0.8 x 2 = 1.6; most is 1.6, cut
 * 2000000003, the rate 0.7 x 1.6 = 1.12 per second.
 *
 * The formulas and numbers are those of the SDKs: botocore/retries/adaptive.py,
 * bucket.py and throttling.py; DefaultRateLimiter of aws-sdk-js-v3.
 *
 * Words are written one after another.  A process that is killed in between
 * leaves a cut from an older rate, or one half second that is not measured: the
 * next responses correct both. */
#include "adapt.h"

#include <math.h>
#include <string.h>

#include "window.h"

#define BETA 0.7     /* share of the rate that a cut leaves */
#define SCALE 0.4    /* of the cubic growth */
#define SMOOTH 0.8   /* weight of the last half second */
#define HIGHEST 1e12 /* a rate above this is garbage */
#define HALF_NS 500000000ull
enum { CUT = 1, BEGUN = 2 };

double
adapt_read(const _Atomic uint64_t *word, double other)
{
    uint64_t bits = atomic_load_explicit(word, memory_order_relaxed);
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value >= 0 && value <= HIGHEST ? value : other;
}

void
adapt_write(_Atomic uint64_t *word, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    atomic_store_explicit(word, bits, memory_order_relaxed);
}

double
adapt_grown(double most, double since_s)
{
    double k = cbrt(most * (1 - BETA) / SCALE);

    return SCALE * (since_s - k) * (since_s - k) * (since_s - k) + most;
}

/* ---- the time of the last cut ---- */

/* Reads `cut`.  A time that is ahead is garbage, or of another core's clock; it
 * becomes now. */
static uint64_t
read_cut(struct rate_words *w, uint64_t now_ns)
{
    uint64_t seen = atomic_load(&w->cut);

    while (seen >> 2 > now_ns) {
        uint64_t now = now_ns << 2 | BEGUN | (seen & CUT);

        if (atomic_compare_exchange_weak(&w->cut, &seen, now)) {
            return now;
        }
    }
    return seen;
}

void
adapt_begin(struct rate_words *w, uint64_t now_ns)
{
    uint64_t none = 0;

    atomic_compare_exchange_strong(&w->cut, &none, now_ns << 2 | BEGUN);
}

bool
adapt_has_cut(const struct rate_words *w)
{
    return atomic_load_explicit(&w->cut, memory_order_relaxed) & CUT;
}

/* ---- reports ---- */

/* Counts a response.  Returns the responses per second: renewed by the first
 * response of each half second, which counts for those before. */
static double
count_response(struct rate_words *w, uint64_t begun_ns, uint64_t now_ns)
{
    uint64_t half = now_ns / HALF_NS, seen = atomic_load(&w->meter), last, next;
    double measured = adapt_read(&w->measured, 0), count;

    do {
        last = seen ? seen >> 24 : begun_ns / HALF_NS;
        if (last > half + 2) {
            last = half; /* garbage */
        }
        count = (double)(seen & MASK(24)) + 1;
        next = half > last ? half << 24 : last << 24 | ((seen + 1) & MASK(24));
    } while (!atomic_compare_exchange_weak(&w->meter, &seen, next));
    if (half > last) {
        measured = SMOOTH * count / ((double)(half - last) / 2) +
                   (1 - SMOOTH) * measured;
        adapt_write(&w->measured, measured);
    }
    return measured;
}

/* Reports whether a throttle outcome cuts the rate, and stores that it does. */
static bool
take_cut(enum rate_adapt how, struct rate_words *w, uint64_t seen,
         uint64_t began_ns, uint64_t now_ns)
{
    bool may = how == ADAPT_AWS || !(seen & CUT) || began_ns > seen >> 2;

    while (may && !atomic_compare_exchange_strong(&w->cut, &seen,
                                                  now_ns << 2 | BEGUN | CUT)) {
        may = how == ADAPT_AWS;
    }
    return may;
}

double
adapt_report(const struct rate_rules *r, struct rate_words *w, double pace,
             bool throttled, uint64_t began_ns, uint64_t now_ns)
{
    uint64_t cut = read_cut(w, now_ns), at = cut >> 2;
    double measured = count_response(w, at, now_ns), rate, most;

    if (throttled && take_cut(r->adapt, w, cut, began_ns, now_ns)) {
        most = cut & CUT && pace < measured ? pace : measured;
        adapt_write(&w->most, most);
        rate = BETA * most;
    } else {
        most = adapt_read(&w->most, -1);
        if (most < 0) { /* garbage */
            most = measured;
            adapt_write(&w->most, most);
        }
        rate = adapt_grown(most, (double)(now_ns - at) / 1e9);
    }
    rate = rate < 2 * measured ? rate : 2 * measured;
    return rate > r->min_per_s ? rate : r->min_per_s;
}

bool
adapt_is_sound(const struct rate_words *w, uint64_t now_ns)
{
    return adapt_read(&w->most, -1) >= 0 && adapt_read(&w->measured, -1) >= 0 &&
           atomic_load(&w->cut) >> 2 <= now_ns + AHEAD_MS * MS;
}
