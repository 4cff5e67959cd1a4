#include "preview.h"

#include "rule/machine.h"

/* A call that fails at once, each time, with the same draw.  `o` is an outcome
 * that the policy retries, as far as there is one. */
static size_t
run(const struct policy *p, struct bide_outcome o, double u, uint64_t *waits,
    size_t room, enum bide_reason *out_ends)
{
    struct machine m;
    uint64_t now = 0;
    size_t n = 0;

    *out_ends = BIDE_BY_NONE;
    if (machine_begin(&m, p, NULL, now) != MACHINE_GO) {
        *out_ends = m.reason;
        return 0;
    }
    for (;;) {
        machine_started(&m, now);
        if (machine_ended(&m, p, NULL, o, now, u, u) != MACHINE_WAIT) {
            *out_ends = m.reason;
            return n;
        }
        if (n == room) {
            return n;
        }
        waits[n++] = m.wake_ns - now;
        now = m.wake_ns;
        machine_due(&m, p, NULL, now);
    }
}

static uint64_t
at_most(uint64_t value, uint64_t bound)
{
    return value < bound ? value : bound;
}

size_t
preview(const struct policy *p, struct preview_row *rows, size_t room,
        enum bide_reason *out_ends)
{
    static const struct bide_outcome failure = {.domain = BIDE_DOMAIN_ERRNO,
                                                .code = 1};
    struct policy any = *p; /* shares what it points to: not freed */
    uint64_t shortest[PREVIEW_MAX], longest[PREVIEW_MAX];
    uint64_t low = 0, high = 0;
    enum bide_reason ignored;
    size_t n;

    /* Whatever the policy retries: the waits do not depend on which. */
    any.retry_on = (struct outcome_set){.classes = OUTCOME_ANY};
    any.never_on = any.success_on = any.throttle_on = (struct outcome_set){0};
    any.paused = false;
    any.breaker.mode = BREAKER_OFF;
    room = room > PREVIEW_MAX ? PREVIEW_MAX : room;
    n = run(&any, failure, 0, shortest, room, out_ends);
    /* The shortest waits tell which attempts are possible.  How long each may
     * be is asked without the limits on time, and then cut by them. */
    any.deadline_ns = any.max_elapsed_ns = DURATION_NONE;
    run(&any, failure, 1, longest, n, &ignored);
    for (size_t i = 0; i < n; i++) {
        low += shortest[i];
        high = at_most(at_most(high, p->max_elapsed_ns) + longest[i],
                       p->deadline_ns);
        rows[i] = (struct preview_row){
            .attempt = (uint32_t)i + 2,
            .min_ns = shortest[i],
            .max_ns = at_most(longest[i], p->deadline_ns),
            .total_min_ns = low,
            .total_max_ns = high,
        };
    }
    return n;
}
