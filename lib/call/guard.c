#include "guard.h"

#include "rule/breaker.h"
#include "rule/budget.h"
#include "rule/window.h"
#include "call.h"
#include "count.h"

/* ---- places ---- */

/* Returns the shared words that do not fit into the cell, and attaches all
 * stripes, so that their counters can be added up; NULL if the live state has
 * no space for them. */
static struct guard_rings *
attach_rings(struct bide_policy *p)
{
    struct guard_rings *r = load_acquire(&p->rings);
    const struct home *h;
    int cancel;

    if (r) {
        return r;
    }
    cancel = lock_take(&p->bide->lock);
    h = atomic_load(&p->home);
    r = cell_guard(h->live, h->index);
    for (uint32_t i = 0; r && i < live_stripes(h->live); i++) {
        struct stripe *s = cell_stripe(h->live, h->index, i);

        if (!s) {
            r = NULL;
            break;
        }
        store_release(&p->stripe[i], s);
    }
    store_release(&p->rings, r);
    lock_release(&p->bide->lock, cancel);
    return r;
}

/* Returns the limits of a handle's cell; NULL: the live state has no space. */
static struct limits *
attach_limits(struct bide_policy *p)
{
    struct limits *limits = load_acquire(&p->limits);
    const struct home *h;
    int cancel;

    if (limits) {
        return limits;
    }
    cancel = lock_take(&p->bide->lock);
    h = atomic_load(&p->home);
    limits = cell_limits(h->live, h->index);
    store_release(&p->limits, limits);
    lock_release(&p->bide->lock, cancel);
    return limits;
}

static uint64_t
sum_stripes(void *arg, enum counter which)
{
    struct bide_policy *p = arg;
    uint64_t total = 0;

    for (uint32_t i = 0; i < STRIPE_MAX; i++) {
        struct stripe *s = load_acquire(&p->stripe[i]);

        if (s) {
            total += load_relaxed(&s->counter[which]);
        }
    }
    return total;
}

/* Implements guard.tally. */
static void
tally_policy(void *arg, struct tally *out)
{
    tally_of_breaker(sum_stripes, arg, out);
}

/* Returns the handle whose budget `p` pays from; NULL: none. */
static struct bide_policy *
pool_of(struct bide_policy *p)
{
    return load_acquire(&p->pool);
}

/* Implements guard.budget_tally. */
static void
tally_budget(void *arg, struct tally *out)
{
    struct bide_policy *pool = pool_of(arg);

    tally_of_budget(sum_stripes, pool ? pool : arg, out);
}

static void
count_guarded(struct bide_policy *p, uint32_t how)
{
    bool ignored = how & ENDED_IGNORED, failed = how & ENDED_FAILED;

    count_add(p, COUNTER_GUARDED, 1);
    if (how & ENDED_AGAIN) {
        count_add(p, COUNTER_GUARDED_AGAIN, 1);
    }
    if (ignored) {
        count_add(p, COUNTER_GUARDED_IGNORED, 1);
    } else if (how & ENDED_SLOW) {
        count_add(p, COUNTER_GUARDED_SLOW, 1);
    }
    if (failed && !ignored) {
        count_add(p, COUNTER_GUARDED_FAILED, 1);
    } else if (failed || how & ENDED_REJECTED) {
        count_add(p, COUNTER_GUARDED_REJECTED, 1);
    }
}

/* Implements guard.count. */
static void
count_attempt_guarded(void *arg, uint32_t how)
{
    struct bide_policy *p = arg, *pool = pool_of(p);

    count_guarded(p, how);
    if (pool && pool != p) {
        count_guarded(pool, how);
    }
}

/* ---- use ---- */

/* Implements guard.is_gone. */
static bool
is_owner_gone(void *arg, uint32_t owner)
{
    const struct bide_policy *limit =
        load_acquire(&((struct bide_policy *)arg)->limit);
    struct live *l = limit ? atomic_load(&limit->home)->live : NULL;

    return !l ? false
           : live_is_private(l)
               ? process_is_gone(owner, process_self().space)
               : owner >> 31 && !live_process_alive(l, OWNER_ROW(owner),
                                                    OWNER_GENERATION(owner));
}

