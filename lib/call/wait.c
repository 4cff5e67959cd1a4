/* The wait of a call between two attempts: listed for operators, decided again
 * when rules or breaker change, ended by time, change or cancellation. */
#include "wait.h"

#include <assert.h>

#include "registry/probe.h"
#include "count.h"
#include "guard.h"

/* A call that waits for a place looks for one, and for dead owners, after this
 * time: place.c knows that it still waits. */
enum { PLACE_LOOK_NS = 100000000 };

/* Sets when a waiting call looks at the registry again: a writer may have been
 * killed between its commit and its announcement, and nobody announces the end
 * of a layer. */
static void
set_look(struct call *k, uint64_t now_ns)
{
    uint64_t end_ns = k->rules ? k->rules->until_ns : 0, within = LOOK_EVERY_NS;

    if (end_ns) {
        uint64_t real_ns = clock_realtime_ns();

        if (end_ns > real_ns && end_ns - real_ns < within) {
            within = end_ns - real_ns;
        }
    }
    if (guard_bell(k) && within > PLACE_LOOK_NS) {
        within = PLACE_LOOK_NS;
    }
    k->look_ns = now_ns + within;
}

/* Lists the wait for operators in the live file of now, which may be another
 * one than when the wait began. */
static void
list_wait(struct call *k)
{
    const struct home *h = atomic_load(&k->policy->home);
    const struct machine *m = &k->machine;

    if (k->sleeper_live == h->live) {
        if (k->sleeper >= 0 && k->listed_ns != m->wake_ns) {
            sleeper_move(h->live, k->sleeper, k->rules->policy->attempts,
                         m->asked_ns ? m->waits_for : BIDE_BY_NONE, m->wake_ns);
            k->listed_ns = m->wake_ns;
        }
        return;
    }
    if (k->sleeper >= 0) {
        sleeper_leave(k->sleeper_live, k->sleeper);
    }
    k->sleeper_live = h->live;
    k->sleeper = sleeper_enter(
        h->live, h->index, m->attempts, k->rules->policy->attempts, m->last,
        m->asked_ns ? m->waits_for : BIDE_BY_NONE, m->wake_ns);
    k->listed_ns = m->wake_ns;
}

enum bide_next
wait_begin(struct call *k, uint64_t now_ns)
{
    struct bide_watch *w = atomic_load(&k->watch);
    struct bide *b = k->policy->bide;
    const struct machine *m = &k->machine;
    uint64_t from = m->asked_ns ? m->asked_ns : m->ended_ns;

    k->state = CALL_WAITING;
    k->wait_began_ns = k->woken_ns = now_ns;
    count_add(k->policy, COUNTER_ASKED, m->asked_ns != 0);
    set_look(k, now_ns);
    if (w) {
        watch_join(w, k->policy, k->generation);
    }
    PROBE_AFTER(wait, k->policy, m->attempts, m->last, m->wake_ns - from);
    if (b->hooked && b->hooks.before_wait) {
        b->hooks.before_wait(b->hooks.arg, (struct bide_call *)k, m->attempts,
                             &m->last, m->wake_ns - from);
    }
    if (m->wake_ns > now_ns) {
        list_wait(k);
    }
    return BIDE_WAIT;
}

void
wait_stop(struct call *k, uint64_t now_ns)
{
    uint64_t slept = now_ns - k->wait_began_ns;

    if (k->sleeper >= 0) {
        sleeper_leave(k->sleeper_live, k->sleeper);
    }
    k->sleeper = -1;
    k->sleeper_live = NULL;
    k->slept_ns += slept;
    count_add(k->policy, COUNTER_SLEPT_NS, slept);
}

bool
wait_saw_change(struct call *k)
{
    struct cell *c = atomic_load(&k->policy->cell);
    uint32_t generation = atomic_load(&c->generation);
    bool yes = generation != k->generation;

    k->generation = generation;
    return yes;
}

