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
 * Example: 3 of 10 tokens taken at 5000 ms, first size: missing 3000, serial 1,
 * time 5000; size has serial 1, before 10000, now 10000.
 *
 * Refilled tokens are stored for whole seconds only.  The rest of a second is
 * computed at each reading, so no fraction is lost or gained.
 *
 * The size changes in two steps, each a compare-and-swap.  First, `size` gets
 * the next serial with the sizes before and now.  Second, the first process
 * that finds tokens of the previous serial scales them.  If a process dies
 * between the two steps, the next one does the second step.  `size` does not
 * change again before that.
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

#define BITS28 ((1ull << 28) - 1)
#define BITS34 ((1ull << 34) - 1)

#define FAR_AHEAD 1000000ull
enum { AHEAD_MS = 1000 }; /* clocks of two cores differ by far less */

struct bucket {
    int64_t missing;
    uint32_t serial;
    uint64_t time_ms; /* modulo 2^34 */
};

struct bucket_size {
    uint32_t serial, rounds;
    int64_t before, now;
};

static struct bucket
unpack_bucket(uint64_t word)
{
    return (struct bucket){(int64_t)(word >> 36), (word >> 34) & 3,
                           word & BITS34};
}

static uint64_t
pack_bucket(const struct bucket *b)
{
    return (uint64_t)b->missing << 36 | (uint64_t)b->serial << 34 |
           (b->time_ms & BITS34);
}

static struct bucket_size
unpack_size(uint64_t word)
{
    return (struct bucket_size){word >> 62, (word >> 56) & 63,
                                (int64_t)((word >> 28) & BITS28),
                                (int64_t)(word & BITS28)};
}

/* ---- the size ---- */

/* Does the second step of a size change on a copy of the tokens. */
static void
scale_to_size(struct bucket *b, const struct bucket_size *s)
{
    if (b->serial != s->serial) {
        b->missing = s->before ? b->missing * s->now / s->before : 0;
        b->serial = s->serial;
    }
}

/* Reads size and tokens as they were at one moment, so they are at most one
 * step apart. */
static struct bucket_size
read_size_and_tokens(struct budget_words *w, uint64_t *out_tokens)
{
    uint64_t size, after = atomic_load(&w->size);

    do {
        size = after;
        *out_tokens = atomic_load(&w->tokens);
        after = atomic_load(&w->size);
    } while (size != after);
    return unpack_size(size);
}

/* Does the second step, if it is due.  Returns the current size, and the tokens
 * counted in it. */
static struct bucket_size
settle_tokens(struct budget_words *w, uint64_t *out_tokens)
{
    uint64_t old, fresh;
    struct bucket_size s;
    struct bucket b;

    do {
        s = read_size_and_tokens(w, &old);
        b = unpack_bucket(old);
        scale_to_size(&b, &s);
        fresh = pack_bucket(&b);
    } while (fresh != old &&
             !atomic_compare_exchange_weak(&w->tokens, &old, fresh));
    *out_tokens = fresh;
    return s;
}

/* Records commit `txn` as the one that set the size.  Returns false if a newer
 * commit has set it, so that older rules do not restore an old size.  A
 * recorded commit more than FAR_AHEAD ahead is garbage and is overwritten. */
static bool
record_commit(struct budget_words *w, uint64_t txn)
{
    uint64_t seen = atomic_load(&w->size_txn);

    while (seen < txn || seen - txn > FAR_AHEAD) {
        if (atomic_compare_exchange_weak(&w->size_txn, &seen, txn)) {
            return true;
        }
    }
    return seen == txn;
}

/* Sets the size to the capacity of the rules, if they are the newest.  Returns
 * the current size, and the tokens counted in it. */
static struct bucket_size
settle_size(const struct budget_rules *r, const struct guard *g,
            uint64_t *out_tokens)
{
    struct budget_words *w = g->budget;
    uint64_t old = atomic_load(&w->size), wanted;
    struct bucket_size s = settle_tokens(w, out_tokens);

    if (s.now == r->capacity || (s.now && !record_commit(w, g->txn)) ||
        s.serial != unpack_size(old).serial ||
        s.rounds != unpack_size(old).rounds) {
        return s;
    }
    wanted = (uint64_t)((s.serial + 1) & 3) << 62 |
             (uint64_t)((s.rounds + (s.serial == 3)) & 63) << 56 |
             (uint64_t)(s.now ? s.now : r->capacity) << 28 |
             ((uint64_t)r->capacity & BITS28);
    /* If another process was faster, its size is used. */
    atomic_compare_exchange_strong(&w->size, &old, wanted);
    return settle_tokens(w, out_tokens);
}

