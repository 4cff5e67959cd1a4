/* Drives a breaker whose words are in the test's own memory. */
#ifndef TESTS_RULE_BREAKING_H
#define TESTS_RULE_BREAKING_H

#include "guarded.h"

#define ON "breaker=on\n"
#define SOON ON "breaker_consecutive=2\nbreaker_open_for=30s\n"

/* The PID namespace of all these processes. */
#define SPACE 4026531836u

UNUSED static bool
admit_as(struct guarded *s, uint32_t process, uint64_t now, struct probe *out)
{
    uint64_t until;

    s->g.self = (struct process){process, process, SPACE};
    return breaker_admit(&s->p->breaker, &s->g, now, out, &until);
}

UNUSED static bool
admit(struct guarded *s, uint64_t now, struct probe *out)
{
    return admit_as(s, 1, now, out);
}

UNUSED static void
report_attempt(struct guarded *s, bool failed, uint64_t took_ns,
               struct probe probe, uint64_t now)
{
    const struct breaker_rules *b = &s->p->breaker;
    bool slow = b->slow_after_ns != DURATION_NONE && took_ns > b->slow_after_ns;

    if (b->window.ns) {
        window_turn(&s->rings.breaker, b->window.ns, now, &s->total);
    }
    guarded_count(s, (failed ? ENDED_FAILED : 0) | (slow ? ENDED_SLOW : 0));
    breaker_report(b, &s->g, failed, took_ns, probe, now);
}

UNUSED static enum breaker_state
state_at(struct guarded *s, uint64_t now)
{
    uint64_t until;

    return breaker_look(&s->p->breaker, &s->breaker, now, &until);
}

UNUSED static void
failed(struct guarded *s, uint64_t now)
{
    report_attempt(s, true, 0, (struct probe){0}, now);
}

UNUSED static void
succeeded(struct guarded *s, uint64_t now)
{
    report_attempt(s, false, 0, (struct probe){0}, now);
}

UNUSED static void
open_by_failures(struct guarded *s, uint64_t now)
{
    for (int i = 0; i < 5000 && state_at(s, now) == STATE_CLOSED; i++) {
        failed(s, now);
    }
    assert_int_equal(state_at(s, now), STATE_OPEN);
}

UNUSED static void
half_open(struct guarded *s, uint64_t *now)
{
    open_by_failures(s, *now);
    *now += 30 * SECOND;
}

#endif
