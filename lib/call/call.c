/* Runs a call: passes events to the machine of lib/rule and does what the
 * machine answers.  The drivers (run.c, step.c) choose how to wait.
 *
 * A call whose first attempt succeeds reads only ticks, unless its gate asks
 * for rules.  Others become "exact": they take the rules and keep times. */
#include "call.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "rule/draw.h"
#include "defer.h"
#include "guard.h"

/* ---- time ---- */

/* Clears the fields that only a call with failures or rules uses. */
static void
become_exact(struct call *k)
{
    memset(&k->sleeper_live, 0,
           sizeof(*k) - offsetof(struct call, sleeper_live));
    k->sleeper = -1;
    k->exact = true;
}

/* Returns the time now.  Makes the call exact, with its start times computed
 * from ticks. */
static uint64_t
settle_times(struct call *k, uint64_t end_ticks)
{
    const struct bide *b = k->policy->bide;
    uint64_t took = clock_between_ns(b->scale, k->ticks, end_ticks);
    uint64_t now = b->own_clock ? end_ticks : clock_monotonic_ns();

    if (!k->exact) {
        become_exact(k);
        k->machine.begun_ns = now - took;
        if (k->state == CALL_ATTEMPT) {
            machine_started(&k->machine, now - took);
        }
    }
    return now;
}

static bool
is_cancelled(const struct call *k)
{
    return atomic_load_explicit(&k->cancelled, memory_order_acquire);
}

static void
cancel_machine(struct call *k, uint64_t now_ns)
{
    struct guard storage, *g = guard_use(k->policy, k->rules, &storage);

    machine_cancel(&k->machine, k->rules ? k->rules->policy : NULL, g, now_ns);
    guard_used(k->policy, k->rules, g, now_ns);
}

/* ---- the end ---- */

/* Frees the slot of the sleeper and counts the time slept. */
static void
stop_waiting(struct call *k, uint64_t now_ns)
{
    uint64_t slept = now_ns - k->wait_began_ns;

    if (k->sleeper >= 0) {
        sleeper_leave(k->sleeper_live, k->sleeper);
    }
    k->sleeper = -1;
    k->slept_ns += slept;
    count_add(k->policy, COUNTER_SLEPT_NS, slept);
}

static void
fill_result(struct bide_call *c, uint64_t now_ns)
{
    const struct call *k = call_of(c);
    const struct machine *m = &k->machine;

    c->result = (struct bide_result){
        .verdict = m->verdict,
        .reason = m->reason,
        .end = m->end,
        .attempts = m->attempts,
        .outcome = m->last,
        .elapsed_ns = now_ns - m->begun_ns,
        .slept_ns = k->slept_ns,
    };
    if (m->verdict == BIDE_REFUSED && m->wake_ns != DURATION_NONE) {
        c->result.ask_again_ns = m->wake_ns;
    }
}

/* Stores the work of a deferred call, before others see the result. */
static void
defer_work(struct bide_call *c)
{
    struct call *k = call_of(c);

    if (k->work && c->result.end == BIDE_DEFERRED) {
        assert(k->rules); /* the machine defers only under rules */
        defer_call_work(k->policy, &k->rules->policy->defer, k->work,
                        &c->result);
        k->machine.end = c->result.end;
    }
}

static void
finish_call(struct bide_call *c, uint64_t now_ns)
{
    struct call *k = call_of(c);
    struct bide *b = k->policy->bide;

    assert(k->state != CALL_IDLE);
    fill_result(c, now_ns);
    defer_work(c);
    count_verdict(k->policy, &k->machine);
    if (b->hooked && b->hooks.at_verdict) {
        b->hooks.at_verdict(b->hooks.arg, k->policy->name, &c->result);
    }
    rules_drop(k->rules);
    k->rules = NULL;
    k->state = CALL_IDLE;
    running_add(b, -1);
}

enum bide_next
call_stop(struct bide_call *c)
{
    struct call *k = call_of(c);
    struct bide *b = k->policy->bide;
    uint64_t now;

    if (k->state == CALL_READY && !k->exact) {
        k->ticks = registry_ticks(b);
    }
    now = settle_times(k, registry_ticks(b));
    attach_again(k->policy);
    if (k->state == CALL_WAITING) {
        stop_waiting(k, now);
    }
    cancel_machine(k, now);
    finish_call(c, now);
    return BIDE_DONE;
}

/* ---- the beginning ---- */

