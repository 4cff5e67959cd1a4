/* Runs a call: passes events to the machine of lib/rule and does what the
 * machine answers.  The drivers (run.c, step.c) choose how to wait.
 *
 * A call whose first attempt succeeds reads only ticks, unless its gate asks
 * for rules.  Others become "exact": they take the rules and keep times. */
#include "call.h"
#include "count.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "registry/probe.h"
#include "rule/draw.h"
#include "defer.h"
#include "guard.h"
#include "hedge.h"
#include "wait.h"

_Static_assert(sizeof(struct bide_call) == 640, "as promised");
_Static_assert(sizeof(struct call) <= sizeof(struct bide_call), "fits");

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

void
call_cancel_machine(struct call *k, uint64_t now_ns)
{
    struct guard storage, *g = guard_use(k, &storage);

    machine_cancel(&k->machine, k->rules ? k->rules->policy : NULL, g, now_ns);
    guard_used(k, g, now_ns);
}

/* Gives the place back that a call without rules holds. */
static __attribute__((cold, noinline)) void
leave_place(struct call *k)
{
    k->in_place = false;
    guard_give_place(k->policy, &k->machine.has);
}

/* ---- the end ---- */

static void
fill_result(struct call *k, uint64_t now_ns)
{
    const struct machine *m = &k->machine;

    k->result = (struct bide_result){
        .verdict = m->verdict,
        .reason = m->reason,
        .end = m->end,
        .attempts = m->attempts,
        .outcome = m->last,
        .elapsed_ns = now_ns - m->begun_ns,
        .slept_ns = k->slept_ns,
    };
    if (m->verdict == BIDE_REFUSED && m->wake_ns != DURATION_NONE) {
        k->result.ask_again_ns = m->wake_ns;
    }
}

static void
drop_work(struct call *k)
{
    free(k->work);
    k->work = NULL;
}

/* Makes the call one that has ended.  This may free the registry. */
static inline __attribute__((always_inline)) void
leave_call(struct call *k)
{
    struct bide_watch *w = load_relaxed(&k->watch);
    struct bide *b = load_relaxed(&k->policy)->bide;

    k->state = CALL_IDLE;
    store_relaxed(&k->policy, NULL);
    if (w) {
        store_relaxed(&k->watch, NULL);
        watch_leave(w);
    }
    running_end(b);
}

/* Stores the work of a deferred call, before others see the result. */
static void
defer_work(struct call *k)
{
    if (k->work && k->result.end == BIDE_END_DEFERRED) {
        assert(k->rules); /* the machine defers only under rules */
        defer_call_work(k->policy, &k->rules->policy->defer, k->work,
                        &k->result);
        k->machine.end = k->result.end;
    }
    drop_work(k);
}

static void
leave_rules(struct call **ending)
{
    struct call *k = *ending;

    rules_drop(k->rules);
    k->rules = NULL;
    leave_call(k);
}

void
call_finish(struct call *k, uint64_t now_ns)
{
    /* Also if an exception leaves the hook. */
    struct call *ending __attribute__((cleanup(leave_rules), unused)) = k;
    const struct bide *b = k->policy->bide;

    assert(call_is_live(k));
    fill_result(k, now_ns);
    defer_work(k);
    count_verdict(k->policy, &k->machine, now_ns);
    PROBE_VERDICT(k->policy, k->result.verdict, k->result.reason,
                  k->result.attempts, k->result.elapsed_ns);
    if (b->hooked && b->hooks.at_verdict) {
        b->hooks.at_verdict(b->hooks.arg, (struct bide_call *)k, &k->result);
    }
}

enum bide_next
call_stop(struct call *k)
{
    struct bide *b = k->policy->bide;
    uint64_t now;

    if (k->state == CALL_READY && !k->exact) {
        k->ticks = registry_ticks(b);
    }
    if (k->in_place) {
        leave_place(k);
    }
    now = settle_times(k, registry_ticks(b));
    attach_again(k->policy);
    if (k->state == CALL_WAITING) {
        wait_stop(k, now);
    }
    call_cancel_machine(k, now);
    call_finish(k, now);
    return BIDE_DONE;
}