/* Sets the words of limit, rate and hint, those that the rules use. */
static void
use_limits(struct bide_policy *p, const struct rules *r, struct guard *out)
{
    struct bide_policy *limit = load_acquire(&p->limit);
    struct bide_policy *rate = load_acquire(&p->rate);
    struct limits *words;

    words = limit ? attach_limits(limit) : NULL;
    if (words) {
        out->places = &words->places;
        out->slots = words->slot;
        out->owner = live_owner(atomic_load(&limit->home)->live);
        out->owner = out->owner ? out->owner : out->self.pid;
        out->is_gone = is_owner_gone;
    }
    words = rate ? attach_limits(rate) : NULL;
    out->rate = words ? &words->rate : NULL;
    words = r->policy->hint.holds == HINT_HOLDS_ALL ? attach_limits(p) : NULL;
    out->hint = words ? &words->hint : NULL;
}

bool
guard_take_place(struct bide_policy *p, const struct cell *c,
                 struct admission *out)
{
    struct bide_policy *limit = load_acquire(&p->limit);
    struct limits *words = limit ? load_acquire(&limit->limits) : NULL;
    struct place_ask a = {.limit_ns = DURATION_NONE};

    if (!words || load_acquire(&p->places_gate) != load_acquire(&c->gate)) {
        return false;
    }
    a.owner = live_owner(load_acquire(&limit->home)->live);
    if (!a.owner) {
        return false;
    }
    out->in = &words->places;
    out->slots = words->slot;
    out->process = process_self().id;
    out->place = place_take_at_once(load_acquire(&p->places), out->in,
                                    out->slots, &a, &out->word);
    return out->place;
}

/* Wakes calls that wait for a place. */
static void
ring_places(struct bide_policy *p, struct place_words *w)
{
    if (place_wake(w)) {
        live_ring(atomic_load(&p->home)->live);
    }
}

void
guard_give_place(struct bide_policy *p, struct admission *has)
{
    struct place_words *in =
        has->process == process_self().id ? admit_ended(has) : NULL;

    if (in) {
        ring_places(p, in);
    }
}

_Atomic uint32_t *
guard_bell(const struct call *k)
{
    const struct machine *m = &k->machine;
    struct bide_policy *limit = load_acquire(&k->policy->limit);
    struct limits *words = NULL;

    if (m->state == MACHINE_WAIT && m->asked_ns &&
        m->waits_for == BIDE_BY_LIMIT) {
        words = limit ? attach_limits(limit) : NULL;
    }
    return words ? &words->places.bell[k->rules->policy->importance] : NULL;
}

struct guard *
guard_use(struct call *k, struct guard *storage)
{
    const struct rules *r = k->rules;
    struct bide_policy *p = k->policy, *pool = pool_of(p);
    struct guard_rings *rings;
    bool breaks = r && r->policy->breaker.mode == BREAKER_ON;
    bool limits = r && (load_relaxed(&p->limit) || load_relaxed(&p->rate) ||
                        r->policy->hint.holds == HINT_HOLDS_ALL);

    if (k->machine.has.in && k->machine.has.process != process_self().id) {
        k->machine.has.in = NULL; /* it is the place of this child's parent */
    }
    for (uint32_t i = 0;
         k->exact && k->machine.hedges && i < k->machine.hedges->count; i++) {
        struct admission *has = &k->machine.hedges->other[i].has;

        has->in = has->process == process_self().id ? has->in : NULL;
    }
    if (!r || (!breaks && !pool && !limits)) {
        return NULL;
    }
    rings = attach_rings(p);
    if (!rings) {
        return NULL;
    }
    *storage = (struct guard){
        .breaker = &atomic_load(&p->cell)->breaker,
        .rings = rings,
        .tally = tally_policy,
        .budget_tally = tally_budget,
        .count = count_attempt_guarded,
        .arg = p,
        .txn = r->txn,
        .self = process_self(),
        .realtime_ns = breaks ? clock_realtime_ns() : 0,
        .watched = atomic_load(&k->watch),
    };
    if (pool) {
        storage->budget_rings = attach_rings(pool);
        storage->budget =
            storage->budget_rings ? &atomic_load(&pool->cell)->budget : NULL;
    }
    if (limits) {
        use_limits(p, r, storage);
    }
    return storage;
}

