/* tokens   63........36 35.34 33.........0
 *          taken        serial time        thousandths that are missing from a
 *                                          full bucket; serial of the size
 *                                          they are counted in; ms (198 days)
 * size     63.62 61 .. 56 55....28 27.....0
 *          serial rounds  before   now     thousandths; rounds: the serial has
 *                                          come round so often
 *
 * All zeros is a full bucket whose size nobody has said yet.  Kept is what is
 * missing, so that a bucket that nobody touches is full whatever its size.
 *
 * What has come back by refill is written down in whole seconds, and counted
 * on top until then: so no fraction is lost, and none is made.
 *
 * A change of the size goes in two steps, each one compare-and-swap: `size`
 * gets the next serial, with the size before and the size now; then whoever
 * finds tokens of the serial before scales them.  A process that dies between
 * the two leaves nothing behind: the next one does the second step.  `size` is
 * not changed again before that.
 *
 * A thread may stand still between reading and changing while all this happens
 * four times and the serial comes round.  A size has its rounds, so what it
 * would put is refused.  Tokens have no bits left: it may do a second step of
 * four changes ago, if they are the very same by then.  As the two were read
 * together that is a step of one change, which the next one takes back: exactly
 * where the sizes are the same as four changes ago, else by another ratio. */
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

struct size {
    uint32_t serial, rounds;
    int64_t before, now;
};

static struct bucket
bucket_of(uint64_t word)
{
    return (struct bucket){(int64_t)(word >> 36), (word >> 34) & 3,
                           word & BITS34};
}

static uint64_t
word_of(const struct bucket *b)
{
    return (uint64_t)b->missing << 36 | (uint64_t)b->serial << 34 |
           (b->time_ms & BITS34);
}

static struct size
size_of(uint64_t word)
{
    return (struct size){word >> 62, (word >> 56) & 63,
                         (int64_t)((word >> 28) & BITS28),
                         (int64_t)(word & BITS28)};
}

/* ---- the size ---- */

static void
scale(struct bucket *b, const struct size *s)
{
    if (b->serial != s->serial) {
        b->missing = s->before ? b->missing * s->now / s->before : 0;
        b->serial = s->serial;
    }
}

/* The size, and tokens that were there while it held: both as they were at one
 * time, so that they are at most one step apart. */
static struct size
look(struct budget_words *w, uint64_t *out_tokens)
{
    uint64_t size, after = atomic_load(&w->size);

    do {
        size = after;
        *out_tokens = atomic_load(&w->tokens);
        after = atomic_load(&w->size);
    } while (size != after);
    return size_of(size);
}

/* The second step: the tokens that are there, in the size that holds. */
static struct size
settle(struct budget_words *w, uint64_t *out_tokens)
{
    uint64_t old, fresh;
    struct size s;
    struct bucket b;

    do {
        s = look(w, &old);
        b = bucket_of(old);
        scale(&b, &s);
        fresh = word_of(&b);
    } while (fresh != old &&
             !atomic_compare_exchange_weak(&w->tokens, &old, fresh));
    *out_tokens = fresh;
    return s;
}

/* Rules of an older commit do not turn the size back.  One that is millions of
 * commits ahead is garbage. */
static bool
is_newest(struct budget_words *w, uint64_t txn)
{
    uint64_t seen = atomic_load(&w->size_txn);

    while (seen < txn || seen - txn > FAR_AHEAD) {
        if (atomic_compare_exchange_weak(&w->size_txn, &seen, txn)) {
            return true;
        }
    }
    return seen == txn;
}

/* The size in force, after making it what the rules say, and the tokens in
 * it. */
static struct size
settle_size(const struct budget_rules *r, const struct guard *g,
            uint64_t *out_tokens)
{
    struct budget_words *w = g->budget;
    uint64_t old = atomic_load(&w->size), wanted;
    struct size s = settle(w, out_tokens);

    if (s.now == r->capacity || (s.now && !is_newest(w, g->txn)) ||
        s.serial != size_of(old).serial || s.rounds != size_of(old).rounds) {
        return s;
    }
    wanted = (uint64_t)((s.serial + 1) & 3) << 62 |
             (uint64_t)((s.rounds + (s.serial == 3)) & 63) << 56 |
             (uint64_t)(s.now ? s.now : r->capacity) << 28 |
             ((uint64_t)r->capacity & BITS28);
    /* Where another process was faster, its size holds. */
    atomic_compare_exchange_strong(&w->size, &old, wanted);
    return settle(w, out_tokens);
}

/* ---- tokens ---- */

/* Fills up, or goes on, from now. */
static void
restart(struct bucket *b, int64_t missing, uint64_t now_ms)
{
    b->missing = missing;
    b->time_ms = now_ms & BITS34;
}

/* Writes down what has come back in whole seconds.  Returns what has on top of
 * that, less than what is missing. */
static int64_t
refill(const struct budget_rules *r, uint64_t now_ms, struct bucket *b)
{
    uint64_t gone = (now_ms - b->time_ms) & BITS34, rate, more;

    if (gone > BITS34 - AHEAD_MS) {
        return 0; /* a clock a little ahead of ours */
    }
    if (b->missing == 0 || r->refill_per_s <= 0) {
        restart(b, b->missing, now_ms);
        return 0;
    }
    rate = (uint64_t)r->refill_per_s;
    more = gone % 1000 * rate / 1000;
    if (gone / 1000 * rate + more >= (uint64_t)b->missing) {
        restart(b, 0, now_ms);
        return 0;
    }
    restart(b, b->missing - (int64_t)(gone / 1000 * rate),
            b->time_ms + gone / 1000 * 1000);
    return (int64_t)more;
}

static int64_t
price_of(const struct budget_rules *r, enum budget_price price)
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

