/* Layout of `tokens`: the level as a float in the upper 32 bits; in the lower
 * ones when it was that, in ms, modulo 2^32 (49 days).  0 is a full bucket, or
 * an empty one if the rate adapts.
 *
 * Example, 10 tokens per second and room for 5: the word has 2.0 and 3000.  At
 * 3150 ms the level is 3.5.  A take stores 1.0 and 3000: its own tokens off,
 * and those that came since then counted at the next reading, so that nothing
 * is lost by rounding.  That level may be below 0, by the tokens of a second.
 *
 * A change of the rate first stores the level of that moment, under the rate
 * before, and then the rate.  A process that is killed in between has changed
 * nothing, and the next one does both.
 *
 * A process that was stopped for more than AHEAD_MS after it read its clock may
 * find a full bucket: it cannot tell that from garbage.
 *
 * Waiting calls are given different times, one token apart, within LOOK_NS:
 * else all of them would wake for each token. */
#include "rate.h"

#include <math.h>
#include <string.h>

#include "adapt.h"
#include "budget.h"
#include "window.h"

#define LOOK_NS (250 * MS) /* the rate may have grown by then */
#define NEARLY 1e-5        /* a token, in spite of rounding */
#define LONGEST_S 1e9
#define NOTHING (1ull << 63) /* a level of -0.0 */

struct bucket {
    double rate, burst; /* in force */
    bool adapts, is_free;
    double then; /* level at then_ms */
    uint32_t then_ms;
    double level;    /* now */
    bool is_renewed; /* must be stored with the time of now */
    bool is_early;   /* others have stored a later time, which stays: else what
                        came since now would be counted twice */
};

/* ---- reading ---- */

static struct bucket
read_rate(const struct rate_rules *r, const struct rate_words *w)
{
    struct bucket b = {.rate = r->per_s, .burst = r->burst};

    if (r->adapt == ADAPT_NONE) {
        return b;
    }
    b.adapts = true;
    b.is_free = !adapt_has_cut(w) && r->per_s >= RATE_HIGHEST;
    if (b.is_free || adapt_has_cut(w)) {
        b.rate = fmin(adapt_read(&w->pace, r->min_per_s), r->per_s);
    }
    if (!b.is_free) {
        b.rate = fmax(b.rate, r->min_per_s);
    }
    b.burst = fmax(b.rate, 1);
    return b;
}

static double
unpack_level(uint64_t word)
{
    uint32_t bits = (uint32_t)(word >> 32);
    float level;

    memcpy(&level, &bits, sizeof(level));
    return level;
}

static void
read_level(struct bucket *b, uint64_t word, uint64_t now_ns)
{
    uint32_t age_ms = (uint32_t)(now_ns / MS) - (uint32_t)word;
    double age_s = age_ms / 1e3 + (double)(now_ns % MS) / 1e9;
    double then = unpack_level(word);

    b->is_early = age_ms > UINT32_MAX - AHEAD_MS;
    if (b->is_early) {
        age_s = 0;
    }
    if (word == 0) {
        then = b->adapts ? 0 : b->burst;
    } else if (!(then >= -b->rate - 1)) {
        then = 0; /* garbage */
    }
    b->then = then;
    b->then_ms = (uint32_t)word;
    b->level = then + age_s * b->rate;
    b->is_renewed = word == 0 || age_s >= 1 || b->level > b->burst;
    if (b->level > b->burst) {
        b->level = b->burst;
    }
}

static struct bucket
read_bucket(const struct rate_rules *r, const struct rate_words *w,
            uint64_t word, uint64_t now_ns)
{
    struct bucket b = read_rate(r, w);

    read_level(&b, word, now_ns);
    return b;
}

/* ---- writing ---- */

/* Returns the word for the bucket with `change` tokens more. */
static uint64_t
pack_level(const struct bucket *b, double change, bool renewed, uint64_t now_ns)
{
    double then = b->then + change;
    uint32_t ms = b->then_ms, bits;
    uint64_t word;
    float level;

    if (renewed || b->is_renewed) {
        then = b->level + change;
        if (!b->is_early) {
            ms = (uint32_t)(now_ns / MS);
            then -= b->rate * (double)(now_ns % MS) / 1e9;
        }
    }
    level = (float)then;
    memcpy(&bits, &level, sizeof(bits));
    word = (uint64_t)bits << 32 | ms;
    return word ? word : NOTHING; /* 0 has another meaning */
}

/* Stores the level of now, with at most `burst` tokens, under the rate
 * `before`, and then the rate `pace`. */
static void
change_pace(struct rate_words *w, struct bucket b, double before, double burst,
            double pace, uint64_t now_ns)
{
    uint64_t seen = atomic_load(&w->tokens), next;
    struct bucket after;

    b.rate = before;
    do {
        if (seen == 0 && !b.adapts) {
            break; /* full before and after */
        }
        read_level(&b, seen, now_ns);
        after = b;
        after.rate = pace;
        after.level = fmin(b.level, burst);
        next = pack_level(&after, 0, true, now_ns);
    } while (!atomic_compare_exchange_weak(&w->tokens, &seen, next));
    adapt_write(&w->pace, pace);
}

