/* The blocking driver.  A call that succeeds at once needs only bide_run, not
 * the rest of this room. */
#include "call.h"
#include "guard.h"

/* Returns the longest sleep without a look at the registry: a writer may have
 * been killed between its commit and its announcement, and nobody announces the
 * end of a layer. */
static uint64_t
longest_sleep_ns(const struct call *k)
{
    uint64_t end_ns = k->rules ? k->rules->until_ns : 0;
    uint64_t now_ns = end_ns ? clock_realtime_ns() : 0;

    return end_ns > now_ns && end_ns - now_ns < LOOK_EVERY_NS ? end_ns - now_ns
                                                              : LOOK_EVERY_NS;
}

enum bide_next
call_wait(struct bide_call *c)
{
    struct call *k = call_of(c);
    struct bide *b = k->policy->bide;
    enum bide_next next;

    for (;;) {
        struct cell *cell = atomic_load(&k->policy->cell);
        uint32_t seen = atomic_load(&cell->generation);
        uint64_t until, now;

        next = call_resume(c);
        if (next != BIDE_WAIT) {
            return next;
        }
        now = registry_now_ns(b);
        until = now + longest_sleep_ns(k);
        if (k->machine.wake_ns < until) {
            until = k->machine.wake_ns;
        }
        registry_sleep_until(b, &cell->generation, seen, until);
    }
}

/* Runs attempts and sleeps until the call has ended.  `out` may be NULL. */
static enum bide_verdict
run_to_end(struct bide_call *c, enum bide_next next, bide_attempt_fn *fn,
           void *arg, struct bide_result *out)
{
    while (next == BIDE_WAIT || next == BIDE_GO) {
        if (next == BIDE_WAIT) {
            next = call_wait(c);
            continue;
        }
        next = call_start_attempt(c) ? call_end_attempt(c, fn(&c->attempt, arg))
                                     : BIDE_DONE;
    }
    if (out) {
        *out = c->result;
    }
    return c->result.verdict;
}

enum bide_verdict
bide_call_run(struct bide_call *c, struct bide_policy *p, bide_attempt_fn *fn,
              void *arg)
{
    return run_to_end(c, call_begin(c, p, NULL), fn, arg, NULL);
}

enum bide_verdict
bide_run_work(struct bide_policy *p, bide_attempt_fn *fn, void *arg,
              const struct bide_work *work, struct bide_result *out)
{
    struct bide_call c;

    return run_to_end(&c, call_begin(&c, p, work), fn, arg, out);
}

/* Runs the rest of a call after its first attempt. */
static enum bide_verdict
run_after_first(struct bide_policy *p, bide_attempt_fn *fn, void *arg,
                struct bide_outcome first, const uint64_t ticks[2],
                struct bide_result *out)
{
    struct bide_call c;

    return run_to_end(&c, call_adopt(&c, p, first, ticks[0], ticks[1]), fn, arg,
                      out);
}

/* Reports whether the call needs its rules before the first attempt, hooks, or
 * the caller's clock. */
static bool
needs_whole_call(const struct bide_policy *p, const struct cell *cell,
                 uint32_t gate)
{
    const struct bide *b = p->bide;

    return (gate & GATE_SLOW && call_needs_rules(p, gate)) || b->own_clock ||
           b->hooked ||
           atomic_load_explicit(&cell->limit_ms, memory_order_relaxed) ||
           (gate & GATE_GUARD && !guard_lets_out(cell, gate));
}

enum bide_verdict
bide_run(struct bide_policy *p, bide_attempt_fn *fn, void *arg,
         struct bide_result *out)
{
    struct bide *b = p->bide;
    const struct cell *cell;
    uint32_t gate = call_gate(p, &cell);
    struct bide_attempt attempt = {1, 0, UINT64_MAX};
    struct bide_outcome o;
    uint64_t ticks[2], took;

    if (__builtin_expect(needs_whole_call(p, cell, gate), 0)) {
        return bide_run_work(p, fn, arg, NULL, out);
    }
    running_add(b, 1);
    ticks[0] = clock_ticks(b->scale);
    if (__builtin_expect(gate & GATE_LOOKS, 0) &&
        registry_may_differ(p, ticks[0])) {
        running_add(b, -1);
        return bide_run_work(p, fn, arg, NULL, out);
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
        return run_after_first(p, fn, arg, o, ticks, out);
    }
    count_attempt(p, true, took);
    if (out) {
        *out = (struct bide_result){
            .attempts = 1, .outcome = o, .elapsed_ns = took};
    }
    running_add(b, -1);
    return BIDE_SUCCEEDED;
}
