/* The call: the machine told of what happens, and what it answers done.  The
 * drivers (run.c, try.c, step.c) only choose who waits and how. */
#include "call.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "rule/draw.h"
#include "defer.h"
#include "guard.h"

/* No sleep without a look at the registry for longer: a writer may have been
 * killed between its commit and telling. */

/* ---- time ---- */

static void
become_exact(struct call *k)
{
    memset(&k->bed, 0, sizeof(*k) - offsetof(struct call, bed));
    k->sleeper = -1;
    k->exact = true;
}

/* The success path knows ticks only; from a failure on there are times. */
static uint64_t
settle_times(struct call *k, uint64_t end_ticks)
{
    const struct bide *b = k->policy->bide;
    uint64_t took = clock_between_ns(b->scale, k->ticks, end_ticks);
    uint64_t now;

    if (b->own_clock) {
        now = end_ticks;
    } else {
        now = clock_monotonic_ns();
    }
    if (!k->exact) {
        become_exact(k);
        k->machine.begun_ns = now - took;
        if (k->state == CALL_ATTEMPT) {
            machine_started(&k->machine, now - took);
        }
    }
    return now;
}

static void
cancel(struct call *k, uint64_t now_ns)
{
    struct guard room, *g = guard_use(k->policy, k->rules, &room);

    machine_cancel(&k->machine, k->rules ? k->rules->policy : NULL, g, now_ns);
    guard_used(k->policy, k->rules, g, now_ns);
}

/* ---- the end ---- */

static void
stop_waiting(struct call *k, uint64_t now_ns)
{
    uint64_t slept = now_ns - k->wait_began_ns;

    if (k->sleeper >= 0) {
        sleeper_leave(k->bed, k->sleeper);
    }
    k->sleeper = -1;
    k->slept_ns += slept;
    count(k->policy, COUNTER_SLEPT_NS, slept);
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
        .ask_again_ns =
            m->verdict == BIDE_REFUSED && m->wake_ns != DURATION_NONE
                ? m->wake_ns
                : 0,
    };
}

/* Before anybody hears that it is deferred. */
static void
put_off(struct bide_call *c)
{
    struct call *k = call_of(c);

    if (k->work && c->result.end == BIDE_DEFERRED) {
        defer_result(k->policy, &k->rules->policy->defer, k->work, &c->result);
        k->machine.end = c->result.end;
    }
}

static void
finish(struct bide_call *c, uint64_t now_ns)
{
    struct call *k = call_of(c);
    struct bide *b = k->policy->bide;

    fill_result(c, now_ns);
    put_off(c);
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
    if (k->state == CALL_WAITING) {
        stop_waiting(k, now);
    }
    cancel(k, now);
    finish(c, now);
    return BIDE_DONE;
}

/* ---- the beginning ---- */

static void
clear(struct call *k, struct bide_policy *p)
{
    k->rules = NULL;
    k->told_outcome = false;
    k->exact = false;
    k->work = NULL;
    atomic_store_explicit(&k->cancelled, 0, memory_order_relaxed);
    atomic_store_explicit(&k->policy, p, memory_order_release);
}

/* Places of probes whose process is gone are free; worth a look only when none
 * was found. */
static bool
is_dead(uint32_t process)
{
    return kill((pid_t)process, 0) != 0 && errno == ESRCH;
}

static enum machine_says
ask_to_begin(struct call *k, uint64_t now_ns)
{
    const struct policy *rules = k->rules->policy;
    struct guard room, *g = guard_use(k->policy, k->rules, &room);
    enum machine_says says = machine_begin(&k->machine, rules, g, now_ns);

    if (g && says == MACHINE_REFUSED && k->machine.reason == BIDE_BY_BREAKER &&
        k->machine.wake_ns == DURATION_NONE) {
        breaker_release_dead(g->rings, is_dead);
        says = machine_begin(&k->machine, rules, g, now_ns);
    }
    guard_used(k->policy, k->rules, g, now_ns);
    return says;
}

/* The gate says that the rules must be looked at first. */
static __attribute__((cold, noinline)) enum bide_next
begin_by_rules(struct bide_call *c)
{
    struct call *k = call_of(c);
    uint64_t now;

    registry_revive(k->policy->bide);
    k->rules = rules_take(k->policy);
    now = registry_now_ns(k->policy->bide);
    become_exact(k);
    k->machine.begun_ns = now;
    if (k->rules && ask_to_begin(k, now) == MACHINE_REFUSED) {
        finish(c, now);
        return BIDE_NOT_LET_OUT;
    }
    return BIDE_GO;
}

enum bide_next
call_begin_with(struct bide_call *c, struct bide_policy *p,
                const struct bide_work *work)
{
    struct call *k = call_of(c);
    const struct cell *cell =
        atomic_load_explicit(&p->cell, memory_order_acquire);
    uint32_t gate = call_gate(p, cell);

    clear(k, p);
    k->work = work;
    running_add(p->bide, 1);
    k->state = CALL_READY;
    if (__builtin_expect(gate & GATE_SLOW || !guard_lets_out(cell, gate), 0)) {
        return begin_by_rules(c);
    }
    return BIDE_GO;
}

