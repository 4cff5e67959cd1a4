#include "load.h"

#include <string.h>

#include "base/lock.h"
#include "rule/breaker.h"

/* The texts of a policy and its parents, kept until the policy is compiled.
 */
struct texts {
    const struct snapshot *snapshot;
    uint64_t realtime_ns, until_ns;
    uint32_t version; /* of the last one */
    struct policy_list list;
};

static int
fetch_text(struct texts *t, const char *name, const struct policy_text **out)
{
    struct policy_text *text = NULL;
    struct record r;
    int rc = reader_in_force(t->snapshot, name, t->realtime_ns, &r);

    if (rc) {
        return rc;
    }
    rc = r.deleted ? BIDE_ENOVERSION : record_compose(&r, &text);
    rc = rc ? rc : policy_list_add(&t->list, text);
    if (rc == 0) {
        *out = text;
        t->version = r.version;
    }
    if (rc == 0 && r.until_ns && (!t->until_ns || r.until_ns < t->until_ns)) {
        t->until_ns = r.until_ns;
    }
    record_free(&r);
    return rc;
}

static int
find_parent(void *arg, const char *name, const struct policy_text **out)
{
    int rc = fetch_text(arg, name, out);

    /* A parent cannot be deleted while it has children. */
    return load_is_missing(rc) ? BIDE_EDAMAGED : rc;
}

int
load_policy(const struct snapshot *s, const char *name, uint64_t realtime_ns,
            struct loaded *out)
{
    struct texts t = {.snapshot = s, .realtime_ns = realtime_ns};
    const struct policy_text *text;
    struct policy *p = NULL;
    int rc = fetch_text(&t, name, &text);
    uint32_t version = t.version;

    if (rc == 0) {
        rc = policy_compile(text, find_parent, &t, name, &p, NULL);
        rc = rc == BIDE_EINPUT ? BIDE_EDAMAGED : rc;
    }
    if (rc == 0) {
        p->version = version;
        *out = (struct loaded){.policy = p, .until_ns = t.until_ns};
        out->gate = load_gate(p, &out->limit_ms);
        out->gate |= t.until_ns ? GATE_ENDS : 0;
    }
    policy_list_free(&t.list);
    return rc;
}

int
load_rules(const struct snapshot *s, const char *name, struct loaded *out)
{
    uint64_t now = clock_realtime_ns();
    bool asks;
    int rc;

    policy_free(out->policy); /* of a reading that is repeated */
    *out = (struct loaded){0};
    rc = load_policy(s, name, now, out);
    out->registered = rc == 0;
    if (load_is_missing(rc)) {
        out->default_rc = load_policy(s, "default", now, out);
        asks = out->gate & ~(uint32_t)GATE_ENDS || out->limit_ms ||
               (out->default_rc && !load_is_missing(out->default_rc));
        out->gate =
            GATE_MISSING | (out->gate & GATE_ENDS) | (asks ? GATE_UNKNOWN : 0);
        out->limit_ms = 0;
    }
    return rc;
}

void
load_publish_guard(struct cell *c, const struct policy *p)
{
    uint64_t slow = p->breaker.slow_after_ns;

    store_relaxed(&c->breaker.slow_after_ns, slow == DURATION_NONE ? 0 : slow);
    store_relaxed(&c->breaker.next_turn, 0);
    store_relaxed(&c->budget.next_turn, 0);
}

/* ---- budget and breaker ---- */

static uint64_t
read_counter(void *arg, enum counter which)
{
    return ((const struct cell_reading *)arg)->counter[which];
}

/* Implements guard.tally. */
static void
tally_breaker(void *arg, struct tally *out)
{
    const struct load_guard *g = arg;
    struct cell_reading reading;

    cell_read(g->live, g->index, &reading);
    tally_of_breaker(read_counter, &reading, out);
}

