#include "rule/machine.h"

#include <string.h>

#include "rule/wait.h"

static enum bide_end
end_of(const struct policy *p)
{
    switch (p->importance) {
    case POSTPONABLE:
        return BIDE_DEFERRED;
    case OPTIONAL:
        return BIDE_DROPPED;
    default:
        return BIDE_ABORTED;
    }
}

static enum machine_says
done(struct machine *m, enum bide_verdict verdict, enum bide_reason reason,
     enum bide_end end)
{
    m->verdict = verdict;
    m->reason = reason;
    m->end = end;
    m->state = MACHINE_DONE;
    return m->state;
}

static enum machine_says
exhausted(struct machine *m, const struct policy *p, enum bide_reason reason)
{
    return done(m, BIDE_EXHAUSTED, reason, end_of(p));
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
machine_begin(struct machine *m, const struct policy *p, uint64_t now_ns)
{
    memset(m, 0, sizeof *m);
    m->begun_ns = now_ns;
    if (p->paused) {
        done(m, BIDE_REFUSED, BIDE_BY_PAUSED, end_of(p));
        m->state = MACHINE_REFUSED;
    } else {
        m->state = MACHINE_GO;
    }
    return m->state;
}

void
machine_started(struct machine *m, uint64_t now_ns)
{
    m->attempt_ns = now_ns;
    m->attempts++;
    m->counted++;
    m->previous_ns = m->own_ns;
}

/* Adds without running past the end of time. */
static uint64_t
later(uint64_t time_ns, uint64_t by_ns)
{
    return by_ns > UINT64_MAX - time_ns ? UINT64_MAX : time_ns + by_ns;
}

/* The rules in their order (DESIGN.md, 6); the first that says stop is the
 * reason.  As of ended_ns, whatever the time is by now: so a decision that is
 * made again under the same rules comes out the same. */
static enum machine_says
decide(struct machine *m, const struct policy *p)
{
    bool throttled = outcome_in(&p->throttle_on, m->last);
    uint32_t free_retries = p->wait.free_retries;
    uint32_t retry = m->counted > free_retries ? m->counted - free_retries : 0;
    uint64_t wait;

    if (p->attempts != ATTEMPTS_UNLIMITED && m->counted >= p->attempts) {
        return exhausted(m, p, BIDE_BY_ATTEMPTS);
    }
    if (m->ended_ns - m->begun_ns >= p->max_elapsed_ns) {
        return exhausted(m, p, BIDE_BY_MAX_ELAPSED);
    }
    m->own_ns = wait_own_ns(&p->wait, retry, m->previous_ns, throttled, m->u);
    if (!wait_with_hint(&p->hint, m->last, m->own_ns, m->v, &wait)) {
        return exhausted(m, p, BIDE_BY_RETRY_AFTER);
    }
    m->wake_ns = later(m->ended_ns, wait);
    if (p->deadline_ns != DURATION_NONE &&
        m->wake_ns - m->begun_ns >= p->deadline_ns) {
        return exhausted(m, p, BIDE_BY_DEADLINE);
    }
    m->state = MACHINE_WAIT;
    return m->state;
}

enum machine_says
machine_ended(struct machine *m, const struct policy *p, struct bide_outcome o,
              uint64_t now_ns, double u, double v)
{
    m->last = o;
    m->ended_ns = now_ns;
    m->u = u;
    m->v = v;
    switch (machine_classify(p, o)) {
    case KIND_SUCCESS:
        return done(m, BIDE_SUCCEEDED, BIDE_BY_NONE, BIDE_END_NONE);
    case KIND_REJECT:
        return done(m, BIDE_REJECTED, BIDE_BY_REJECTED, BIDE_END_NONE);
    default:
        break;
    }
    if (p->reset_after_ns != DURATION_NONE &&
        now_ns - m->attempt_ns >= p->reset_after_ns) {
        m->counted = 1;
        m->previous_ns = 0;
    }
    return decide(m, p);
}

enum machine_says
machine_changed(struct machine *m, const struct policy *p)
{
    if (m->state != MACHINE_WAIT) {
        return m->state;
    }
    return decide(m, p);
}

enum machine_says
machine_due(struct machine *m, uint64_t now_ns)
{
    if (m->state == MACHINE_WAIT && now_ns >= m->wake_ns) {
        m->state = MACHINE_GO;
    }
    return m->state;
}

enum machine_says
machine_cancel(struct machine *m)
{
    return done(m, BIDE_CANCELLED, BIDE_BY_CANCELLED, BIDE_END_NONE);
}

uint64_t
machine_limit_ns(const struct machine *m, const struct policy *p,
                 uint64_t now_ns)
{
    uint64_t limit = p->attempt_timeout_ns;
    uint64_t gone = now_ns - m->begun_ns;
    uint64_t left;

    if (p->deadline_ns == DURATION_NONE) {
        return limit;
    }
    left = p->deadline_ns > gone ? p->deadline_ns - gone : 0;
    return left < limit ? left : limit;
}