uint64_t
wait_until_ns(const struct call *k)
{
    return k->machine.wake_ns < k->look_ns ? k->machine.wake_ns : k->look_ns;
}

/* Decides the wait again if the rules or the state of the breaker changed.
 * Both change the generation of the cell. */
static void
follow_change(struct call *k, uint64_t now_ns)
{
    bool was_announced = wait_saw_change(k);
    bool had_paid = k->machine.has_paid;
    struct guard storage, *g;
    struct rules *r;

    if (!was_announced && now_ns < k->look_ns && guard_bell(k)) {
        return; /* it was woken for a place */
    }
    r = rules_take(k->policy);
    if (!r) {
        return;
    }
    if (r == k->rules && !was_announced) {
        rules_drop(r);
        return;
    }
    rules_drop(k->rules);
    k->rules = r;
    g = guard_use(k, &storage);
    machine_changed(&k->machine, r->policy, g, now_ns);
    guard_used(k, g, now_ns);
    guard_report_budget(k, had_paid);
    count_add(k->policy, COUNTER_REDECIDED, 1);
}

/* Reports that an operator woke the calls, once for each time.  A time in the
 * future is garbage. */
static bool
was_woken(struct call *k, uint64_t now_ns)
{
    const struct cell *c = atomic_load(&k->policy->cell);
    uint64_t woken_ns = atomic_load(&c->woken_ns);
    bool yes = woken_ns > k->woken_ns && woken_ns <= now_ns;

    k->woken_ns = yes ? woken_ns : k->woken_ns;
    return yes;
}

enum bide_next
wait_resume(struct call *k)
{
    struct machine *m = &k->machine;
    struct guard storage, *g;
    uint64_t now;

    assert(k->state == CALL_WAITING);
    registry_revive(k->policy->bide);
    now = registry_now_ns(k->policy->bide);
    if (call_is_cancelled(k)) {
        call_cancel_machine(k, now);
    } else {
        follow_change(k, now);
    }
    if (m->state == MACHINE_WAIT) {
        bool woken = was_woken(k, now), asked = m->asked_ns;

        if (woken || now >= m->wake_ns || guard_bell(k)) {
            /* The breaker may have opened, the deadline may have passed. */
            g = guard_use(k, &storage);
            (woken ? machine_woken
             : now >= m->wake_ns
                 ? machine_due
                 : machine_changed)(m, k->rules->policy, g, now);
            guard_used(k, g, now);
            count_add(k->policy, COUNTER_ASKED, m->asked_ns && !asked);
        }
        if (m->state == MACHINE_WAIT) {
            list_wait(k);
            set_look(k, now);
            return BIDE_WAIT;
        }
    }
    wait_stop(k, now);
    if (m->state == MACHINE_GO) {
        k->state = CALL_READY;
        return BIDE_GO;
    }
    call_finish(k, now);
    return BIDE_DONE;
}

enum bide_next
wait_sleep(struct call *k, bool until_signal)
{
    struct bide *b = atomic_load(&k->policy)->bide;
    enum bide_next next;

    for (;;) {
        struct cell *cell = atomic_load(&atomic_load(&k->policy)->cell);
        uint32_t seen = atomic_load(&cell->generation), bell_seen = 0;
        _Atomic uint32_t *bell = guard_bell(k);
        bool whole;

        if (bell) {
            bell_seen = atomic_load(bell);
        }
        next = wait_resume(k);
        if (next != BIDE_WAIT) {
            return next;
        }
        if (guard_bell(k) != bell) {
            continue; /* it waits for a place from now on */
        }
        whole = bell && !b->own_clock
                    ? cell_sleep_either(&cell->generation, seen, bell,
                                        bell_seen, wait_until_ns(k))
                    : registry_sleep_until(b, &cell->generation, seen,
                                           wait_until_ns(k));
        if (!whole && until_signal) {
            return next;
        }
    }
}