/* ---- tokens ---- */

static void
set_missing(struct bucket *b, int64_t missing, uint64_t now_ms)
{
    b->missing = missing;
    b->time_ms = now_ms & BITS34;
}

/* Adds the tokens refilled in whole seconds to *b.  Returns those refilled
 * since then, always fewer than are missing. */
static int64_t
refill_bucket(const struct budget_rules *r, uint64_t now_ms, struct bucket *b)
{
    uint64_t elapsed = (now_ms - b->time_ms) & BITS34, rate, more;

    if (elapsed > BITS34 - AHEAD_MS) {
        return 0; /* written by a core whose clock is slightly ahead */
    }
    if (b->missing == 0 || r->refill_per_s <= 0) {
        set_missing(b, b->missing, now_ms);
        return 0;
    }
    rate = (uint64_t)r->refill_per_s;
    more = elapsed % 1000 * rate / 1000;
    if (elapsed / 1000 * rate + more >= (uint64_t)b->missing) {
        set_missing(b, 0, now_ms);
        return 0;
    }
    set_missing(b, b->missing - (int64_t)(elapsed / 1000 * rate),
                b->time_ms + elapsed / 1000 * 1000);
    return (int64_t)more;
}

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

/* Reports whether the level is above budget_threshold, which retries
 * require. */
static bool
is_above_threshold(const struct budget_rules *r, const struct bucket_size *s,
                   int64_t missing)
{
    return (double)(s->now - missing) > r->threshold * (double)s->now;
}

/* Adds `change` (negative: takes) to the tokens, never below empty or above
 * full.  With `whole`, the bucket must be above the threshold and hold the
 * whole amount, else the function returns false and takes nothing. */
static bool
move_tokens(const struct budget_rules *r, const struct guard *g, int64_t change,
            bool whole, uint64_t now_ns)
{
    uint64_t now_ms = now_ns / 1000000, old;
    int64_t more, missing;
    struct bucket_size s;
    struct bucket b;

    do {
        s = settle_size(r, g, &old);
        b = unpack_bucket(old);
        if (b.missing > s.now) {
            b.missing = 0; /* garbage: as if the budget were off */
        }
        more = refill_bucket(r, now_ms, &b);
        missing = b.missing - more;
        if (whole && (!is_above_threshold(r, &s, missing) ||
                      s.now - missing < -change)) {
            return false;
        }
        missing -= change;
        if (missing <= 0) {
            set_missing(&b, 0, now_ms);
        } else if (missing + more > s.now) {
            set_missing(&b, missing < s.now ? missing : s.now, now_ms);
        } else {
            b.missing = missing + more;
        }
    } while (!atomic_compare_exchange_weak(&g->budget->tokens, &old,
                                           pack_bucket(&b)));
    return true;
}

static bool
take_retry_by_tokens(const struct budget_rules *r, const struct guard *g,
                     enum budget_price price, uint64_t now_ns,
                     int64_t *out_paid)
{
    if (r->charge == CHARGE_FAILURE) {
        *out_paid = 0; /* the failure was charged */
        return move_tokens(r, g, 0, true, now_ns);
    }
    *out_paid = price_in_tokens(r, price);
    return move_tokens(r, g, -*out_paid, true, now_ns);
}

/* ---- ratio ---- */

static double
allowed_retries(const struct budget_rules *r, const struct tally *window)
{
    return r->ratio * (double)window->calls +
           r->min_rate * ((double)r->window_ns / 1e9);
}

/* Takes one retry by a compare-and-swap on the total of retries.  If two
 * processes ask for the last retry, only one gets it. */
