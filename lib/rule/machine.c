/* The call as a state machine.
 *
 *   event    legal in               next state
 *   begin    (a new machine)        GO, or WAIT for what refuses it, or
 * REFUSED: paused, or admit.h; DONE if its own deadline has passed started  GO
 * GO, and an attempt runs ended    GO, an attempt runs    DONE: succeeded,
 * rejected, exhausted, or cancelled during the attempt; else WAIT changed  any
 * WAIT: decided again; else unchanged due      any                    WAIT,
 * from wake_ns on: as begin, and DONE if the deadline has passed; else
 * unchanged woken    any                    WAIT: GO, if nothing refuses it;
 * else as due cancel   any                    DONE
 *
 * Example, with attempts = 2 and wait_initial = 100ms (times in ms):
 *
 *   1000 begin    GO
 *   1000 started  GO
 *   1005 ended    WAIT until 1105
 *   1104 due      WAIT until 1105   (too early)
 *   1105 due      GO
 *   1105 started  GO
 *   1110 ended    DONE, exhausted, reason attempts
 *
 * In GO, machine_hedge may start attempts beside the one that runs.  Then the
 * first success or rejection ends the call, and the others count for neither
 * breaker nor budget.  A failure is counted; the last of them decides.
 *
 * A retry is charged to the budget when it is decided, before its wait.  If the
 * retry does not happen (the rules change, the breaker refuses, the call is
 * cancelled), the charge is returned.  machine_started makes it final, unless
 * the call is cancelled during the attempt: that attempt counts for neither
 * breaker nor budget.
 *
 * A call holds a place, of a limit or of a probe, only while it is in GO.  It
 * waits in two ways: for its next retry, and then (asked_ns is set), or before
 * its first attempt, for what refuses the attempt. */
#include "machine.h"

#include <assert.h>
#include <string.h>

#include "hint.h"
#include "rate.h"
#include "window.h"

static enum machine_says
finish_call(struct machine *m, const struct policy *p,
            enum bide_verdict verdict, enum bide_reason reason)
{
    static const enum bide_end ends[] = {
        [MANDATORY] = BIDE_END_ABORTED,
        [POSTPONABLE] = BIDE_END_DEFERRED,
        [OPTIONAL] = BIDE_END_DROPPED,
    };
    bool gave_up = verdict == BIDE_EXHAUSTED || verdict == BIDE_REFUSED;

    assert(m->state != MACHINE_DONE || verdict == BIDE_CANCELLED);
    m->verdict = verdict;
    m->reason = reason;
    m->end = gave_up ? ends[p->importance] : BIDE_END_NONE;
    m->state = MACHINE_DONE;
    return m->state;
}

/* ---- the start of an attempt ---- */

/* Returns the deadline, the policy's or its own; DURATION_NONE: none. */
static uint64_t
deadline_ns(const struct machine *m, const struct policy *p)
{
    uint64_t end = p->deadline_ns == DURATION_NONE
                       ? DURATION_NONE
                       : duration_add(m->begun_ns, p->deadline_ns);

    return m->until_ns && m->until_ns < end ? m->until_ns : end;
}

/* Reports whether an attempt at `at_ns` would start too late: at the deadline,
 * or with less than useful_time left. */
static bool
is_past_deadline(const struct machine *m, const struct policy *p,
                 uint64_t at_ns)
{
    return duration_add(at_ns, p->useful_ns ? p->useful_ns - 1 : 0) >=
           deadline_ns(m, p);
}

/* Returns the charge for the retry that was decided and does not happen. */
static void
return_charge(struct machine *m, const struct policy *p, struct guard *g,
              uint64_t now_ns)
{
    if (m->has_paid) {
        budget_return(&p->budget, g, &m->paid, m->ended_ns, now_ns);
        m->has_paid = false;
    }
}

static enum machine_says
stop_retry(struct machine *m, const struct policy *p, struct guard *g,
           enum bide_reason reason, uint64_t now_ns)
{
    return_charge(m, p, g, now_ns);
    return finish_call(m, p, BIDE_EXHAUSTED, reason);
}

/* Ends a call whose next attempt may not start; at_ns is when to ask again. */
static enum machine_says
refuse_start(struct machine *m, const struct policy *p, struct guard *g,
             enum bide_reason reason, uint64_t at_ns, uint64_t now_ns)
{
    if (m->attempts > 0) {
        return stop_retry(m, p, g, reason, now_ns);
    }
    finish_call(m, p, BIDE_REFUSED, reason);
    m->wake_ns = at_ns;
    m->state = MACHINE_REFUSED;
    return m->state;
}

