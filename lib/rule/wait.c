#include "wait.h"

#include <math.h>

/* Returns base^n by squaring.  Unlike pow(), whose last bit may differ between
 * C libraries, the result is always the same.  An overflow gives infinity,
 * which the caller cuts. */
static double
power_by_squaring(double base, uint32_t n)
{
    double result = 1;

    for (; n; n >>= 1) {
        if (n & 1) {
            result *= base;
        }
        base *= base;
    }
    return result;
}

static double
chain_ns(const struct chain *c, uint32_t retry)
{
    uint32_t i;

    for (i = 0; i + 1 < c->count && retry > c->steps[i].times; i++) {
        retry -= c->steps[i].times;
    }
    return c->count ? (double)c->steps[i].wait_ns : 0;
}

/* Returns the value of the formula, before cut and jitter.  It is never NaN,
 * because 0 is never multiplied by infinity. */
static double
formula_ns(const struct wait_rules *w, uint32_t retry, double initial)
{
    switch (w->form) {
    case WAIT_FIXED:
        return initial;
    case WAIT_LINEAR:
        return initial + (double)w->increment_ns * (retry - 1.0);
    case WAIT_POLYNOMIAL:
        return w->increment_ns == 0
                   ? initial
                   : initial +
                         (double)w->increment_ns *
                             (w->power == floor(w->power)
                                  ? power_by_squaring(retry, (uint32_t)w->power)
                                  : pow(retry, w->power));
    case WAIT_EXPONENTIAL:
        return initial > 0 ? initial * power_by_squaring(w->factor, retry - 1)
                           : 0;
    case WAIT_CHAIN:
        return chain_ns(&w->chain, retry);
    default:
        return 0;
    }
}

static double
apply_jitter(const struct jitter *j, double wait, double u)
{
    switch (j->form) {
    case JITTER_FULL:
        return wait * u;
    case JITTER_EQUAL:
        return wait / 2 + wait / 2 * u;
    case JITTER_SHARE:
        return wait * (1 - j->share + 2 * j->share * u);
    case JITTER_PLUS:
        return wait + (double)j->plus_ns * u;
    default:
        return wait;
    }
}

/* Rounds to whole ns within [low, high].  A value outside becomes exactly the
 * bound, and NaN becomes high. */
static uint64_t
round_within(double wait, uint64_t low, uint64_t high)
{
    if (!(wait < (double)high)) {
        return high > low ? high : low;
    }
    if (!(wait > (double)low)) {
        return low;
    }
    return (uint64_t)(wait + 0.5);
}

uint64_t
wait_own_ns(const struct wait_rules *w, uint32_t retry, uint64_t previous_ns,
            bool throttled, double u)
{
    double initial =
        (double)(throttled ? w->throttle_initial_ns : w->initial_ns);
    uint64_t high = throttled ? w->throttle_max_ns : w->max_ns;
    double wait, previous = fmax((double)previous_ns, initial);

    if (retry == 0) {
        return 0; /* a free retry */
    }
    if (w->form == WAIT_DECORRELATED) {
        return round_within(initial + u * (w->factor * previous - initial),
                            w->min_ns, high);
    }
    wait = fmin(formula_ns(w, retry, initial), (double)high);
    return round_within(apply_jitter(&w->jitter, wait, u), w->min_ns,
                        w->max_holds == MAX_OF_BASE ? DURATION_NONE : high);
}

bool
wait_follows_hint(const struct hint_rules *h, struct bide_outcome o)
{
    return o.hint != BIDE_HINT_NONE && h->mode != RETRY_AFTER_IGNORE;
}

bool
wait_with_hint(const struct policy *p, struct bide_outcome o, uint64_t own_ns,
               double v, uint64_t *out_ns)
{
    const struct hint_rules *h = &p->hint;
    uint64_t wait, limit;

    if (!wait_follows_hint(h, o)) {
        *out_ns = own_ns;
        return true;
    }
    if (o.hint == BIDE_HINT_NEVER ||
        (h->mode == RETRY_AFTER_HONOR && o.after_ns > h->max_ns)) {
        return false;
    }
    wait = duration_add(o.after_ns, (uint64_t)((double)h->spread_ns * v));
    if (h->mode == RETRY_AFTER_CLAMP && wait < own_ns) {
        wait = own_ns;
    }
    if (h->mode != RETRY_AFTER_HONOR) {
        limit = h->mode == RETRY_AFTER_CLAMP ? own_ns : 0;
        limit = duration_add(limit, h->max_ns);
        wait = wait < limit ? wait : limit;
    }
    *out_ns = wait > p->wait.min_ns ? wait : p->wait.min_ns;
    return true;
}