/* Retries only above this share. */
static bool
above_threshold(const struct budget_rules *r, const struct size *s,
                int64_t missing)
{
    return (double)(s->now - missing) > r->threshold * (double)s->now;
}

/* Adds `change` to what is there.  With `whole` the bucket must hold it all
 * (and be above the threshold), else false and nothing taken; without, it
 * stops at empty and at full. */
static bool
move(const struct budget_rules *r, const struct guard *g, int64_t change,
     bool whole, uint64_t now_ns)
{
    uint64_t now_ms = now_ns / 1000000, old;
    int64_t more, missing;
    struct size s;
    struct bucket b;

    do {
        s = settle_size(r, g, &old);
        b = bucket_of(old);
        if (b.missing > s.now) {
            b.missing = 0; /* garbage: as if the budget were off */
        }
        more = refill(r, now_ms, &b);
        missing = b.missing - more;
        if (whole &&
            (!above_threshold(r, &s, missing) || s.now - missing < -change)) {
            return false;
        }
        missing -= change;
        if (missing <= 0) {
            restart(&b, 0, now_ms);
        } else if (missing + more > s.now) {
            restart(&b, missing < s.now ? missing : s.now, now_ms);
        } else {
            b.missing = missing + more;
        }
    } while (
        !atomic_compare_exchange_weak(&g->budget->tokens, &old, word_of(&b)));
    return true;
}

static bool
take_tokens(const struct budget_rules *r, const struct guard *g,
            enum budget_price price, uint64_t now_ns, int64_t *out_paid)
{
    if (r->charge == CHARGE_FAILURE) {
        *out_paid = 0; /* the failure has paid */
        return move(r, g, 0, true, now_ns);
    }
    *out_paid = price_of(r, price);
    return move(r, g, -*out_paid, true, now_ns);
}

/* ---- ratio ---- */

static double
allowed(const struct budget_rules *r, const struct tally *window)
{
    return r->ratio * (double)window->calls +
           r->min_rate * ((double)r->window_ns / 1e9);
}

/* Claims one more retry by compare-and-swap on their number: of two that ask
 * at once for the last place, one gets it. */
static bool
take_ratio(const struct budget_rules *r, const struct guard *g, uint64_t now_ns)
{
    struct tally now, window;
    uint64_t seen = atomic_load(&g->budget->retries);

    do {
        g->budget_tally(g->arg, &now);
        now.retries = seen;
        window =
            window_since(&g->budget_rings->budget, r->window_ns, now_ns, &now);
        /* Half a millionth: 0.1 times 30 is 3 here. */
        if ((double)window.retries + 1 > allowed(r, &window) + 5e-7) {
            return false;
        }
    } while (
        !atomic_compare_exchange_weak(&g->budget->retries, &seen, seen + 1));
    return true;
}

static void
unclaim(const struct guard *g)
{
    uint64_t seen = atomic_load(&g->budget->retries);

    while (seen && !atomic_compare_exchange_weak(&g->budget->retries, &seen,
                                                 seen - 1)) {
    }
}

/* ---- what calls ask ---- */

static bool
is_off(const struct guard *g)
{
    return !g || !g->budget;
}

bool
budget_take(const struct budget_rules *b, const struct guard *g,
            enum budget_price price, uint64_t now_ns, int64_t *out_paid)
{
    bool yes;

    *out_paid = 0;
    if (is_off(g)) {
        return true;
    }
    if (b->kind == BUDGET_TOKENS) {
        yes = take_tokens(b, g, price, now_ns, out_paid);
    } else {
        yes = !g->budget_rings || take_ratio(b, g, now_ns);
        *out_paid = yes && g->budget_rings;
    }
    if (!yes && g->budget_rings) {
        atomic_fetch_add_explicit(&g->budget_rings->budget_refused, 1,
                                  memory_order_relaxed);
    }
    return yes;
}

void
budget_pay(const struct budget_rules *b, const struct guard *g,
           enum budget_price price, uint64_t now_ns)
{
    if (!is_off(g) && b->kind == BUDGET_TOKENS && b->charge == CHARGE_FAILURE) {
        move(b, g, -price_of(b, price), false, now_ns);
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
        move(b, g, back, false, now_ns);
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
        move(b, g, paid, false, now_ns);
    } else {
        unclaim(g);
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
        struct size s = size_of(atomic_load(&g->budget->size));
        struct bucket k = bucket_of(atomic_load(&g->budget->tokens));
        int64_t all = k.serial == s.serial ? s.now : s.before;

        if (all == 0 || k.missing > all) {
            return 1; /* not used yet, or garbage */
        }
        k.missing -= refill(b, now_ns / 1000000, &k);
        return 1 - (double)k.missing / (double)all;
    }
    if (g->budget_rings) {
        struct tally now, window;
        double all;

        g->budget_tally(g->arg, &now);
        now.retries = atomic_load(&g->budget->retries);
        window =
            window_since(&g->budget_rings->budget, b->window_ns, now_ns, &now);
        all = allowed(b, &window);
        return all <= 0 || (double)window.retries >= all
                   ? 0
                   : 1 - (double)window.retries / all;
    }
    return 1;
}

bool
budget_is_sound(const struct budget_words *w)
{
    struct size s = size_of(atomic_load(&w->size));
    struct bucket k = bucket_of(atomic_load(&w->tokens));
    int64_t all = k.serial == s.serial ? s.now : s.before;

    return all <= BUDGET_CAPACITY_MAX * 1000ll && k.missing <= all;
}

static void
fill_bucket(struct budget_words *w)
{
    uint64_t old = atomic_load(&w->tokens);
    struct bucket b;

    do {
        b = bucket_of(old);
        b.missing = 0;
    } while (!atomic_compare_exchange_weak(&w->tokens, &old, word_of(&b)));
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