/* Asks whether the next attempt may start.  A refused one waits, as long as the
 * rules let it, since it asked first.  Does not wait beyond the deadline. */
static enum machine_says
ask_to_start(struct machine *m, const struct policy *p, struct guard *g,
             uint64_t now_ns)
{
    uint64_t at = DURATION_NONE, asked = m->asked_ns ? m->asked_ns : now_ns;
    uint64_t end = deadline_ns(m, p), last;
    enum bide_reason reason;

    if (g) {
        g->waited = m->asked_ns;
    }
    reason = admit_attempt(p, g, m->past_hint, now_ns, &m->has, &at);
    last = duration_add(asked, admit_wait_ns(p, reason));
    m->asked_ns = 0;
    if (reason == BIDE_BY_NONE) {
        m->state = MACHINE_GO;
        return m->state;
    }
    if (now_ns >= last ||
        (at != DURATION_NONE && (at > last || is_past_deadline(m, p, at)))) {
        return refuse_start(m, p, g, reason, at, now_ns);
    }
    m->asked_ns = larger_ns(asked, 1); /* 0 has another meaning */
    m->waits_for = reason;
    m->wake_ns = at < last ? at : last;
    m->wake_ns = m->wake_ns < end ? m->wake_ns : end;
    m->state = MACHINE_WAIT;
    return m->state;
}

enum machine_kind
machine_classify(const struct policy *p, struct bide_outcome o)
{
    if (outcome_in(&p->success_on, o)) {
        return KIND_SUCCESS;
    }
    if (outcome_in(&p->never_on, o)) {
        return KIND_REJECT;
    }
    if (outcome_in(&p->retry_on, o)) {
        return KIND_RETRY;
    }
    return outcome_is_success(o) ? KIND_SUCCESS : KIND_REJECT;
}

enum machine_says
machine_begin(struct machine *m, const struct policy *p, struct guard *g,
              uint64_t now_ns)
{
    return machine_begin_until(m, p, g, 0, now_ns);
}

enum machine_says
machine_begin_until(struct machine *m, const struct policy *p, struct guard *g,
                    uint64_t until_ns, uint64_t now_ns)
{
    memset(m, 0, sizeof(*m));
    m->begun_ns = now_ns;
    m->until_ns = until_ns;
    if (until_ns && is_past_deadline(m, p, now_ns)) {
        return finish_call(m, p, BIDE_EXHAUSTED, BIDE_BY_DEADLINE);
    }
    if (p->paused) {
        return refuse_start(m, p, g, BIDE_BY_PAUSED, DURATION_NONE, now_ns);
    }
    return ask_to_start(m, p, g, now_ns);
}

/* Makes the next wait of the policy's own the first one again. */
static void
restart_growth(struct machine *m, bool free_used)
{
    m->growth = (struct growth){.free_used = free_used};
}

void
machine_started(struct machine *m, uint64_t now_ns)
{
    assert(m->state == MACHINE_GO);
    m->attempt_ns = now_ns;
    if (m->attempts > 0 && m->growth.next == GROWTH_COUNTS) {
        m->growth.retries++;
        m->growth.previous_ns = m->own_ns;
    } else if (m->attempts > 0 && m->growth.next == GROWTH_RESETS) {
        restart_growth(m, true);
    }
    m->attempts++;
    m->counted++;
    m->has_paid = false;
    m->past_hint = false;
    admit_started(&m->has);
    if (m->hedges) {
        *m->hedges = (struct hedges){.after_ns = DURATION_NONE,
                                     .number = m->attempts,
                                     .first = m->attempts};
    }
}

/* ---- hedges ---- */

void
machine_hedge_after(struct machine *m, uint64_t after_ns)
{
    m->hedges->after_ns = after_ns;
    m->hedges->next_ns = duration_add(m->attempt_ns, after_ns);
}

uint64_t
machine_hedge_ns(const struct machine *m, const struct policy *p)
{
    const struct hedges *h = m->hedges;
    bool more = p->attempts == ATTEMPTS_UNLIMITED || m->counted < p->attempts;

    return h && policy_hedges(p) && more && m->state == MACHINE_GO &&
                   m->attempts > 0 && h->count < p->hedge_max &&
                   h->after_ns != DURATION_NONE
               ? h->next_ns
               : DURATION_NONE;
}

