/* Layout of the words, by bit numbers:
 *
 * tokens   63........36 35.34 33.........0
 *          missing      serial time
 * size     63.62 61 .. 56 55....28 27.....0
 *          serial rounds  before   now
 *
 *   missing      thousandths of a token missing from a full bucket
 *   serial       number of the size change, modulo 4: a bucket with the serial
 *                of `size` is counted in the size "now", else in "before"
 *   time         of the last refill, in ms, modulo 2^34 (198 days)
 *   rounds       number of times the serial has wrapped, modulo 64
 *   before, now  the previous and the current size, in thousandths
 *
 * All zeros is a full bucket without a size.  The word holds the missing tokens
 * and not the level, so an untouched bucket is full whatever its size.
 *
 * refill[serial] is the rate that belongs to a size, in thousandths per second.
 * A size of 0 has none: the budget is off, or a ratio (RATIO_IN_FORCE).
 *
 * Example: 3 of 10 tokens taken at 5000 ms, first size, 2 tokens per second:
 * missing 3000, serial 1, time 5000; size has serial 1, before 10000, now
 * 10000; refill[1] is 2000.
 *
 * Refilled tokens are stored for whole seconds only.  The rest of a second is
 * computed at each reading, so no fraction is lost or gained.
 *
 * A change of the size, the rate or the kind is done in two steps, each a
 * compare-and-swap.  First, `size` gets the next serial with the sizes before
 * and now; the rate of that serial has been written just before.  Second, the
 * first process that finds tokens of the previous serial refills them up to
 * now, under the rate of that serial, and scales them.  A size of 0 on either
 * side makes a full bucket.  If a process dies between the two steps, the next
 * one does the second step.  `size` does not change again before that.
 *
 * Two processes with different rules may write the rate of the next serial at
 * once, and the slower one may even write it after the size has changed.  The
 * rate in force is then that of other rules, until the next process with the
 * newest rules finds the difference and changes it as above.
 *
 * A thread may be stopped between its reading and its compare-and-swap while
 * four changes happen and the serial wraps.  For `size`, the rounds make the
 * compare-and-swap fail.  The tokens word has no bits left for that: if it is
 * the same again by then, the thread scales it as it was right four changes
 * ago.  Both words were read together, so that is the second step of a single
 * change, and the next change undoes it: exactly if the sizes are the same as
 * four changes ago, else with another ratio. */
#include "budget.h"

#include "window.h"

#define RATIO_IN_FORCE UINT32_MAX /* in `refill`, beside a size of 0 */

struct bucket {
    int64_t missing;
    uint32_t serial;
    uint64_t time_ms; /* modulo 2^34 */
};

struct bucket_size {
    uint32_t serial, rounds;
    int64_t before, now;
};

/* The words of size and tokens, as they were at one moment. */
struct both {
    uint64_t size, tokens;
};

static struct bucket
unpack_bucket(uint64_t word)
{
    return (struct bucket){(int64_t)(word >> 36), (word >> 34) & 3,
                           word & MASK(34)};
}

static uint64_t
pack_bucket(const struct bucket *b)
{
    return (uint64_t)b->missing << 36 | (uint64_t)b->serial << 34 |
           (b->time_ms & MASK(34));
}

static struct bucket_size
unpack_size(uint64_t word)
{
    return (struct bucket_size){word >> 62, (word >> 56) & 63,
                                (int64_t)((word >> 28) & MASK(28)),
                                (int64_t)(word & MASK(28))};
}

/* ---- refill ---- */

static void
set_missing(struct bucket *b, int64_t missing, uint64_t now_ms)
{
    b->missing = missing;
    b->time_ms = now_ms & MASK(34);
}

/* Adds the tokens refilled in whole seconds to *b.  Returns those refilled
 * since then, always fewer than are missing. */
static int64_t
refill_bucket(uint64_t rate, uint64_t now_ms, struct bucket *b)
{
    uint64_t elapsed, more;

    if (b->missing == 0 || rate == 0) {
        set_missing(b, b->missing, now_ms);
        return 0;
    }
    elapsed = age_ms(now_ms, b->time_ms);
    more = elapsed % 1000 * rate / 1000;
    if (elapsed / 1000 * rate + more >= (uint64_t)b->missing) {
        set_missing(b, 0, now_ms);
        return 0;
    }
    set_missing(b, b->missing - (int64_t)(elapsed / 1000 * rate),
                b->time_ms + elapsed / 1000 * 1000);
    return (int64_t)more;
}