static void
clear_call(struct call *k, struct bide_policy *p)
{
    k->rules = NULL;
    k->exact = false;
    k->work = NULL;
    atomic_store_explicit(&k->cancelled, 0, memory_order_relaxed);
    atomic_store_explicit(&k->policy, p, memory_order_release);
}

/* Asks the machine whether the call may begin.  If all probes of a half-open
 * breaker are held, frees those of dead processes, then asks again. */
static enum machine_says
ask_to_begin(struct call *k, uint64_t now_ns)
{
    const struct policy *rules = k->rules->policy;
    struct guard storage, *g = guard_use(k->policy, k->rules, &storage);
    enum machine_says says = machine_begin(&k->machine, rules, g, now_ns);

    if (g && says == MACHINE_REFUSED && k->machine.reason == BIDE_BY_BREAKER &&
        k->machine.wake_ns == DURATION_NONE) {
        breaker_release_dead(g->rings, process_is_gone);
        says = machine_begin(&k->machine, rules, g, now_ns);
    }
    guard_used(k->policy, k->rules, g, now_ns);
    return says;
}

/* A temporary change of which this process knows the end lets calls go on until
 * then. */
bool
call_needs_rules(const struct bide_policy *p, uint32_t gate)
{
    const struct cell *cell = atomic_load(&p->cell);

    return gate & GATE_SLOW & ~(uint32_t)(GATE_ENDS | GATE_LOOKS) ||
           (gate & GATE_ENDS &&
            (atomic_load(&p->ends_gate) != atomic_load(&cell->gate) ||
             clock_realtime_ns() >= atomic_load(&p->ends_ns)));
}

/* Begins a call with a bit of GATE_SLOW, or with a breaker that is not closed:
 * reads the rules, unless only the time had to be looked at. */
static __attribute__((cold, noinline)) enum bide_next
begin_by_rules(struct bide_call *c, const struct cell *cell, uint32_t gate)
{
    struct call *k = call_of(c);
    struct bide *b = k->policy->bide;
    uint64_t now;

    if (!call_needs_rules(k->policy, gate) && guard_lets_out(cell, gate) &&
        !(gate & GATE_LOOKS &&
          registry_may_differ(k->policy, clock_ticks(b->scale)))) {
        return BIDE_GO;
    }
    registry_revive(b);
    k->rules = rules_take(k->policy);
    now = registry_now_ns(b);
    become_exact(k);
    k->machine.begun_ns = now;
    if (k->rules && ask_to_begin(k, now) == MACHINE_REFUSED) {
        finish_call(c, now);
        return BIDE_NOT_LET_OUT;
    }
    return BIDE_GO;
}

enum bide_next
call_begin(struct bide_call *c, struct bide_policy *p,
           const struct bide_work *work)
{
    struct call *k = call_of(c);
    const struct cell *cell;
    uint32_t gate = call_gate(p, &cell);

    clear_call(k, p);
    k->work = work;
    running_add(p->bide, 1);
    k->state = CALL_READY;
    if (__builtin_expect(gate & GATE_SLOW || !guard_lets_out(cell, gate), 0)) {
        return begin_by_rules(c, cell, gate);
    }
    return BIDE_GO;
}

/* Returns the time limit of the next attempt in ms, at least 1; 0: none. */
static uint32_t
attempt_limit_ms(const struct call *k, uint64_t now_ns)
{
    uint64_t limit = machine_limit_ns(&k->machine, k->rules->policy, now_ns);

    if (limit == DURATION_NONE) {
        return 0;
    }
    limit /= 1000000;
    return limit < 1 ? 1 : limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit;
}

/* Sets the time limit in c->attempt.  Without rules the limit is in the cell;
 * with rules it depends on the time until the deadline. */
static void
set_attempt_limit(struct bide_call *c)
{
    struct call *k = call_of(c);
    struct bide *b = k->policy->bide;
    uint64_t now = 0;

    c->attempt.deadline_ns = UINT64_MAX;
    if (k->rules) {
        now = registry_now_ns(b);
        c->attempt.timeout_ms = attempt_limit_ms(k, now);
    } else {
        c->attempt.timeout_ms = atomic_load_explicit(
            &atomic_load_explicit(&k->policy->cell, memory_order_acquire)
                 ->limit_ms,
            memory_order_relaxed);
        if (c->attempt.timeout_ms) {
            now = registry_now_ns(b);
        }
    }
    if (c->attempt.timeout_ms) {
        c->attempt.deadline_ns =
            duration_add(now, c->attempt.timeout_ms * 1000000ull);
    }
}