static __attribute__((cold, noinline)) void
change_rules(const struct rate_rules *r, struct rate_words *w, uint64_t txn,
             uint64_t now_ns)
{
    struct bucket b = read_rate(r, w);
    double before = adapt_read(&w->pace, r->per_s);

    if (!commit_is_newest(&w->txn, txn)) {
        return;
    }
    if (b.adapts) {
        adapt_write(&w->pace, 0);
        adapt_begin(w, now_ns);
        return;
    }
    atomic_store(&w->cut, 0);
    atomic_store(&w->meter, 0);
    adapt_write(&w->most, 0);
    adapt_write(&w->measured, 0);
    change_pace(w, b, before > 0 ? before : r->per_s, b.burst, r->per_s,
                now_ns);
}

void
rate_follow(const struct rate_rules *r, struct rate_words *w, uint64_t txn,
            uint64_t now_ns)
{
    bool adapts = atomic_load_explicit(&w->cut, memory_order_relaxed) != 0;

    if (r->adapt != ADAPT_NONE
            ? !adapts
            : adapts || adapt_read(&w->pace, 0) != r->per_s) {
        change_rules(r, w, txn, now_ns);
    }
}

/* ---- tokens ---- */

/* Returns when a call should ask again that misses `missing` tokens: when they
 * are there, or one token after the time that was given last.  A call that
 * would wait for longer than `most_ns` gives up, so it is not given that. */
static uint64_t
next_turn(struct rate_words *w, const struct bucket *b, double missing,
          uint64_t most_ns, uint64_t now_ns)
{
    double wait_s = fmin(missing / b->rate, LONGEST_S);
    double each_s = fmin(1 / b->rate, LONGEST_S);
    /* In whole us: rounding is not seen, and time always passes. */
    double wait_us = fmax(ceil(wait_s * 1e6 - 0.01), 1);
    uint64_t first = now_ns + (uint64_t)wait_us * 1000;
    uint64_t look = now_ns + LOOK_NS, seen = atomic_load(&w->turn), next;

    if (!b->adapts) {
        look = larger_ns(look, first);
    }
    do {
        next = seen + (uint64_t)(each_s * 1e9);
        if (next < first || seen > look || wait_s < each_s / 2) {
            next = first;
        }
        next = smaller_ns(next, look);
    } while ((next > seen || seen > look) && next < look &&
             next - now_ns <= most_ns &&
             !atomic_compare_exchange_weak(&w->turn, &seen, next));
    return next;
}

bool
rate_take(const struct rate_rules *r, struct rate_words *w, uint64_t txn,
          enum importance who, uint64_t now_ns, uint64_t *out_at_ns)
{
    uint64_t seen;
    struct bucket b;
    double keep;

    rate_follow(r, w, txn, now_ns);
    seen = atomic_load_explicit(&w->tokens, memory_order_relaxed);
    do {
        b = read_bucket(r, w, seen, now_ns);
        if (b.is_free) {
            return true;
        }
        /* A full bucket has a token for everybody. */
        keep = who == MANDATORY ? 0 : fmin(r->reserve * b.burst, b.burst - 1);
        if (b.level < 1 + keep - NEARLY) {
            *out_at_ns =
                next_turn(w, &b, 1 + keep - b.level, r->wait_ns, now_ns);
            return false;
        }
    } while (!atomic_compare_exchange_weak(&w->tokens, &seen,
                                           pack_level(&b, -1, false, now_ns)));
    return true;
}

void
rate_return(const struct rate_rules *r, struct rate_words *w, uint64_t now_ns)
{
    uint64_t seen = atomic_load(&w->tokens);
    struct bucket b;

    do {
        b = read_bucket(r, w, seen, now_ns);
    } while (!b.is_free &&
             !atomic_compare_exchange_weak(&w->tokens, &seen,
                                           pack_level(&b, 1, false, now_ns)));
}

void
rate_report(const struct rate_rules *r, struct rate_words *w, bool throttled,
            uint64_t began_ns, uint64_t now_ns)
{
    struct bucket b;
    double pace;

    if (r->adapt == ADAPT_NONE) {
        return;
    }
    adapt_begin(w, now_ns);
    b = read_rate(r, w);
    pace =
        fmin(adapt_report(r, w, b.rate, throttled, began_ns, now_ns), r->per_s);
    /* Up to the first cut, a rate_limit is the rate in force. */
    if (b.is_free || adapt_has_cut(w)) {
        change_pace(w, b, b.rate, fmax(pace, 1), pace, now_ns);
    } else {
        adapt_write(&w->pace, pace);
    }
}

struct rate_look
rate_look(const struct rate_rules *r, const struct rate_words *w,
          uint64_t now_ns)
{
    uint64_t word = atomic_load(&w->tokens);
    struct bucket b = read_bucket(r, w, word, now_ns);

    return (struct rate_look){
        .per_s = b.is_free ? INFINITY : b.rate,
        .each_ns =
            b.is_free ? 0 : (uint64_t)(1e9 * fmin(1 / b.rate, LONGEST_S)),
        .tokens = fmax(b.level, 0),
        .burst = b.burst,
        .is_learned = b.adapts && adapt_has_cut(w),
        .is_damaged = !(fabs(unpack_level(word)) <= 2 * RATE_HIGHEST) ||
                      atomic_load(&w->turn) > now_ns + (uint64_t)1e18 ||
                      adapt_read(&w->pace, -1) < 0 ||
                      (b.adapts && !adapt_is_sound(w, now_ns)),
    };
}
