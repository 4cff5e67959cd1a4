/* The call as a state machine.
 *
 *   event    legal in               next state
 *   begin    (a new machine)        GO, or REFUSED: paused, or breaker open;
 *                                   DONE if its own deadline has passed
 *   started  GO                     GO, and an attempt runs
 *   ended    GO, an attempt runs    DONE: succeeded, rejected, exhausted, or
 *                                   cancelled during the attempt;
 *                                   else WAIT
 *   changed  any                    WAIT: WAIT or DONE; else unchanged
 *   due      any                    WAIT, from wake_ns on: GO, or DONE if the
 *                                   deadline has passed or the breaker
 *                                   refuses; else unchanged
 *   woken    any                    WAIT: GO, if the breaker lets it out; else
 *                                   as due
 *   cancel   any                    DONE
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
 * A retry is charged to the budget when it is decided, before its wait.  If the
 * retry does not happen (the rules change, the breaker refuses, the call is
 * cancelled), the charge is returned.  machine_started makes it final, unless
 * the call is cancelled during the attempt: that attempt counts for neither
 * breaker nor budget.
 *
 * A call holds the place of a probe only while it is in GO. */
#include "machine.h"

#include <assert.h>
#include <string.h>

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
    uint64_t until = DURATION_NONE;

    memset(m, 0, sizeof(*m));
    m->begun_ns = now_ns;
    m->until_ns = until_ns;
    if (until_ns && now_ns >= until_ns) {
        return finish_call(m, p, BIDE_EXHAUSTED, BIDE_BY_DEADLINE);
    }
    if (!p->paused &&
        breaker_admit(&p->breaker, g, now_ns, &m->probe, &until)) {
        m->state = MACHINE_GO;
        return m->state;
    }
    finish_call(m, p, BIDE_REFUSED,
                p->paused ? BIDE_BY_PAUSED : BIDE_BY_BREAKER);
    m->wake_ns = until;
    m->state = MACHINE_REFUSED;
    return m->state;
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

/* ---- deciding ---- */

static bool
is_past_deadline(const struct machine *m, const struct policy *p,
                 uint64_t at_ns)
{
    return (p->deadline_ns != DURATION_NONE &&
            at_ns - m->begun_ns >= p->deadline_ns) ||
           (m->until_ns && at_ns >= m->until_ns);
}

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
    if (breaker_still_open(&p->breaker, g, now_ns, m->wake_ns)) {
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
    uint32_t how = (m->attempts > 1 ? ENDED_AGAIN : 0) |
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

static void
report_to_guard(struct machine *m, const struct policy *p, struct guard *g,
                enum machine_kind kind, uint64_t now_ns)
{
    struct probe probe = m->probe;
    bool ignored;

    m->probe = (struct probe){0};
    if (!g) {
        return;
    }
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

enum machine_says
machine_changed(struct machine *m, const struct policy *p, struct guard *g,
                uint64_t now_ns)
{
    return m->state == MACHINE_WAIT ? decide_retry(m, p, g, now_ns) : m->state;
}

enum machine_says
machine_due(struct machine *m, const struct policy *p, struct guard *g,
            uint64_t now_ns)
{
    uint64_t until;

    if (m->state != MACHINE_WAIT || now_ns < m->wake_ns) {
        return m->state;
    }
    assert(!m->probe.place);
    if (is_past_deadline(m, p, now_ns)) {
        return stop_retry(m, p, g, BIDE_BY_DEADLINE, now_ns);
    }
    if (!breaker_admit(&p->breaker, g, now_ns, &m->probe, &until)) {
        return stop_retry(m, p, g, BIDE_BY_BREAKER, now_ns);
    }
    m->state = MACHINE_GO;
    return m->state;
}

enum machine_says
machine_woken(struct machine *m, const struct policy *p, struct guard *g,
              uint64_t now_ns)
{
    uint64_t until;

    if (m->state == MACHINE_WAIT && now_ns < m->wake_ns &&
        breaker_admit(&p->breaker, g, now_ns, &m->probe, &until)) {
        m->wake_ns = now_ns;
        m->state = MACHINE_GO;
    }
    return machine_due(m, p, g, now_ns);
}

enum machine_says
machine_cancel(struct machine *m, const struct policy *p, struct guard *g,
               uint64_t now_ns)
{
    breaker_release(g, m->probe);
    m->probe = (struct probe){0};
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
    uint64_t limit = p->attempt_timeout_ns;
    uint64_t end = p->deadline_ns == DURATION_NONE
                       ? UINT64_MAX
                       : duration_add(m->begun_ns, p->deadline_ns);

    if (m->until_ns && m->until_ns < end) {
        end = m->until_ns;
    }
    if (end == UINT64_MAX) {
        return limit;
    }
    end = end > now_ns ? end - now_ns : 0;
    return end < limit ? end : limit;
}
