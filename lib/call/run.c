/* The blocking driver.  A call that succeeds at once needs only bide_run, not
 * the rest of this room. */
#include "call.h"
#include "count.h"

#include "registry/probe.h"
#include "guard.h"
#include "wait.h"

/* Runs attempts and sleeps until the call has ended.  An attempt may have used
 * the call itself: then its first outcome counts, or the call is lost. */
static enum bide_verdict
run_to_end(struct call *k, enum bide_next next, bide_attempt_fn *fn, void *arg)
{
    uint64_t serial = k->serial;

    while (next != BIDE_DONE) {
        if (next == BIDE_WAIT) {
            next = wait_sleep(k, false);
        } else if (!call_start_attempt(k)) {
            next = BIDE_DONE;
        } else {
            struct bide_outcome o = fn(&k->attempt, arg);

            if (__builtin_expect(k->serial != serial, 0)) {
                call_lost(k);
            }
            next = k->state == CALL_ATTEMPT ? call_end_attempt(k, o)
                                            : call_next(k);
        }
    }
    return k->result.verdict;
}

enum bide_verdict
bide_call_run(struct bide_call *c, struct bide_policy *p, bide_attempt_fn *fn,
              void *arg)
{
    struct call *k = call_of(c);

    return run_to_end(k, call_begin(k, p, NULL), fn, arg);
}

/* The attempt of bide_call_run_out. */
struct attempt_out {
    void (*fn)(const struct bide_attempt *attempt, void *arg,
               struct bide_outcome *out);
    void *arg;
};

static struct bide_outcome
run_attempt_out(const struct bide_attempt *attempt, void *arg)
{
    const struct attempt_out *a = arg;
    struct bide_outcome o = bide_app("no_outcome");

    a->fn(attempt, a->arg, &o);
    return o;
}

enum bide_verdict
bide_call_run_out(struct bide_call *c, struct bide_policy *p,
                  void (*fn)(const struct bide_attempt *attempt, void *arg,
                             struct bide_outcome *out),
                  void *arg)
{
    return bide_call_run(c, p, run_attempt_out, &(struct attempt_out){fn, arg});
}

/* ---- bide_run ---- */

/* Runs a whole call.  If an exception leaves it, it is abandoned. */
static __attribute__((cold, noinline)) enum bide_verdict
run_whole(struct bide_policy *p, bide_attempt_fn *fn, void *arg)
{
    struct bide_call c __attribute__((cleanup(bide_call_abandon)));

    call_init(call_of(&c));
    return bide_call_run(&c, p, fn, arg);
}

/* Runs the rest of a call after its first attempt. */
static __attribute__((cold, noinline)) enum bide_verdict
run_after_first(struct bide_policy *p, bide_attempt_fn *fn, void *arg,
                struct bide_outcome first, const uint64_t ticks[2])
{
    struct bide_call c __attribute__((cleanup(bide_call_abandon)));
    struct call *k = call_of(&c);

    call_init(call_of(&c));
    return run_to_end(k, call_adopt(k, p, first, ticks[0], ticks[1]), fn, arg);
}

/* Reports whether the call needs its rules before the first attempt, hooks, or
 * the caller's clock. */
static bool
needs_whole_call(const struct bide_policy *p, const struct cell *cell,
                 uint32_t gate)
{
    const struct bide *b = p->bide;

    return (gate & GATE_SLOW &&
            (gate & GATE_ADMIT || call_needs_rules(p, gate))) ||
           b->own_clock || b->hooked || load_relaxed(&cell->limit_ms) ||
           (gate & GATE_GUARD && !guard_lets_out(cell, gate));
}

enum bide_verdict
bide_run(struct bide_policy *p, bide_attempt_fn *fn, void *arg)
{
    struct bide *b = p->bide;
    const struct cell *cell;
    uint32_t gate = call_gate(p, &cell);
    struct bide_attempt attempt = {1, 0, UINT64_MAX, UINT64_MAX, b};
    _Atomic int64_t *running;
    struct bide_outcome o;
    uint64_t ticks[2], took;

    if (__builtin_expect(needs_whole_call(p, cell, gate), 0)) {
        return run_whole(p, fn, arg);
    }
    running = running_begin(b);
    ticks[0] = clock_ticks(b->scale);
    if (__builtin_expect(gate & GATE_LOOKS, 0) &&
        registry_may_differ(p, ticks[0])) {
        running_end_in(b, running);
        return run_whole(p, fn, arg);
    }
    o = fn(&attempt, arg);
    ticks[1] = clock_ticks(b->scale);
    took = clock_between_ns(b->scale, ticks[0], ticks[1]);
    /* Without GATE_CLASSIFY (in GATE_SLOW) every successful outcome is a
     * success under this policy. */
    if ((o.domain != BIDE_DOMAIN_OK && !outcome_is_success(o)) ||
        ((took >> CALL_LONG_SHIFT) | registry_success_looks(b, ticks[1])) ||
        (__builtin_expect(gate & GATE_GUARD, 0) &&
         !guard_passes(p, cell, gate, took, ticks[1]))) {
        return run_after_first(p, fn, arg, o, ticks);
    }
    PROBE_AFTER(attempt, p, 1, o, took);
    PROBE_VERDICT(p, BIDE_SUCCEEDED, BIDE_BY_NONE, 1, took);
    count_attempt(p, true, took);
    running_end_in(b, running);
    return BIDE_SUCCEEDED;
}