/* Implements guard.budget_tally. */
static void
tally_budget(void *arg, struct tally *out)
{
    const struct load_guard *g = arg;
    struct cell_reading reading;

    cell_read(g->live, g->index, &reading);
    tally_of_budget(read_counter, &reading, out);
}

int
load_guard(struct live *l, uint32_t index, struct guard_rings *copy,
           struct load_guard *out)
{
    struct cell *c = cell_at(l, index);

    if (!c) {
        return BIDE_ENOMEM;
    }
    if (copy) {
        cell_guard_read(l, index, copy);
    }
    *out = (struct load_guard){
        .guard =
            {
                .breaker = &c->breaker,
                .budget = &c->budget,
                .rings = copy ? copy : cell_guard(l, index),
                .tally = tally_breaker,
                .budget_tally = tally_budget,
                .arg = out,
                .realtime_ns = clock_realtime_ns(),
            },
        .live = l,
        .index = index,
        .cell = c,
    };
    out->guard.budget_rings = out->guard.rings;
    return 0;
}

void
load_follow_breaker(struct live *l, uint32_t index, const struct policy *p)
{
    const struct cell *c = cell_at(l, index);
    struct load_guard g;

    if (c &&
        ((p && p->breaker.mode == BREAKER_ON) ||
         atomic_load(&c->breaker.use)) &&
        load_guard(l, index, NULL, &g) == 0) {
        breaker_follow(p ? &p->breaker : NULL, &g.guard, clock_monotonic_ns());
    }
}

/* ---- gates ---- */

void
load_drop_lost_gate(struct reader *r, struct cell *c, uint64_t txn)
{
    uint64_t seen = atomic_load(&c->gate);
    struct pages_stamp now;

    if (GATE_TXN(seen) > txn && r && reader_look(r, &now) == 0 &&
        GATE_TXN(seen) > now.txn) {
        cell_discard_gate(c, seen);
    }
}

void
load_publish(struct reader *r, struct live *l, uint32_t index, uint64_t txn,
             uint32_t gate, uint32_t limit_ms, const struct policy *p)
{
    struct cell *c = cell_at(l, index);

    if (!c) {
        return;
    }
    load_drop_lost_gate(r, c, txn);
    if ((atomic_load(&c->gate) ^ gate) & GATE_MOVED) {
        return; /* it has another name now */
    }
    if (p) {
        load_publish_guard(c, p);
    }
    cell_count_for(l, index, txn, gate, p ? p->version : 0);
    cell_set_gate(c, txn, gate, limit_ms);
}

uint32_t
load_gate(const struct policy *p, uint32_t *out_limit_ms)
{
    uint64_t limit = p->attempt_timeout_ns < p->deadline_ns
                         ? p->attempt_timeout_ns
                         : p->deadline_ns;
    uint32_t bits = p->paused ? GATE_PAUSED : 0;

    if (p->breaker.mode == BREAKER_ON) {
        bits |= GATE_BREAKER_ON | (p->breaker.window.calls ? GATE_EACH : 0);
    } else if (p->breaker.mode == BREAKER_OPEN) {
        bits |= GATE_BREAKER_OPEN;
    }
    bits |= strcmp(p->budget.group, "none") ? GATE_BUDGET_ON : 0;
    if (strcmp(p->limit.group, "none") || strcmp(p->rate.group, "none") ||
        p->hint.holds == HINT_HOLDS_ALL || policy_hedges(p)) {
        bits |= GATE_ADMIT;
    }
    if (outcome_set_has_success(&p->retry_on) ||
        outcome_set_has_success(&p->never_on) ||
        (p->breaker.mode == BREAKER_ON &&
         outcome_set_has_success(&p->breaker.ignore))) {
        bits |= GATE_CLASSIFY;
    }
    *out_limit_ms = 0;
    if (limit && limit % 1000000 == 0 && limit / 1000000 <= UINT32_MAX) {
        *out_limit_ms = (uint32_t)(limit / 1000000);
    } else if (limit != DURATION_NONE) {
        bits |= GATE_CLASSIFY;
    }
    return bits;
}