enum bide_next
call_begin(struct bide_call *c, struct bide_policy *p)
{
    return call_begin_with(c, p, NULL);
}

static uint32_t
limit_ms(const struct call *k, uint64_t now_ns)
{
    uint64_t limit;

    limit = machine_limit_ns(&k->machine, k->rules->policy, now_ns);
    if (limit == DURATION_NONE) {
        return 0;
    }
    limit /= 1000000;
    return limit < 1 ? 1 : limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit;
}

/* A first attempt's limit is in the cell; a later one's depends on how much of
 * the deadline is left. */
static void
tell_limit(struct bide_call *c)
{
    struct call *k = call_of(c);
    struct bide *b = k->policy->bide;
    uint64_t now = 0;

    c->attempt.timeout_ms = 0;
    c->attempt.deadline_ns = UINT64_MAX;
    if (k->rules) {
        now = registry_now_ns(b);
        c->attempt.timeout_ms = limit_ms(k, now);
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
        c->attempt.deadline_ns = now + c->attempt.timeout_ms * 1000000ull;
    }
}

void
call_start_attempt(struct bide_call *c)
{
    struct call *k = call_of(c);
    struct bide *b = k->policy->bide;

    c->attempt.number = k->exact ? k->machine.attempts + 1 : 1;
    tell_limit(c);
    if (b->hooked && b->hooks.before_attempt) {
        b->hooks.before_attempt(b->hooks.arg, k->policy->name, &c->attempt);
    }
    if (c->attempt.number > 1) {
        count(k->policy, COUNTER_RETRIES, 1);
    }
    if (k->exact) {
        machine_started(&k->machine, registry_now_ns(b));
    }
    k->state = CALL_ATTEMPT;
    k->ticks = registry_ticks(b);
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

        k->bed = h->live;
        k->sleeper =
            sleeper_enter(h->live, h->index, m->attempts,
                          k->rules->policy->attempts, m->last, m->wake_ns);
    }
    return BIDE_WAIT;
}

/* Without memory for rules: as if nobody had asked for more. */
static enum bide_next
end_without_rules(struct bide_call *c, struct bide_outcome o, uint64_t now_ns,
                  uint64_t took_ns)
{
    struct call *k = call_of(c);
    struct machine *m = &k->machine;
    bool fine = outcome_is_success(o);

    m->last = o;
    m->verdict = fine ? BIDE_SUCCEEDED : BIDE_EXHAUSTED;
    m->reason = fine ? BIDE_BY_NONE : BIDE_BY_ATTEMPTS;
    m->end = fine ? BIDE_END_NONE : BIDE_ABORTED;
    m->state = MACHINE_DONE;
    count_attempt(k->policy, fine, took_ns);
    if (!fine) {
        count_failure(k->policy, o);
    }
    finish(c, now_ns);
    return BIDE_DONE;
}

/* Whether something was announced since the last look: rules that cannot be
 * read anew stay the same, and a breaker may have turned all the same. */
static bool
was_told(struct call *k)
{
    struct cell *c = atomic_load(&k->policy->cell);
    uint32_t generation = atomic_load(&c->generation);
    bool yes = generation != k->generation;

    k->generation = generation;
    return yes;
}