bool
machine_hedge(struct machine *m, const struct policy *p, struct guard *g,
              uint64_t now_ns)
{
    struct hedges *h = m->hedges;
    struct admission has;
    struct budget_paid paid;

    if (now_ns < machine_hedge_ns(m, p)) {
        return false;
    }
    h->next_ns = duration_add(now_ns, h->after_ns);
    if (m->cancelled || p->paused || is_past_deadline(m, p, now_ns) ||
        !admit_hedge(p, g, now_ns, &has, &paid)) {
        return false;
    }
    h->other[h->count++] = (struct beside){m->attempt_ns, m->has, h->number};
    m->has = has;
    m->paid = paid;
    m->attempt_ns = now_ns;
    m->attempts++;
    m->counted++;
    h->number = m->attempts;
    admit_started(&m->has);
    return true;
}

/* Makes one of the other attempts the current one. */
static void
make_current(struct machine *m, const struct beside *b)
{
    m->attempt_ns = b->began_ns;
    m->has = b->has;
    m->hedges->number = b->number;
}

void
machine_pick(struct machine *m, uint32_t number)
{
    struct hedges *h = m->hedges;

    for (uint32_t i = 0; h && i < h->count; i++) {
        struct beside before = {m->attempt_ns, m->has, h->number};

        if (h->other[i].number == number) {
            make_current(m, &h->other[i]);
            h->other[i] = before;
            return;
        }
    }
}

/* Gives back what the other attempts hold: the call has ended. */
static void
return_others(struct machine *m, const struct policy *p, struct guard *g,
              uint64_t now_ns)
{
    struct hedges *h = m->hedges;

    while (h && h->count > 0) {
        struct place_words *bell =
            admit_return(p, g, &h->other[--h->count].has, now_ns);

        m->bell = bell ? bell : m->bell;
    }
}

/* ---- the budget ---- */

static enum budget_price
retry_price(const struct machine *m, const struct policy *p)
{
    if (outcome_in(&p->throttle_on, m->last)) {
        return PRICE_THROTTLE;
    }
    return outcome_classes(m->last) & OUTCOME_TIMEOUT ? PRICE_TIMEOUT
                                                      : PRICE_USUAL;
}

/* ---- deciding ---- */

/* Asks the rules in their fixed order and returns the first that stops the
 * call, or BIDE_BY_NONE after it has set wake_ns and charged the budget.  Time
 * limits are measured at ended_ns, not at now_ns, so deciding again under the
 * same rules gives the same result.  The budget is last: nothing is charged for
 * a retry that another rule stops. */
static enum bide_reason
reason_to_stop(struct machine *m, const struct policy *p, struct guard *g,
               uint64_t now_ns)
{
    uint32_t free_left = m->growth.free_used ? 0 : p->wait.free_retries;
    uint32_t retry =
        m->growth.retries >= free_left ? m->growth.retries + 1 - free_left : 0;
    uint64_t from = m->reset_ns > m->begun_ns ? m->reset_ns : m->begun_ns;
    uint64_t wait;

    if (p->attempts != ATTEMPTS_UNLIMITED && m->counted >= p->attempts) {
        return BIDE_BY_ATTEMPTS;
    }
    if (m->ended_ns - from >= p->max_elapsed_ns) {
        return BIDE_BY_MAX_ELAPSED;
    }
    m->own_ns = wait_own_ns(&p->wait, retry, m->growth.previous_ns,
                            outcome_in(&p->throttle_on, m->last), m->u);
    m->growth.next =
        wait_follows_hint(&p->hint, m->last) ? p->hint.growth : GROWTH_COUNTS;
    if (!wait_with_hint(p, m->last, m->own_ns, m->v, &wait)) {
        return BIDE_BY_RETRY_AFTER;
    }
    m->wake_ns = duration_add(m->ended_ns, wait);
    if (is_past_deadline(m, p, m->wake_ns)) {
        return BIDE_BY_DEADLINE;
    }
    if (m->wake_ns < now_ns) {
        m->wake_ns = now_ns;
    }
    if (breaker_still_open(&p->breaker, g, now_ns,
                           duration_add(m->asked_ns ? m->asked_ns : m->wake_ns,
                                        p->breaker.wait_ns))) {
        return BIDE_BY_BREAKER;
    }
    m->has_paid =
        m->has_paid || budget_take(&p->budget, (enum importance)p->importance,
                                   g, retry_price(m, p), now_ns, &m->paid);
    return m->has_paid ? BIDE_BY_NONE : BIDE_BY_BUDGET;
}