enum bide_next
call_next(const struct call *k)
{
    return !call_is_live(k)           ? BIDE_DONE
           : k->state == CALL_ATTEMPT ? BIDE_RUNNING
                                      : BIDE_WAIT;
}

void
call_lost(struct call *k)
{
    if (call_is_live(k)) {
        call_stop(k);
    }
    /* The attempts of both: whatever they did, they were made. */
    k->result = (struct bide_result){
        .verdict = BIDE_CANCELLED,
        .reason = BIDE_BY_CANCELLED,
        .attempts = 1 + (k->result.verdict ? k->result.attempts : 0),
        .outcome = k->result.outcome};
}

/* ---- the beginning ---- */

void
call_init(struct call *k)
{
    atomic_init(&k->policy, NULL);
    atomic_init(&k->watch, NULL);
    atomic_init(&k->cancelled, 0);
    k->state = CALL_IDLE;
    k->serial = 0;
    k->deadline_ns = 0;
    k->data = NULL;
    k->work = NULL;
    k->hedges = NULL;
    k->result.verdict = BIDE_UNFINISHED;
    k->attempt.reserved = 0;
}

/* Makes the call one of `p` in progress, before its first attempt. */
static void
enter_call(struct call *k, struct bide_policy *p, struct bide_watch *w)
{
    k->rules = NULL;
    k->exact = k->in_place = false;
    k->serial++;
    k->result.verdict = BIDE_UNFINISHED;
    if (w) {
        watch_enter(w);
        store_release(&k->watch, w);
    }
    store_release(&k->policy, p);
    k->state = CALL_READY;
}

/* Asks the machine whether the call may begin.  If all probes of a half-open
 * breaker are held, frees those of dead processes, then asks again. */
static enum machine_says
ask_to_begin(struct call *k, uint64_t now_ns)
{
    const struct policy *rules = k->rules->policy;
    struct guard storage, *g = guard_use(k, &storage);
    struct machine *m = &k->machine;
    enum machine_says says =
        machine_begin_until(m, rules, g, k->deadline_ns, now_ns);

    if (g && ((says == MACHINE_REFUSED && m->reason == BIDE_BY_BREAKER &&
               m->wake_ns == DURATION_NONE) ||
              (says == MACHINE_WAIT && m->waits_for == BIDE_BY_BREAKER))) {
        breaker_release_dead(g->rings, process_is_gone);
        says = machine_begin_until(m, rules, g, k->deadline_ns, now_ns);
    }
    guard_used(k, g, now_ns);
    return says;
}

/* A temporary change of which this process knows the end lets calls go on until
 * then. */
bool
call_needs_rules(const struct bide_policy *p, uint32_t gate)
{
    const struct cell *cell = atomic_load(&p->cell);

    return gate & GATE_SLOW &
               ~(uint32_t)(GATE_ENDS | GATE_LOOKS | GATE_ADMIT) ||
           (gate & GATE_ENDS &&
            (atomic_load(&p->ends_gate) != atomic_load(&cell->gate) ||
             clock_realtime_ns() >= atomic_load(&p->ends_ns)));
}

/* Returns the time limit in the cell, for a call without rules; 0: none. */
static inline uint32_t
cell_limit_ms(const struct call *k)
{
    return load_relaxed(&load_acquire(&k->policy->cell)->limit_ms);
}

/* Begins a call with a deadline of its own, a bit of GATE_SLOW, or a breaker
 * that is not closed: reads the rules, unless only the time had to be looked
 * at, or a place is free. */
static __attribute__((cold, noinline)) enum bide_next
begin_by_rules(struct call *k, const struct cell *cell, uint32_t gate)
{
    struct bide_watch *w = atomic_load(&k->watch);
    struct bide *b = k->policy->bide;
    enum machine_says says;
    uint64_t now;

    if (!k->deadline_ns && !call_needs_rules(k->policy, gate) &&
        guard_lets_out(cell, gate) &&
        !(gate & GATE_LOOKS &&
          registry_may_differ(k->policy, clock_ticks(b->scale)))) {
        k->in_place = gate & GATE_ADMIT && !cell_limit_ms(k) &&
                      guard_take_place(k->policy, cell, &k->machine.has);
        if (k->in_place || !(gate & GATE_ADMIT)) {
            return BIDE_GO;
        }
    }
    become_exact(k);
    (void)wait_saw_change(k);
    k->rules = rules_take(k->policy);
    now = registry_now_ns(b);
    k->machine.begun_ns = now;
    says =
        k->rules && !call_is_cancelled(k) ? ask_to_begin(k, now) : MACHINE_GO;
    if (says == MACHINE_GO) {
        return BIDE_GO;
    }
    if (says == MACHINE_WAIT) {
        return wait_begin(k, now);
    }
    if (w) {
        watch_join(w, k->policy, k->rules->generation);
    }
    call_finish(k, now);
    return BIDE_DONE;
}