/* Sets the ticks at which a window moves on to its next slice; window_ns 0: it
 * has none. */
static void
set_next_turn(const struct bide *b, _Atomic uint64_t *turn, uint64_t window_ns,
              uint64_t now_ns, uint64_t ticks)
{
    uint64_t wait_ns =
        window_ns ? window_next_ns(window_ns, now_ns) - now_ns : 0;

    store_relaxed(turn, window_ns ? ticks + clock_to_ticks(b->scale, wait_ns)
                                  : UINT64_MAX);
}

void
guard_used(struct call *k, const struct guard *g, uint64_t now_ns)
{
    struct bide_policy *p = k->policy;
    const struct breaker_rules *breaker;
    const struct budget_rules *budget;
    uint64_t ticks;

    if (k->machine.bell) {
        ring_places(p, k->machine.bell);
    }
    k->machine.bell = NULL;
    if (!g) {
        return;
    }
    breaker = &k->rules->policy->breaker;
    budget = &k->rules->policy->budget;
    ticks = registry_ticks(p->bide);
    if (breaker->mode == BREAKER_ON) {
        set_next_turn(p->bide, &g->breaker->next_turn, breaker->window.ns,
                      now_ns, ticks);
    }
    if (g->budget) {
        set_next_turn(p->bide, &g->budget->next_turn,
                      budget->kind == BUDGET_RATIO ? budget->window_ns : 0,
                      now_ns, ticks);
    }
    if (g->turned) {
        cell_announce(atomic_load(&p->cell));
        live_ring(atomic_load(&p->home)->live);
        if (p->bide->hooked) {
            report_changes(p, -1);
        }
    }
}

void
guard_report_budget(const struct call *k, bool had_paid)
{
    const struct machine *m = &k->machine;
    bool refused = m->state == MACHINE_DONE && m->reason == BIDE_BY_BUDGET;

    if (k->policy->bide->hooked &&
        (refused || (m->state == MACHINE_WAIT && m->has_paid && !had_paid))) {
        report_changes(k->policy, refused);
    }
}

/* ---- the success path ---- */

static bool
turn_is_due(const _Atomic uint64_t *turn, uint64_t ticks)
{
    return ticks >= load_relaxed(turn);
}

/* Reports whether a success changes nothing in a breaker. */
static bool
breaker_ignores_success(const struct breaker_words *w, uint64_t took_ns,
                        uint64_t end_ticks)
{
    uint64_t slow = load_relaxed(&w->slow_after_ns);

    return load_relaxed(&w->state) >> 62 == STATE_CLOSED &&
           !load_relaxed(&w->run) && !load_relaxed(&w->watched) &&
           (slow == 0 || took_ns <= slow) &&
           !turn_is_due(&w->next_turn, end_ticks);
}

/* Reports whether a success changes nothing in the budget of `pool`. */
static bool
budget_ignores_success(struct bide_policy *pool, uint64_t end_ticks)
{
    const struct budget_words *w;

    if (!pool || !load_relaxed(&pool->rings)) {
        return false;
    }
    w = &load_acquire(&pool->cell)->budget;
    return budget_is_full(w) && !turn_is_due(&w->next_turn, end_ticks);
}

bool
guard_passes(struct bide_policy *p, const struct cell *c, uint32_t gate,
             uint64_t took_ns, uint64_t end_ticks)
{
    struct bide_policy *pool = pool_of(p);
    struct guard_rings *rings = load_acquire(&p->rings);

    if (!rings ||
        (gate & GATE_BREAKER_ON &&
         !breaker_ignores_success(&c->breaker, took_ns, end_ticks)) ||
        (gate & GATE_BUDGET_ON && !budget_ignores_success(pool, end_ticks))) {
        return false;
    }
    if (gate & GATE_EACH) {
        struct cell *own = load_acquire(&p->cell);

        window_keep_call(rings, atomic_fetch_add(&own->breaker.calls, 1), false,
                         false);
    }
    count_add(p, COUNTER_GUARDED, 1);
    if (pool && pool != p) {
        count_add(pool, COUNTER_GUARDED, 1); /* the budget of a group */
    }
    return true;
}
