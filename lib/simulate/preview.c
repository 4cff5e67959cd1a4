#include "preview.h"

#include "base/duration.h"
#include "rule/machine.h"

/* A call whose attempts all fail at once, with the same draw for each wait. */
struct failing_call {
    struct machine m;
    double draw;
    uint64_t now_ns;
};

/* Makes the next attempt fail and skips the wait after it, which goes to *out.
 * Returns false if the call has ended. */
static bool
fail_and_wait(struct failing_call *c, const struct policy *p, uint64_t *out)
{
    static const struct bide_outcome failure = {.domain = BIDE_DOMAIN_ERRNO,
                                                .code = 1};

    machine_started(&c->m, c->now_ns);
    if (machine_ended(&c->m, p, NULL, failure, c->now_ns, c->draw, c->draw) !=
        MACHINE_WAIT) {
        return false;
    }
    *out = c->m.wake_ns - c->now_ns;
    c->now_ns = c->m.wake_ns;
    machine_due(&c->m, p, NULL, c->now_ns);
    return true;
}

int
preview(const struct policy *p, uint32_t rows, preview_visit_fn *visit,
        void *arg, enum bide_reason *out_ends)
{
    struct policy any = *p, unlimited; /* share pointers with *p: never freed */
    struct failing_call shortest = {.draw = 0}, longest = {.draw = 1};
    struct preview_row row = {.attempt = 1};
    int rc = 0;

    /* The waits do not depend on the outcome, so any outcome is retried. */
    any.retry_on = (struct outcome_set){.classes = OUTCOME_ANY};
    any.never_on = any.success_on = any.throttle_on = (struct outcome_set){0};
    any.paused = false;
    any.breaker.mode = BREAKER_OFF;
    /* The shortest waits decide which attempts are possible.  The longest waits
     * are computed without time limits, and then cut by them. */
    unlimited = any;
    unlimited.deadline_ns = unlimited.max_elapsed_ns = DURATION_NONE;
    machine_begin(&shortest.m, &any, NULL, 0);
    machine_begin(&longest.m, &unlimited, NULL, 0);
    *out_ends = BIDE_BY_NONE;
    while (rc == 0) {
        if (!fail_and_wait(&shortest, &any, &row.min_ns)) {
            *out_ends = shortest.m.reason;
            break;
        }
        if (row.attempt > rows) {
            break;
        }
        fail_and_wait(&longest, &unlimited, &row.max_ns);
        row.attempt++;
        row.total_min_ns = duration_add(row.total_min_ns, row.min_ns);
        row.total_max_ns = duration_add(
            smaller_ns(row.total_max_ns, p->max_elapsed_ns), row.max_ns);
        row.total_max_ns = smaller_ns(row.total_max_ns, p->deadline_ns);
        row.max_ns = smaller_ns(row.max_ns, p->deadline_ns);
        rc = visit(arg, &row);
    }
    return rc;
}