/* Abandons a call that is begun again; the new one gets its work. */
static __attribute__((cold, noinline)) void
stop_earlier(struct call *k)
{
    struct bide_work *work = k->work;

    k->work = NULL;
    call_stop(k);
    k->work = work;
}

enum bide_next
call_begin(struct call *k, struct bide_policy *p, struct bide_watch *w)
{
    const struct cell *cell;
    uint32_t gate = call_gate(p, &cell);

    if (__builtin_expect(call_is_live(k), 0)) {
        stop_earlier(k);
    }
    enter_call(k, p, w);
    running_begin(p->bide);
    if (__builtin_expect((gate & GATE_SLOW) | (k->deadline_ns != 0) ||
                             !guard_lets_out(cell, gate),
                         0)) {
        return begin_by_rules(k, cell, gate);
    }
    return BIDE_GO;
}

/* Returns the time limit of the next attempt; DURATION_NONE: none.  With rules
 * it depends on the time until the deadline. */
static uint64_t
attempt_limit_ns(const struct call *k, uint64_t now_ns)
{
    uint32_t limit_ms = cell_limit_ms(k);

    return k->rules   ? machine_limit_ns(&k->machine, k->rules->policy, now_ns)
           : limit_ms ? limit_ms * UINT64_C(1000000)
                      : DURATION_NONE;
}

/* Sets up an attempt that has a time limit or hooks, or is not a first one. */
static __attribute__((cold, noinline)) void
prepare_attempt(struct call *k, const struct bide *b)
{
    uint64_t now_ns = registry_now_ns(b), limit = attempt_limit_ns(k, now_ns);

    k->attempt.number = k->exact ? k->machine.attempts + 1 : 1;
    k->attempt.timeout_ns = limit;
    k->attempt.deadline_ns = duration_add(now_ns, limit);
    if (b->hooked && b->hooks.before_attempt) {
        b->hooks.before_attempt(b->hooks.arg, (struct bide_call *)k,
                                &k->attempt);
    }
    if (k->exact) {
        k->machine.hedges = k->rules ? k->hedges : NULL;
        machine_started(&k->machine, registry_now_ns(b));
    }
    if (k->exact && k->machine.hedges) {
        hedge_prepare(k);
    }
}

bool
call_start_attempt(struct call *k)
{
    struct bide *b = k->policy->bide;

    if (__builtin_expect(call_is_cancelled(k), 0)) {
        call_stop(k);
        return false;
    }
    k->attempt.bide = b;
    k->attempt.number = 1;
    k->attempt.timeout_ns = k->attempt.deadline_ns = UINT64_MAX;
    if (__builtin_expect(k->exact | b->hooked | (cell_limit_ms(k) != 0), 0)) {
        prepare_attempt(k, b);
    }
    k->state = CALL_ATTEMPT;
    k->ticks = registry_ticks(b);
    return true;
}

/* ---- after an attempt ---- */

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
    m->end = fine ? BIDE_END_NONE : BIDE_END_ABORTED;
    m->state = MACHINE_DONE;
    return m->state;
}

