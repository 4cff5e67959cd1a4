#include "hedge.h"

#include <stdlib.h>

#include "count.h"
#include "guard.h"

_Static_assert(sizeof(struct hedges) <= sizeof(struct bide_hedges), "fits");

enum {
    SAMPLE_MIN = 100, /* attempts needed before a percentile counts */
    SAMPLE_NS = 1000000000,
};

/* Returns the upper end of the bucket at `share` of all attempts that would
 * have succeeded; DURATION_NONE: too few.  An attempt that lost to its hedge is
 * in no histogram but took longer than the percentile, so the rank counts it:
 * else the percentile falls with each one, and more attempts are hedged. */
static uint64_t
percentile_of(const struct cell_reading *r, double share)
{
    double count = (double)histogram_count(r->succeeded);
    double lost = (double)r->counter[COUNTER_HEDGES_WON];

    if (count < SAMPLE_MIN) {
        return DURATION_NONE;
    }
    share = share * (count + lost) / count;
    return histogram_high_ns(
        histogram_bucket(histogram_at_ns(r->succeeded, share < 1 ? share : 1)));
}

/* Returns the percentile of the cell, read again after a second. */
static uint64_t
percentile_ns(struct bide_policy *p, double share, uint64_t now_ns)
{
    const struct home *h = load_acquire(&p->home);
    uint64_t until = load_relaxed(&p->hedge_until_ns);
    struct cell_reading *r;

    if (now_ns < until && until - now_ns <= SAMPLE_NS) {
        return load_relaxed(&p->hedge_ns);
    }
    r = malloc(sizeof(*r));
    if (!r) {
        return DURATION_NONE;
    }
    cell_read(h->live, h->index, r);
    store_relaxed(&p->hedge_ns, percentile_of(r, share));
    store_relaxed(&p->hedge_until_ns, now_ns + SAMPLE_NS);
    free(r);
    return load_relaxed(&p->hedge_ns);
}

void
hedge_prepare(struct call *k)
{
    const struct hedge_after *h = &k->rules->policy->hedge;
    struct machine *m = &k->machine;

    machine_hedge_after(
        m, h->quantile > 0
               ? percentile_ns(k->policy, h->quantile, m->attempt_ns)
               : h->ns);
}

/* Returns when an attempt that began at `began_ns` must end. */
static uint64_t
end_ns(const struct call *k, uint64_t began_ns)
{
    return duration_add(
        began_ns, machine_limit_ns(&k->machine, k->rules->policy, began_ns));
}

void
hedge_describe(struct call *k)
{
    const struct machine *m = &k->machine;

    k->attempt.number = machine_number(m);
    k->attempt.deadline_ns = end_ns(k, m->attempt_ns);
    k->attempt.timeout_ns =
        machine_limit_ns(m, k->rules->policy, m->attempt_ns);
}

enum bide_next
hedge_ask(struct call *k)
{
    struct machine *m = &k->machine;
    struct bide *b = k->policy->bide;
    struct guard storage, *g;
    uint64_t now = registry_now_ns(b);
    struct rules *r;
    bool starts;

    if (call_is_cancelled(k) || now < machine_hedge_ns(m, k->rules->policy)) {
        return BIDE_RUNNING;
    }
    registry_revive(b);
    r = rules_take(k->policy);
    if (r) {
        rules_drop(k->rules);
        k->rules = r;
    }
    g = guard_use(k, &storage);
    starts = machine_hedge(m, k->rules->policy, g, now);
    guard_used(k, g, now);
    if (!starts) {
        return BIDE_RUNNING;
    }
    count_add(k->policy, COUNTER_HEDGES, 1);
    hedge_describe(k);
    if (b->hooked && b->hooks.before_attempt) {
        b->hooks.before_attempt(b->hooks.arg, (struct bide_call *)k,
                                &k->attempt);
    }
    return BIDE_HEDGE;
}

uint64_t
hedge_deadline_ns(const struct call *k)
{
    const struct machine *m = &k->machine;
    uint64_t first = m->attempt_ns;
    uint64_t next = machine_hedge_ns(m, k->rules->policy), end;

    for (uint32_t i = 0; i < m->hedges->count; i++) {
        uint64_t began = m->hedges->other[i].began_ns;

        first = began < first ? began : first;
    }
    end = end_ns(k, first);
    return end < next ? end : next;
}