/* Rules may have changed while the attempt ran. */
static void
refresh_rules(struct call *k)
{
    struct rules *r;

    (void)was_told(k);
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
decide(struct bide_call *c, struct bide_outcome o, uint64_t now_ns,
       uint64_t took_ns)
{
    struct call *k = call_of(c);
    struct machine *m = &k->machine;
    uint64_t seed = k->policy->bide->seed;
    struct guard room, *g = guard_use(k->policy, k->rules, &room);
    enum machine_says says;

    if (!k->rules) {
        return end_without_rules(c, o, now_ns, took_ns);
    }
    says = machine_ended(
        m, k->rules->policy, g, o, now_ns,
        draw_unit(draw_bits(seed, k->number, 2 * m->attempts)),
        draw_unit(draw_bits(seed, k->number, 2 * m->attempts + 1)));
    guard_used(k->policy, k->rules, g, now_ns);
    count_attempt(k->policy,
                  m->verdict == BIDE_SUCCEEDED && says == MACHINE_DONE,
                  took_ns);
    if (says == MACHINE_WAIT || m->verdict != BIDE_SUCCEEDED) {
        count_failure(k->policy, o);
    }
    if (says == MACHINE_WAIT &&
        !atomic_load_explicit(&k->cancelled, memory_order_acquire)) {
        return start_wait(c, now_ns);
    }
    if (says == MACHINE_WAIT) {
        cancel(k, now_ns);
    }
    finish(c, now_ns);
    return BIDE_DONE;
}

static void
tell_after(struct bide_call *c, struct bide_outcome o, uint64_t took_ns)
{
    const struct call *k = call_of(c);
    const struct bide *b = k->policy->bide;

    if (b->hooked && b->hooks.after_attempt) {
        b->hooks.after_attempt(b->hooks.arg, k->policy->name, c->attempt.number,
                               o, took_ns);
    }
}

/* Cold, and on its own, so that a success does not save the registers that only
 * this needs: 3 of 31 ns. */
static __attribute__((cold, noinline)) enum bide_next
end_attempt_at(struct bide_call *c, struct bide_outcome o, uint64_t end_ticks)
{
    struct call *k = call_of(c);
    struct bide *b = k->policy->bide;
    uint64_t took = clock_between_ns(b->scale, k->ticks, end_ticks);
    uint64_t now;

    tell_after(c, o, took);
    registry_revive(b);
    now = settle_times(k, end_ticks);
    refresh_rules(k);
    return decide(c, o, now, took);
}

/* A success of a call that needs no rules, since its gate has said that no
 * natural success is a failure here: one word is added to, two where a breaker
 * or a budget is on.  False: the machine must be told. */
static bool
end_well(struct bide_call *c, struct bide_outcome o, uint64_t end_ticks)
{
    struct call *k = call_of(c);
    struct bide_policy *p = k->policy;
    uint64_t took = clock_between_ns(p->bide->scale, k->ticks, end_ticks);
    const struct cell *cell =
        atomic_load_explicit(&p->cell, memory_order_acquire);
    uint32_t gate = call_gate(p, cell);

    if (gate & GATE_GUARD && !guard_passes(p, cell, gate, took, end_ticks)) {
        return false;
    }
    count_attempt(p, true, took);
    c->result = (struct bide_result){
        .attempts = 1,
        .outcome = o,
        .elapsed_ns = took,
    };
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
        outcome_is_success(o) && end_well(c, o, end_ticks)) {
        return BIDE_DONE;
    }
    return end_attempt_at(c, o, end_ticks);
}

enum bide_next
call_adopt(struct bide_call *c, struct bide_policy *p, struct bide_outcome o,
           uint64_t ticks, uint64_t end_ticks)
{
    struct call *k = call_of(c);

    clear(k, p);
    k->state = CALL_ATTEMPT;
    k->ticks = ticks;
    c->attempt.number = 1;
    return end_attempt_at(c, o, end_ticks);
}

/* ---- waiting ---- */

static enum bide_next
end_wait(struct bide_call *c, uint64_t now_ns, bool go)
{
    struct call *k = call_of(c);

    stop_waiting(k, now_ns);
    if (go) {
        k->state = CALL_READY;
        return BIDE_GO;
    }
    finish(c, now_ns);
    return BIDE_DONE;
}

/* When the rules were made anew, or the breaker turned (which makes them stale
 * too), the wait is decided again. */
static void
follow_change(struct call *k, uint64_t now_ns)
{
    bool told = was_told(k);
    struct rules *r = rules_take(k->policy);
    struct guard room, *g;

    if (!r) {
        return;
    }
    if (r == k->rules && !told) {
        rules_drop(r);
        return;
    }
    rules_drop(k->rules);
    k->rules = r;
    g = guard_use(k->policy, k->rules, &room);
    machine_changed(&k->machine, r->policy, g, now_ns);
    guard_used(k->policy, k->rules, g, now_ns);
    count(k->policy, COUNTER_REDECIDED, 1);
    if (k->sleeper >= 0) {
        sleeper_move(k->bed, k->sleeper, r->policy->attempts,
                     k->machine.wake_ns);
    }
}

/* The wait may be over; a breaker that opened meanwhile has a word in it. */
static enum machine_says
ask_to_go(struct call *k, uint64_t now_ns)
{
    struct guard room, *g;
    enum machine_says says;

    if (now_ns < k->machine.wake_ns) {
        return MACHINE_WAIT;
    }
    g = guard_use(k->policy, k->rules, &room);
    says = machine_due(&k->machine, k->rules->policy, g, now_ns);
    guard_used(k->policy, k->rules, g, now_ns);
    return says;
}

enum bide_next
call_look(struct bide_call *c)
{
    struct call *k = call_of(c);
    uint64_t now;

    registry_revive(k->policy->bide);
    now = registry_now_ns(k->policy->bide);
    if (atomic_load_explicit(&k->cancelled, memory_order_acquire)) {
        cancel(k, now);
        return end_wait(c, now, false);
    }
    follow_change(k, now);
    if (k->machine.state == MACHINE_DONE) {
        return end_wait(c, now, false);
    }
    switch (ask_to_go(k, now)) {
    case MACHINE_GO:
        return end_wait(c, now, true);
    case MACHINE_WAIT:
        return BIDE_WAIT;
    default:
        return end_wait(c, now, false);
    }
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

        next = call_look(c);
        if (next != BIDE_WAIT) {
            return next;
        }
        now = registry_now_ns(b);
        until =
            k->machine.wake_ns - now > LOOK_EVERY_NS && k->machine.wake_ns > now
                ? now + LOOK_EVERY_NS
                : k->machine.wake_ns;
        registry_sleep_until(b, cell, seen, until);
    }
}
