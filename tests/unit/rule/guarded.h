/* A budget and a breaker in the test's own memory, and their rules. */
#ifndef TESTS_RULE_GUARDED_H
#define TESTS_RULE_GUARDED_H

#include "compiled.h"

#include "rule/window.h"

struct guarded {
    struct budget_words budget;
    struct breaker_words breaker;
    struct guard_rings rings;
    struct tally total, budget_total;
    struct guard g;
    struct policy *p;
};

static void
guarded_tally(void *arg, struct tally *out)
{
    *out = ((struct guarded *)arg)->total;
}

static void
guarded_budget_tally(void *arg, struct tally *out)
{
    *out = ((struct guarded *)arg)->budget_total;
}

static void
guarded_count(void *arg, uint32_t how)
{
    struct guarded *s = arg;

    if (!(how & ENDED_IGNORED)) {
        s->total.answers++;
        s->total.failed += (how & ENDED_FAILED) != 0;
        s->total.slow += (how & ENDED_SLOW) != 0;
    }
    s->budget_total.calls += !(how & ENDED_AGAIN);
    s->budget_total.earned += !(how & (ENDED_FAILED | ENDED_REJECTED));
}

/* Replaces the rules with those of a later commit; the words stay. */
UNUSED static void
guarded_change(struct guarded *s, const char *keys)
{
    policy_free(s->p);
    s->p = compiled(keys);
    s->g.txn++;
}

UNUSED static struct guarded *
guarded_new(const char *keys)
{
    struct guarded *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    s->g = (struct guard){
        .budget = &s->budget,
        .budget_rings = &s->rings,
        .breaker = &s->breaker,
        .rings = &s->rings,
        .tally = guarded_tally,
        .budget_tally = guarded_budget_tally,
        .count = guarded_count,
        .arg = s,
        .self.id = 1,
    };
    guarded_change(s, keys);
    return s;
}

UNUSED static void
guarded_free(struct guarded *s)
{
    policy_free(s->p);
    free(s);
}

/* xorshift: gives the same numbers in each run. */
UNUSED static uint64_t
guarded_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Fills `bytes` with random words, some of them 0 or 1. */
UNUSED static void
guarded_garbage(void *words, size_t bytes, uint64_t *seed)
{
    _Atomic uint64_t *w = words;

    for (size_t i = 0; i < bytes / 8; i++) {
        uint64_t any = guarded_random(seed);

        switch (guarded_random(seed) % 4) {
        case 0:
            any = 0;
            break;
        case 1:
            any = any % 2 ? UINT64_MAX : any >> (any % 64);
            break;
        default:
            break;
        }
        atomic_store(&w[i], any);
    }
}

#define TIME0 (86400 * SECOND)

static inline bool
guarded_take(struct guarded *s, enum budget_price price, uint64_t now_ns,
             struct budget_paid *out_paid)
{
    return budget_take(&s->p->budget, (enum importance)s->p->importance, &s->g,
                       price, now_ns, out_paid);
}

/* Returns the tokens left, without changing the shared words. */
UNUSED static int64_t
guarded_tokens(struct guarded *s, uint64_t now_ns)
{
    double level = budget_level(&s->p->budget, &s->g, now_ns);

    return (int64_t)(level * (double)s->p->budget.capacity + 0.5);
}

/* Takes tokens until none is granted. */
UNUSED static void
guarded_drain(struct guarded *s, uint64_t now_ns)
{
    struct budget_paid paid;

    while (guarded_take(s, PRICE_USUAL, now_ns, &paid)) {
        assert_true(paid.price > 0);
    }
}

UNUSED static enum breaker_state
guarded_state(struct guarded *s, uint64_t at_ms)
{
    uint64_t until;

    return breaker_look(&s->p->breaker, &s->breaker, TIME0 + at_ms * MS,
                        &until);
}

#endif