bool
call_start_attempt(struct bide_call *c)
{
    struct call *k = call_of(c);
    struct bide *b = k->policy->bide;

    if (is_cancelled(k)) {
        call_stop(c);
        return false;
    }
    c->attempt.number = k->exact ? k->machine.attempts + 1 : 1;
    set_attempt_limit(c);
    if (b->hooked && b->hooks.before_attempt) {
        b->hooks.before_attempt(b->hooks.arg, k->policy->name, &c->attempt);
    }
    if (k->exact) {
        if (c->attempt.number > 1) {
            count_add(k->policy, COUNTER_RETRIES, 1);
        }
        machine_started(&k->machine, registry_now_ns(b));
    }
    k->state = CALL_ATTEMPT;
    k->ticks = registry_ticks(b);
    return true;
}

/* ---- after an attempt ---- */

static enum bide_next
start_wait(struct bide_call *c, uint64_t now_ns)
{
    struct call *k = call_of(c);
    struct bide *b = k->policy->bide;
    const struct machine *m = &k->machine;

    k->state = CALL_WAITING;
    k->wait_began_ns = now_ns;
    if (b->hooked && b->hooks.before_wait) {
        b->hooks.before_wait(b->hooks.arg, k->policy->name, m->attempts,
                             m->last, m->wake_ns - m->ended_ns);
    }
    if (m->wake_ns > now_ns) {
        const struct home *h = atomic_load(&k->policy->home);

        k->sleeper_live = h->live;
        k->sleeper =
            sleeper_enter(h->live, h->index, m->attempts,
                          k->rules->policy->attempts, m->last, m->wake_ns);
    }
    return BIDE_WAIT;
}

/* Ends a call after one attempt, because there is no memory for its rules. */
static enum machine_says
end_without_rules(struct machine *m, struct bide_outcome o)
{
    bool fine = outcome_is_success(o);

    m->last = o;
    if (m->cancelled && !fine) {
        return machine_cancel(m, NULL, NULL, 0);
    }
    m->verdict = fine ? BIDE_SUCCEEDED : BIDE_EXHAUSTED;
    m->reason = fine ? BIDE_BY_NONE : BIDE_BY_ATTEMPTS;
    m->end = fine ? BIDE_END_NONE : BIDE_ABORTED;
    m->state = MACHINE_DONE;
    return m->state;
}

/* Reports whether a change of the policy or its breaker was announced since the
 * last call of this.  Comparing rules is not enough: the breaker may change
 * state while they cannot be read. */
static bool
saw_announcement(struct call *k)
{
    struct cell *c = atomic_load(&k->policy->cell);
    uint32_t generation = atomic_load(&c->generation);
    bool yes = generation != k->generation;

    k->generation = generation;
    return yes;
}

/* Replaces k->rules if they changed during the attempt. */
static void
refresh_rules(struct call *k)
{
    struct rules *r;

    (void)saw_announcement(k);
    r = rules_take(k->policy);
    if (!k->numbered) {
        k->number = atomic_fetch_add(&k->policy->bide->calls, 1);
        k->numbered = true;
    }
    if (r) {
        rules_drop(k->rules);
        k->rules = r;
    }
}

static enum bide_next
decide_after_attempt(struct bide_call *c, struct bide_outcome o,
                     uint64_t now_ns, uint64_t took_ns)
{
    struct call *k = call_of(c);
    struct machine *m = &k->machine;
    uint64_t seed = k->policy->bide->seed;
    struct guard storage, *g = guard_use(k->policy, k->rules, &storage);
    enum machine_says says;
    bool fine;

    m->cancelled = is_cancelled(k);
    if (k->rules) {
        says = machine_ended(
            m, k->rules->policy, g, o, now_ns,
            draw_unit(draw_bits(seed, k->number, 2 * m->attempts)),
            draw_unit(draw_bits(seed, k->number, 2 * m->attempts + 1)));
    } else {
        says = end_without_rules(m, o);
    }
    guard_used(k->policy, k->rules, g, now_ns);
    fine = says == MACHINE_DONE && m->verdict == BIDE_SUCCEEDED;
    count_attempt(k->policy, fine, took_ns);
    if (!fine) {
        count_failure(k->policy, o);
    }
    if (says == MACHINE_WAIT) {
        return start_wait(c, now_ns);
    }
    finish_call(c, now_ns);
    return BIDE_DONE;
}

/* Ends an attempt that is not a plain success.  Cold and not inlined: otherwise
 * a plain success saves registers that only this uses, 3 of 31 ns. */