/* ---- the size ---- */

static uint64_t
rate_of(const struct budget_words *w, uint32_t serial)
{
    return atomic_load(&w->refill[serial]);
}

/* Does the second step of a change on a copy of the tokens. */
static void
follow_size(struct bucket *b, const struct bucket_size *s, uint64_t rate,
            uint64_t now_ms)
{
    int64_t more = refill_bucket(rate, now_ms, b);

    if (age_ms(now_ms, b->time_ms)) {
        set_missing(b, b->missing - more, now_ms);
    }
    b->missing = s->before ? b->missing * s->now / s->before : 0;
    b->serial = s->serial;
}

/* Reads both words as they were at one moment, so they are at most one step
 * apart. */
static struct both
read_both(const struct budget_words *w)
{
    uint64_t after = atomic_load(&w->size);
    struct both b;

    do {
        b.size = after;
        b.tokens = atomic_load(&w->tokens);
        after = atomic_load(&w->size);
    } while (b.size != after);
    return b;
}

static bool
is_second_step_due(struct both b)
{
    return unpack_bucket(b.tokens).serial != unpack_size(b.size).serial;
}

/* Does the second step, if it is due.  Returns both words as they are then. */
static struct both
settle_tokens(struct budget_words *w, uint64_t now_ms)
{
    for (;;) {
        struct both both = read_both(w);
        struct bucket_size s = unpack_size(both.size);
        struct bucket b = unpack_bucket(both.tokens);

        if (!is_second_step_due(both)) {
            return both;
        }
        follow_size(&b, &s, rate_of(w, b.serial), now_ms);
        atomic_compare_exchange_strong(&w->tokens, &both.tokens,
                                       pack_bucket(&b));
    }
}

/* The size and the rate that rules ask for; NULL: the budget is off. */
struct wanted {
    int64_t capacity;
    uint32_t rate;
};

static struct wanted
wanted_by(const struct budget_rules *r)
{
    if (r && r->kind == BUDGET_TOKENS) {
        return (struct wanted){r->capacity, (uint32_t)r->refill_per_s};
    }
    return (struct wanted){0, r ? RATIO_IN_FORCE : 0};
}

static bool
is_wanted(const struct budget_words *w, struct bucket_size s, struct wanted to)
{
    return s.now == to.capacity && rate_of(w, s.serial) == to.rate;
}

/* Does the step that is due, or both if the rules are the newest.  Returns both
 * words as they are then. */
static __attribute__((cold, noinline)) struct both
change_size(struct wanted to, const struct guard *g, uint64_t now_ms)
{
    struct budget_words *w = g->budget;
    struct both both = settle_tokens(w, now_ms);
    struct bucket_size s = unpack_size(both.size);
    uint32_t serial = (s.serial + 1) & 3;
    uint64_t fresh;

    if (is_wanted(w, s, to) || !commit_is_newest(&w->size_txn, g->txn)) {
        return both;
    }
    if (to.rate == RATIO_IN_FORCE && g->budget_rings) {
        window_clear(&g->budget_rings->budget);
    }
    atomic_store(&w->refill[serial], to.rate);
    fresh = (uint64_t)serial << 62 |
            (uint64_t)((s.rounds + (s.serial == 3)) & 63) << 56 |
            (uint64_t)(s.now ? s.now : to.capacity) << 28 |
            ((uint64_t)to.capacity & MASK(28));
    /* If another process was faster, its size is used. */
    atomic_compare_exchange_strong(&w->size, &both.size, fresh);
    return settle_tokens(w, now_ms);
}

/* Applies the size and the rate of the rules (NULL: off), if they are the
 * newest.  Returns both words as they are then. */
static struct both
settle_size(const struct budget_rules *r, const struct guard *g,
            uint64_t now_ms)
{
    struct both both = read_both(g->budget);
    struct wanted to = wanted_by(r);

    return is_second_step_due(both) ||
                   !is_wanted(g->budget, unpack_size(both.size), to)
               ? change_size(to, g, now_ms)
               : both;
}

/* ---- tokens ---- */

static int64_t
price_in_tokens(const struct budget_rules *r, enum budget_price price)
{
    switch (price) {
    case PRICE_TIMEOUT:
        return r->timeout_cost;
    case PRICE_THROTTLE:
        return r->throttle_cost;
    default:
        return r->cost;
    }
}

