#include "preview.h"

#include "rule/machine.h"

/* Plays a call whose attempts all fail at once with outcome `o`, using the same
 * draw for each wait.  Stores at most `room` waits and returns their number. */
static size_t
play_failures(const struct policy *p, struct bide_outcome o, double u,
              uint64_t *waits, size_t room, enum bide_reason *out_ends)
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
smaller_of(uint64_t value, uint64_t bound)
{
    return value < bound ? value : bound;
}

size_t
preview(const struct policy *p, struct preview_row *rows, size_t room,
        enum bide_reason *out_ends)
{
    static const struct bide_outcome failure = {.domain = BIDE_DOMAIN_ERRNO,
                                                .code = 1};
    struct policy any = *p; /* shares its pointers with *p: never freed */
    uint64_t shortest[PREVIEW_MAX], longest[PREVIEW_MAX];
    uint64_t low = 0, high = 0;
    enum bide_reason ignored;
    size_t n;

    /* The waits do not depend on the outcome, so any outcome is retried. */
    any.retry_on = (struct outcome_set){.classes = OUTCOME_ANY};
    any.never_on = any.success_on = any.throttle_on = (struct outcome_set){0};
    any.paused = false;
    any.breaker.mode = BREAKER_OFF;
    room = room > PREVIEW_MAX ? PREVIEW_MAX : room;
    n = play_failures(&any, failure, 0, shortest, room, out_ends);
    /* The shortest waits decide which attempts are possible.  The longest waits
     * are computed without time limits, and then cut by them. */
    any.deadline_ns = any.max_elapsed_ns = DURATION_NONE;
    play_failures(&any, failure, 1, longest, n, &ignored);
    for (size_t i = 0; i < n; i++) {
        low += shortest[i];
        high = smaller_of(smaller_of(high, p->max_elapsed_ns) + longest[i],
                          p->deadline_ns);
        rows[i] = (struct preview_row){
            .attempt = (uint32_t)i + 2,
            .min_ns = shortest[i],
            .max_ns = smaller_of(longest[i], p->deadline_ns),
            .total_min_ns = low,
            .total_max_ns = high,
        };
    }
    return n;
}