static bool
take_retry_by_ratio(const struct budget_rules *r, const struct guard *g,
                    uint64_t now_ns)
{
    struct tally now, window;
    uint64_t seen = atomic_load(&g->budget->retries);

    do {
        g->budget_tally(g->arg, &now);
        now.retries = seen;
        window =
            window_since(&g->budget_rings->budget, r->window_ns, now_ns, &now);
        /* The tolerance makes 0.1 times 30 exactly 3. */
        if ((double)window.retries + 1 > allowed_retries(r, &window) + 5e-7) {
            return false;
        }
    } while (
        !atomic_compare_exchange_weak(&g->budget->retries, &seen, seen + 1));
    return true;
}

static void
return_retry_of_ratio(const struct guard *g)
{
    uint64_t seen = atomic_load(&g->budget->retries);

    while (seen && !atomic_compare_exchange_weak(&g->budget->retries, &seen,
                                                 seen - 1)) {
    }
}

/* ---- called by the machine ---- */

static bool
is_off(const struct guard *g)
{
    return !g || !g->budget;
}

bool
budget_take(const struct budget_rules *b, const struct guard *g,
            enum budget_price price, uint64_t now_ns, int64_t *out_paid)
{
    bool granted;

    *out_paid = 0;
    if (is_off(g)) {
        return true;
    }
    if (b->kind == BUDGET_TOKENS) {
        granted = take_retry_by_tokens(b, g, price, now_ns, out_paid);
    } else {
        granted = !g->budget_rings || take_retry_by_ratio(b, g, now_ns);
        *out_paid = granted && g->budget_rings;
    }
    if (!granted && g->budget_rings) {
        atomic_fetch_add_explicit(&g->budget_rings->budget_refused, 1,
                                  memory_order_relaxed);
    }
    return granted;
}

void
budget_pay(const struct budget_rules *b, const struct guard *g,
           enum budget_price price, uint64_t now_ns)
{
    if (!is_off(g) && b->kind == BUDGET_TOKENS && b->charge == CHARGE_FAILURE) {
        move_tokens(b, g, -price_in_tokens(b, price), false, now_ns);
    }
}

void
budget_give(const struct budget_rules *b, const struct guard *g, int64_t paid,
            uint64_t now_ns)
{
    int64_t back = b->deposit;

    if (is_off(g) || b->kind != BUDGET_TOKENS) {
        return;
    }
    if (paid >= 0) {
        back = b->refund >= 0 ? b->refund : paid;
    }
    if (back > 0 && !budget_is_full(g->budget)) {
        move_tokens(b, g, back, false, now_ns);
    }
}

void
budget_return(const struct budget_rules *b, const struct guard *g, int64_t paid,
              uint64_t now_ns)
{
    if (is_off(g) || paid <= 0) {
        return;
    }
    if (b->kind == BUDGET_TOKENS) {
        move_tokens(b, g, paid, false, now_ns);
    } else {
        return_retry_of_ratio(g);
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

        if (all == 0 || k.missing > all) {
            return 1; /* not used yet, or garbage */
        }
        k.missing -= refill_bucket(b, now_ns / 1000000, &k);
        return 1 - (double)k.missing / (double)all;
    }
    if (g->budget_rings) {
        struct tally now, window;
        double all;

        g->budget_tally(g->arg, &now);
        now.retries = atomic_load(&g->budget->retries);
        window =
            window_since(&g->budget_rings->budget, b->window_ns, now_ns, &now);
        all = allowed_retries(b, &window);
        return all <= 0 || (double)window.retries >= all
                   ? 0
                   : 1 - (double)window.retries / all;
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

static void
fill_bucket(struct budget_words *w)
{
    uint64_t old = atomic_load(&w->tokens);
    struct bucket b;

    do {
        b = unpack_bucket(old);
        b.missing = 0;
    } while (!atomic_compare_exchange_weak(&w->tokens, &old, pack_bucket(&b)));
}

void
budget_reset(const struct guard *g)
{
    if (!budget_is_sound(g->budget)) {
        atomic_store(&g->budget->tokens, 0);
        atomic_store(&g->budget->size, 0);
        atomic_store(&g->budget->size_txn, 0);
    }
    fill_bucket(g->budget);
    if (g->budget_rings) {
        window_forget_retries(&g->budget_rings->budget,
                              atomic_load(&g->budget->retries));
    }
}