/* Returns the share that a policy may not spend. */
static double
share_to_keep(const struct budget_rules *r, enum importance who)
{
    return who == MANDATORY ? 0 : r->reserve;
}

/* Adds `change` (negative: takes) to the tokens, never above full, and takes
 * none of the share `keep`.  With `whole`, the bucket must be above
 * budget_threshold and hold the whole amount, else the function returns false
 * and takes nothing. */
static bool
move_tokens(const struct budget_rules *r, const struct guard *g, int64_t change,
            double keep, bool whole, uint64_t now_ns)
{
    uint64_t now_ms = now_ns / MS;
    int64_t more, missing, left;
    struct both both;
    struct bucket_size s;
    struct bucket b;

    do {
        both = settle_size(r, g, now_ms);
        s = unpack_size(both.size);
        if (s.now == 0 && r->capacity) {
            return true; /* newer rules have switched it off */
        }
        b = unpack_bucket(both.tokens);
        if (b.missing > s.now) {
            b.missing = 0; /* garbage: as if the budget were off */
        }
        more = refill_bucket(rate_of(g->budget, s.serial), now_ms, &b);
        missing = b.missing - more;
        left = s.now - missing - (int64_t)(keep * (double)s.now);
        if (whole &&
            ((double)(s.now - missing) <= r->threshold * (double)s.now ||
             left < -change)) {
            return false;
        }
        missing -= left < -change ? (left < 0 ? 0 : -left) : change;
        if (missing <= 0) {
            set_missing(&b, 0, now_ms);
        } else if (missing + more > s.now) {
            set_missing(&b, missing < s.now ? missing : s.now, now_ms);
        } else {
            b.missing = missing + more;
        }
    } while (!atomic_compare_exchange_weak(&g->budget->tokens, &both.tokens,
                                           pack_bucket(&b)));
    return true;
}

/* ---- ratio ---- */

/* Returns the retries within the window, if `total` is the total of retries,
 * and how many it allows. */
static uint64_t
count_retries(const struct budget_rules *r, const struct guard *g,
              uint64_t total, uint64_t now_ns, double *out_allowed)
{
    struct tally now, window;

    g->budget_tally(g->arg, &now);
    now.retries = total;
    window = window_since(&g->budget_rings->budget, r->window_ns, now_ns, &now);
    *out_allowed = r->ratio * (double)(r->earn == EARN_ALL ? window.calls
                                                           : window.earned) +
                   r->min_rate * ((double)r->window_ns / 1e9);
    return window.retries;
}

/* Takes one retry by a compare-and-swap on the total of retries.  If two
 * processes ask for the last retry, only one gets it. */
static bool
take_retry_by_ratio(const struct budget_rules *r, const struct guard *g,
                    double keep, uint64_t now_ns)
{
    uint64_t seen = atomic_load(&g->budget->retries);
    double allowed;

    do {
        uint64_t used = count_retries(r, g, seen, now_ns, &allowed);

        /* The tolerance makes 0.1 times 30 exactly 3. */
        if ((double)used + 1 > allowed * (1 - keep) + 5e-7) {
            return false;
        }
    } while (
        !atomic_compare_exchange_weak(&g->budget->retries, &seen, seen + 1));
    return true;
}

/* ---- called by the machine ---- */

static bool
is_off(const struct guard *g)
{
    return !g || !g->budget;
}

void
budget_follow(const struct budget_rules *b, const struct guard *g,
              uint64_t now_ns)
{
    if (!is_off(g)) {
        settle_size(b, g, now_ns / MS);
    }
}

bool
budget_take(const struct budget_rules *b, enum importance who,
            const struct guard *g, enum budget_price price, uint64_t now_ns,
            struct budget_paid *out_paid)
{
    double keep = share_to_keep(b, who);
    bool granted = true;