static __attribute__((cold, noinline)) enum bide_next
end_attempt_at(struct bide_call *c, struct bide_outcome o, uint64_t end_ticks)
{
    struct call *k = call_of(c);
    struct bide *b = k->policy->bide;
    uint64_t took = clock_between_ns(b->scale, k->ticks, end_ticks);
    uint64_t now;

    if (b->hooked && b->hooks.after_attempt) {
        b->hooks.after_attempt(b->hooks.arg, k->policy->name, c->attempt.number,
                               o, took);
    }
    registry_revive(b);
    now = settle_times(k, end_ticks);
    refresh_rules(k);
    return decide_after_attempt(c, o, now, took);
}

/* Ends a call whose first attempt succeeded, without its rules: the gate lacks
 * GATE_CLASSIFY, so each successful outcome is a success under this policy.
 * Adds to one counter, or two if a breaker or a budget is on.  Returns false,
 * and changes nothing, if the machine must decide. */
static bool
end_plain_success(struct bide_call *c, struct bide_outcome o,
                  uint64_t end_ticks)
{
    struct call *k = call_of(c);
    struct bide_policy *p = k->policy;
    uint64_t took = clock_between_ns(p->bide->scale, k->ticks, end_ticks);
    const struct cell *cell;
    uint32_t gate = call_gate(p, &cell);

    if (registry_success_looks(p->bide, end_ticks) ||
        (gate & (GATE_GUARD | GATE_MOVED) &&
         (gate & GATE_MOVED ||
          !guard_passes(p, cell, gate, took, end_ticks)))) {
        return false;
    }
    count_attempt(p, true, took);
    c->result =
        (struct bide_result){.attempts = 1, .outcome = o, .elapsed_ns = took};
    k->state = CALL_IDLE;
    running_add(p->bide, -1);
    return true;
}

enum bide_next
call_end_attempt(struct bide_call *c, struct bide_outcome o)
{
    struct call *k = call_of(c);
    uint64_t end_ticks = registry_ticks(k->policy->bide);

    if (!k->rules && !k->exact && !k->policy->bide->hooked &&
        outcome_is_success(o) && end_plain_success(c, o, end_ticks)) {
        return BIDE_DONE;
    }
    return end_attempt_at(c, o, end_ticks);
}

enum bide_next
call_adopt(struct bide_call *c, struct bide_policy *p, struct bide_outcome o,
           uint64_t ticks, uint64_t end_ticks)
{
    struct call *k = call_of(c);

    clear_call(k, p);
    k->state = CALL_ATTEMPT;
    k->ticks = ticks;
    c->attempt.number = 1;
    return end_attempt_at(c, o, end_ticks);
}

/* ---- waiting ---- */

/* Decides the wait again if the rules or the state of the breaker changed.
 * Both change the generation of the cell. */
static void
follow_change(struct call *k, uint64_t now_ns)
{
    bool was_announced = saw_announcement(k);
    struct rules *r = rules_take(k->policy);
    struct guard storage, *g;

    if (!r) {
        return;
    }
    if (r == k->rules && !was_announced) {
        rules_drop(r);
        return;
    }
    rules_drop(k->rules);
    k->rules = r;
    g = guard_use(k->policy, k->rules, &storage);
    machine_changed(&k->machine, r->policy, g, now_ns);
    guard_used(k->policy, k->rules, g, now_ns);
    count_add(k->policy, COUNTER_REDECIDED, 1);
    if (k->sleeper >= 0) {
        sleeper_move(k->sleeper_live, k->sleeper, r->policy->attempts,
                     k->machine.wake_ns);
    }
}

enum bide_next
call_resume(struct bide_call *c)
{
    struct call *k = call_of(c);
    struct machine *m = &k->machine;
    struct guard storage, *g;
    uint64_t now;

    assert(k->state == CALL_WAITING);
    registry_revive(k->policy->bide);
    now = registry_now_ns(k->policy->bide);
    if (is_cancelled(k)) {
        cancel_machine(k, now);
    } else {
        follow_change(k, now);
    }
    if (m->state == MACHINE_WAIT) {
        if (now < m->wake_ns) {
            return BIDE_WAIT;
        }
        /* The breaker may have opened, the deadline may have passed. */
        g = guard_use(k->policy, k->rules, &storage);
        machine_due(m, k->rules->policy, g, now);
        guard_used(k->policy, k->rules, g, now);
    }
    stop_waiting(k, now);
    if (m->state == MACHINE_GO) {
        k->state = CALL_READY;
        return BIDE_GO;
    }
    finish_call(c, now);
    return BIDE_DONE;
}