/* Replaces k->rules if they changed during the attempt. */
static void
refresh_rules(struct call *k)
{
    struct rules *r;

    (void)wait_saw_change(k);
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
decide_after_attempt(struct call *k, struct bide_outcome o, uint64_t now_ns,
                     uint64_t took_ns)
{
    struct machine *m = &k->machine;
    uint64_t seed = k->policy->bide->seed;
    struct guard storage, *g = guard_use(k, &storage);
    enum machine_says says;
    bool fine;

    m->cancelled = call_is_cancelled(k);
    if (k->rules) {
        says = machine_ended(
            m, k->rules->policy, g, o, now_ns,
            draw_unit(draw_bits(seed, k->number, 2 * m->attempts)),
            draw_unit(draw_bits(seed, k->number, 2 * m->attempts + 1)));
    } else {
        says = end_without_rules(m, o);
    }
    guard_used(k, g, now_ns);
    guard_report_budget(k, false);
    fine = says == MACHINE_DONE && m->verdict == BIDE_SUCCEEDED;
    if (fine && k->attempt.number > 1) {
        count_again(k->policy, took_ns);
    } else {
        count_attempt(k->policy, fine, took_ns);
    }
    if (k->attempt.number > 1) {
        count_add(k->policy, COUNTER_RETRIES, 1);
    }
    if (!fine) {
        count_failure(k->policy, o);
    }
    if (says == MACHINE_WAIT) {
        return wait_begin(k, now_ns);
    }
    if (says == MACHINE_GO) {
        hedge_describe(k); /* one of those that still run */
        return BIDE_RUNNING;
    }
    if (m->hedges && m->hedges->number > m->hedges->first &&
        (fine || m->verdict == BIDE_REJECTED)) {
        count_add(k->policy, COUNTER_HEDGES_WON, 1);
    }
    call_finish(k, now_ns);
    return BIDE_DONE;
}

/* Ends an attempt that is not a plain success.  Cold and not inlined: otherwise
 * a plain success saves registers that only this uses, 3 of 31 ns. */
static __attribute__((cold, noinline)) enum bide_next
end_attempt_at(struct call *k, struct bide_outcome o, uint64_t end_ticks)
{
    struct bide *b = k->policy->bide;
    uint64_t took = clock_between_ns(b->scale, k->ticks, end_ticks);
    uint64_t now;

    if (k->exact && k->machine.hedges) { /* k->ticks is of another attempt */
        took = registry_now_ns(b) - k->machine.attempt_ns;
    }
    PROBE_AFTER(attempt, k->policy, k->attempt.number, o, took);
    if (b->hooked && b->hooks.after_attempt) {
        b->hooks.after_attempt(b->hooks.arg, (struct bide_call *)k, &k->attempt,
                               &o, took);
    }
    registry_revive(b);
    now = settle_times(k, end_ticks);
    refresh_rules(k);
    return decide_after_attempt(k, o, now, took);
}

/* Ends a call whose first attempt succeeded, without its rules: the gate lacks
 * GATE_CLASSIFY, so each successful outcome is a success under this policy.
 * Adds to one counter, or two if a breaker or a budget is on.  Returns false,
 * and changes nothing, if the machine must decide. */
static bool
end_plain_success(struct call *k, struct bide_outcome o, uint64_t end_ticks)
{
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
    k->result = (struct bide_result){.verdict = BIDE_SUCCEEDED,
                                     .attempts = 1,
                                     .outcome = o,
                                     .elapsed_ns = took};
    if (__builtin_expect(k->work != NULL, 0)) {
        drop_work(k);
    }
    PROBE_AFTER(attempt, p, 1, o, took);
    PROBE_VERDICT(p, BIDE_SUCCEEDED, BIDE_BY_NONE, 1, took);
    count_attempt(p, true, took);
    leave_call(k);
    return true;
}

enum bide_next
call_end_attempt(struct call *k, struct bide_outcome o)
{
    uint64_t end_ticks = registry_ticks(k->policy->bide);

    if (__builtin_expect(k->in_place, 0)) {
        leave_place(k);
    }
    if (!k->rules && !k->exact && !k->policy->bide->hooked &&
        outcome_is_success(o) && end_plain_success(k, o, end_ticks)) {
        return BIDE_DONE;
    }
    return end_attempt_at(k, o, end_ticks);
}

enum bide_next
call_adopt(struct call *k, struct bide_policy *p, struct bide_outcome o,
           uint64_t ticks, uint64_t end_ticks)
{
    enter_call(k, p, NULL);
    k->state = CALL_ATTEMPT;
    k->ticks = ticks;
    k->attempt = (struct bide_attempt){1, 0, UINT64_MAX, UINT64_MAX, p->bide};
    return end_attempt_at(k, o, end_ticks);
}