    *out_paid = (struct budget_paid){0};
    if (is_off(g)) {
        return true;
    }
    out_paid->to = g->budget;
    if (b->kind == BUDGET_TOKENS) {
        bool charged = b->charge == CHARGE_RETRY;

        out_paid->price = (int32_t)price_in_tokens(b, price);
        out_paid->with = charged ? PAID_TOKENS : PAID_NOTHING;
        granted = move_tokens(b, g, charged ? -out_paid->price : 0, keep, true,
                              now_ns);
    } else if (g->budget_rings) {
        out_paid->with = PAID_RETRY;
        granted = take_retry_by_ratio(b, g, keep, now_ns);
    }
    if (granted) {
        return true;
    }
    out_paid->with = PAID_NOTHING;
    if (g->budget_rings) {
        atomic_fetch_add_explicit(&g->budget_rings->budget_refused, 1,
                                  memory_order_relaxed);
    }
    return false;
}

void
budget_pay(const struct budget_rules *b, enum importance who,
           const struct guard *g, enum budget_price price, uint64_t now_ns)
{
    if (!is_off(g) && b->kind == BUDGET_TOKENS && b->charge == CHARGE_FAILURE) {
        move_tokens(b, g, -price_in_tokens(b, price), share_to_keep(b, who),
                    false, now_ns);
    }
}

void
budget_give(const struct budget_rules *b, const struct guard *g,
            const struct budget_paid *paid, uint64_t now_ns)
{
    int64_t back = b->deposit;

    if (is_off(g) || b->kind != BUDGET_TOKENS) {
        return;
    }
    if (paid && b->refund >= 0) {
        back = b->refund;
    } else if (paid) {
        back = paid->to == g->budget ? paid->price : 0;
    }
    if (back > 0 && !budget_is_full(g->budget)) {
        move_tokens(b, g, back, 0, false, now_ns);
    }
}

void
budget_return(const struct budget_rules *b, const struct guard *g,
              const struct budget_paid *paid, uint64_t granted_ns,
              uint64_t now_ns)
{
    if (is_off(g) || paid->to != g->budget) {
        return;
    }
    if (paid->with == PAID_TOKENS && b->kind == BUDGET_TOKENS) {
        move_tokens(b, g, paid->price, 0, false, now_ns);
    } else if (paid->with == PAID_RETRY && b->kind == BUDGET_RATIO) {
        /* Also off the totals at the beginning of each later slice, so that it
         * counts in no window. */
        window_decrement(&g->budget->retries);
        window_return_retry(&g->budget_rings->budget, granted_ns);
    }
}

bool
budget_is_full(const struct budget_words *w)
{
    return atomic_load_explicit(&w->tokens, memory_order_relaxed) >> 36 == 0;
}

double
budget_level(const struct budget_rules *b, const struct guard *g,
             uint64_t now_ns)
{
    if (is_off(g)) {
        return 1;
    }
    if (b->kind == BUDGET_TOKENS) {
        struct bucket_size s = unpack_size(atomic_load(&g->budget->size));
        struct bucket k = unpack_bucket(atomic_load(&g->budget->tokens));
        int64_t all = k.serial == s.serial ? s.now : s.before;
        uint64_t rate = rate_of(g->budget, k.serial);

        if (all == 0 || k.missing > all) {
            return 1; /* not used yet, or garbage */
        }
        k.missing -= refill_bucket(rate, now_ns / MS, &k);
        return 1 - (double)k.missing / (double)all;
    }
    if (g->budget_rings) {
        double all;
        uint64_t used =
            count_retries(b, g, atomic_load(&g->budget->retries), now_ns, &all);

        return all <= 0 || (double)used >= all ? 0 : 1 - (double)used / all;
    }
    return 1;
}

bool
budget_is_sound(const struct budget_words *w)
{
    struct bucket_size s = unpack_size(atomic_load(&w->size));
    struct bucket k = unpack_bucket(atomic_load(&w->tokens));
    int64_t all = k.serial == s.serial ? s.now : s.before;

    return all <= BUDGET_CAPACITY_MAX * 1000ll && k.missing <= all;
}

void
budget_reset(const struct guard *g)
{
    uint64_t old;
    struct bucket b;

    if (!budget_is_sound(g->budget)) {
        atomic_store(&g->budget->tokens, 0);
        atomic_store(&g->budget->size, 0);
        atomic_store(&g->budget->size_txn, 0);
    }
    old = atomic_load(&g->budget->tokens);
    do {
        b = unpack_bucket(old);
        b.missing = 0;
    } while (!atomic_compare_exchange_weak(&g->budget->tokens, &old,
                                           pack_bucket(&b)));
    if (g->budget_rings) {
        window_forget_retries(&g->budget_rings->budget,
                              atomic_load(&g->budget->retries));
    }
}