static enum machine_says
decide_retry(struct machine *m, const struct policy *p, struct guard *g,
             uint64_t now_ns)
{
    enum bide_reason reason = reason_to_stop(m, p, g, now_ns);

    if (reason != BIDE_BY_NONE) {
        return stop_retry(m, p, g, reason, now_ns);
    }
    m->state = MACHINE_WAIT;
    return m->state;
}

/* ---- after an attempt ---- */

/* Adds the attempt to the counters of breaker and budget.  First moves the
 * window to its next slice if it is time, because a slice keeps the totals
 * without the new attempt. */
static void
count_attempt(const struct machine *m, const struct policy *p, struct guard *g,
              enum machine_kind kind, bool ignored, uint64_t now_ns)
{
    uint64_t took = now_ns - m->attempt_ns;
    uint32_t how = (machine_number(m) > 1 ? ENDED_AGAIN : 0) |
                   (kind == KIND_RETRY ? ENDED_FAILED : 0) |
                   (kind == KIND_REJECT ? ENDED_REJECTED : 0) |
                   (ignored ? ENDED_IGNORED : 0);
    struct tally t;

    if (p->breaker.slow_after_ns != DURATION_NONE &&
        took > p->breaker.slow_after_ns) {
        how |= ENDED_SLOW;
    }
    if (g->rings && p->breaker.mode == BREAKER_ON && p->breaker.window.ns) {
        g->tally(g->arg, &t);
        window_turn(&g->rings->breaker, p->breaker.window.ns, now_ns, &t);
    }
    if (g->budget_rings && p->budget.kind == BUDGET_RATIO) {
        g->budget_tally(g->arg, &t);
        t.retries = atomic_load(&g->budget->retries);
        budget_follow(&p->budget, g, now_ns);
        window_turn(&g->budget_rings->budget, p->budget.window_ns, now_ns, &t);
    }
    g->count(g->arg, how);
}

/* Reports the attempt to a rate that adapts, and lets the server's hint hold
 * all calls. */
static void
report_to_limits(const struct machine *m, const struct policy *p,
                 struct guard *g, uint64_t now_ns)
{
    if (g->rate && p->rate.adapt != ADAPT_NONE) {
        rate_report(&p->rate, g->rate, outcome_in(&p->throttle_on, m->last),
                    m->attempt_ns, now_ns);
    }
    if (g->hint && wait_follows_hint(&p->hint, m->last) &&
        m->last.hint == BIDE_HINT_AFTER) {
        hint_hold(g->hint, duration_add(now_ns, m->last.after_ns), now_ns,
                  p->hint.max_ns);
    }
}

static void
report_to_guard(struct machine *m, const struct policy *p, struct guard *g,
                enum machine_kind kind, uint64_t now_ns)
{
    struct probe probe = m->has.probe;
    bool ignored;

    m->has.probe = (struct probe){0};
    m->bell = admit_ended(&m->has);
    if (!g) {
        return;
    }
    report_to_limits(m, p, g, now_ns);
    ignored = p->breaker.mode == BREAKER_ON &&
              (outcome_in(&p->breaker.ignore, m->last) ||
               breaker_round_is_over(g, probe));
    count_attempt(m, p, g, kind, ignored, now_ns);
    if (ignored) {
        breaker_release(g, probe);
    } else {
        breaker_report(&p->breaker, g, kind == KIND_RETRY,
                       now_ns - m->attempt_ns, probe, now_ns);
    }
    if (kind == KIND_SUCCESS) {
        budget_give(&p->budget, g, m->attempts > 1 ? &m->paid : NULL, now_ns);
    } else if (kind == KIND_RETRY || (wait_follows_hint(&p->hint, m->last) &&
                                      m->last.hint == BIDE_HINT_NEVER)) {
        budget_pay(&p->budget, (enum importance)p->importance, g,
                   retry_price(m, p), now_ns);
    }
}

enum machine_says
machine_ended(struct machine *m, const struct policy *p, struct guard *g,
              struct bide_outcome o, uint64_t now_ns, double u, double v)
{
    enum machine_kind kind = machine_classify(p, o);

