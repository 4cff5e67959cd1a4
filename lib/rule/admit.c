#include "admit.h"

#include <string.h>

#include "hint.h"
#include "place.h"
#include "rate.h"

static bool
take_place(const struct policy *p, const struct guard *g, uint64_t now_ns,
           struct admission *out)
{
    struct place_ask ask = {
        .owner = g->owner,
        .waited = g->waited,
        .watched = g->watched,
        .beside = g->beside,
        .now_ns = now_ns,
        .limit_ns = p->attempt_timeout_ns < p->deadline_ns
                        ? p->attempt_timeout_ns
                        : p->deadline_ns,
        .is_gone = g->is_gone,
        .arg = g->arg,
    };

    if (!g->places) {
        return true;
    }
    out->place = place_take(&p->limit, (enum importance)p->importance,
                            g->places, g->slots, &ask, &out->word);
    out->in = out->place ? g->places : NULL;
    out->slots = g->slots;
    out->process = g->self.id;
    return out->place;
}

static enum bide_reason
ask_limits(const struct policy *p, struct guard *g, bool past_hint,
           uint64_t now_ns, struct admission *out, uint64_t *out_at_ns)
{
    if (g->hint && !past_hint && p->hint.mode != RETRY_AFTER_IGNORE &&
        hint_until(g->hint, now_ns, p->hint.max_ns)) {
        *out_at_ns = hint_turn(
            g->hint, g->rate ? rate_look(&p->rate, g->rate, now_ns).each_ns : 0,
            p->hint.spread_ns, now_ns, p->hint.max_ns);
        return BIDE_BY_HINT;
    }
    if (g->rate) {
        if (!rate_take(&p->rate, g->rate, g->txn,
                       (enum importance)p->importance, now_ns, out_at_ns)) {
            return BIDE_BY_RATE;
        }
        out->turn = g->rate;
    }
    *out_at_ns = DURATION_NONE;
    return take_place(p, g, now_ns, out) ? BIDE_BY_NONE : BIDE_BY_LIMIT;
}

enum bide_reason
admit_attempt(const struct policy *p, struct guard *g, bool past_hint,
              uint64_t now_ns, struct admission *out, uint64_t *out_at_ns)
{
    enum bide_reason reason;

    memset(out, 0, sizeof(*out));
    if (!breaker_admit(&p->breaker, g, now_ns, &out->probe, out_at_ns)) {
        return BIDE_BY_BREAKER;
    }
    reason =
        g ? ask_limits(p, g, past_hint, now_ns, out, out_at_ns) : BIDE_BY_NONE;
    if (reason != BIDE_BY_NONE) {
        admit_return(p, g, out, now_ns);
    }
    return reason;
}

bool
admit_hedge(const struct policy *p, struct guard *g, uint64_t now_ns,
            struct admission *out, struct budget_paid *out_paid)
{
    bool goes;
    uint64_t at;

    if (!budget_take(&p->budget, (enum importance)p->importance, g, PRICE_USUAL,
                     now_ns, out_paid)) {
        return false;
    }
    if (g) {
        g->beside = true;
    }
    goes = breaker_is_closed(&p->breaker, g) &&
           admit_attempt(p, g, false, now_ns, out, &at) == BIDE_BY_NONE;
    if (g) {
        g->beside = false;
    }
    if (goes && out->probe.place) { /* it has just opened */
        admit_return(p, g, out, now_ns);
        goes = false;
    }
    if (!goes) {
        budget_return(&p->budget, g, out_paid, now_ns, now_ns);
    }
    return goes;
}

uint64_t
admit_wait_ns(const struct policy *p, enum bide_reason reason)
{
    switch (reason) {
    case BIDE_BY_BREAKER:
        return p->breaker.wait_ns;
    case BIDE_BY_RATE:
        return p->rate.wait_ns;
    case BIDE_BY_LIMIT:
        return p->limit.wait_ns;
    default:
        return DURATION_NONE; /* hint_until() bounds it */
    }
}

void
admit_started(struct admission *a)
{
    a->turn = NULL;
}

struct place_words *
admit_ended(struct admission *a)
{
    struct place_words *in = a->in;

    a->in = NULL;
    return in && place_give(in, a->slots, a->place, a->word) ? in : NULL;
}

struct place_words *
admit_return(const struct policy *p, struct guard *g, struct admission *a,
             uint64_t now_ns)
{
    breaker_release(g, a->probe);
    a->probe = (struct probe){0};
    if (a->turn && p && g && g->rate == a->turn) {
        rate_return(&p->rate, g->rate, now_ns);
    }
    a->turn = NULL;
    return admit_ended(a);
}