    assert(m->state == MACHINE_GO && m->attempts > 0);
    m->last = o;
    m->ended_ns = now_ns;
    m->u = u;
    m->v = v;
    if (m->cancelled && kind != KIND_SUCCESS) {
        return machine_cancel(m, p, g, now_ns);
    }
    report_to_guard(m, p, g, kind, now_ns);
    if (kind != KIND_RETRY) {
        return_others(m, p, g, now_ns);
    } else if (m->hedges && m->hedges->count > 0) {
        make_current(m, &m->hedges->other[--m->hedges->count]);
        return m->state;
    }
    if (kind == KIND_SUCCESS) {
        return finish_call(m, p, BIDE_SUCCEEDED, BIDE_BY_NONE);
    }
    if (kind == KIND_REJECT) {
        return finish_call(m, p, BIDE_REJECTED, BIDE_BY_REJECTED);
    }
    if (p->reset_after_ns != DURATION_NONE &&
        now_ns - m->attempt_ns >= p->reset_after_ns) {
        m->counted = 1;
        m->reset_ns = now_ns;
        restart_growth(m, false);
    }
    return decide_retry(m, p, g, now_ns);
}

/* Decides again a call that waits to start an attempt. */
static enum machine_says
ask_again(struct machine *m, const struct policy *p, struct guard *g,
          uint64_t now_ns)
{
    enum bide_reason reason;

    if (m->attempts == 0) {
        return p->paused ? refuse_start(m, p, g, BIDE_BY_PAUSED, DURATION_NONE,
                                        now_ns)
                         : ask_to_start(m, p, g, now_ns);
    }
    reason = reason_to_stop(m, p, g, now_ns);
    if (reason != BIDE_BY_NONE) {
        return stop_retry(m, p, g, reason, now_ns);
    }
    if (m->wake_ns > now_ns) { /* its own wait is longer now */
        m->asked_ns = 0;
        return m->state;
    }
    return ask_to_start(m, p, g, now_ns);
}

enum machine_says
machine_changed(struct machine *m, const struct policy *p, struct guard *g,
                uint64_t now_ns)
{
    if (m->state != MACHINE_WAIT) {
        return m->state;
    }
    return m->asked_ns ? ask_again(m, p, g, now_ns)
                       : decide_retry(m, p, g, now_ns);
}

enum machine_says
machine_due(struct machine *m, const struct policy *p, struct guard *g,
            uint64_t now_ns)
{
    if (m->state != MACHINE_WAIT || now_ns < m->wake_ns) {
        return m->state;
    }
    assert(!m->has.probe.place);
    if (is_past_deadline(m, p, now_ns)) {
        return stop_retry(m, p, g, BIDE_BY_DEADLINE, now_ns);
    }
    return ask_to_start(m, p, g, now_ns);
}

enum machine_says
machine_woken(struct machine *m, const struct policy *p, struct guard *g,
              uint64_t now_ns)
{
    uint64_t at;

    if (m->state == MACHINE_WAIT && now_ns < m->wake_ns) {
        m->past_hint = true;
        if (g) {
            g->waited = true;
        }
        if (admit_attempt(p, g, true, now_ns, &m->has, &at) == BIDE_BY_NONE) {
            m->asked_ns = 0;
            m->wake_ns = now_ns;
            m->state = MACHINE_GO;
        }
    }
    return machine_due(m, p, g, now_ns);
}

enum machine_says
machine_cancel(struct machine *m, const struct policy *p, struct guard *g,
               uint64_t now_ns)
{
    m->bell = admit_return(p, g, &m->has, now_ns);
    return_others(m, p, g, now_ns);
    m->has_paid |= m->state == MACHINE_GO && m->attempts > 1;
    if (p) {
        return_charge(m, p, g, now_ns);
    }
    return finish_call(m, p, BIDE_CANCELLED, BIDE_BY_CANCELLED);
}

uint64_t
machine_limit_ns(const struct machine *m, const struct policy *p,
                 uint64_t now_ns)
{
    uint64_t end = deadline_ns(m, p), left;

    if (end == DURATION_NONE) {
        return p->attempt_timeout_ns;
    }
    left = end > now_ns ? end - now_ns : 0;
    return left < p->attempt_timeout_ns ? left : p->attempt_timeout_ns;
}
