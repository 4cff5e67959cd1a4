#include "wait.h"

#include <math.h>

/* base^n by squaring: deterministic, unlike pow(), whose last bit may differ
 * from one C library to the next.  Overflows to infinity, which is cut later.
 */
static double
power_of(double base, uint32_t n)
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
polynomial(double n, double power)
{
    if (power == floor(power)) {
        return power_of(n, (uint32_t)power);
    }
    return pow(n, power);
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

/* The formula's value, before the cut and the jitter.  Never NaN: 0 times
 * infinity is kept out. */
static double
formula_ns(const struct wait_rules *w, uint32_t retry, double initial)
{
    switch (w->form) {
    case WAIT_FIXED:
        return initial;
    case WAIT_LINEAR:
        return initial + (double)w->increment_ns * (retry - 1.0);
    case WAIT_POLYNOMIAL:
        return w->increment_ns == 0 ? initial
                                    : initial + (double)w->increment_ns *
                                                    polynomial(retry, w->power);
    case WAIT_EXPONENTIAL:
        return initial > 0 ? initial * power_of(w->factor, retry - 1) : 0;
    case WAIT_CHAIN:
        return chain_ns(&w->chain, retry);
    default:
        return 0;
    }
}

static double
jittered(const struct jitter *j, double wait, double u)
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

static double
decorrelated_ns(const struct wait_rules *w, double initial,
                uint64_t previous_ns, double u)
{
    double previous = previous_ns ? (double)previous_ns : initial;

    return initial + u * (w->factor * previous - initial);
}

/* A double back to ns: what does not fit is the bound itself, exactly. */
static uint64_t
bounded(double wait, uint64_t low, uint64_t high)
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
    double wait;

    if (retry == 0) {
        return 0; /* a free one */
    }
    if (w->form == WAIT_DECORRELATED) {
        return bounded(decorrelated_ns(w, initial, previous_ns, u), w->min_ns,
                       high);
    }
    wait = fmin(formula_ns(w, retry, initial), (double)high);
    return bounded(jittered(&w->jitter, wait, u), w->min_ns, high);
}

bool
wait_with_hint(const struct hint_rules *h, struct bide_outcome o,
               uint64_t own_ns, double u, uint64_t *out_ns)
{
    uint64_t wait = o.after_ns;

    if (o.hint == BIDE_HINT_NONE || h->mode == RETRY_AFTER_IGNORE) {
        *out_ns = own_ns;
        return true;
    }
    if (o.hint == BIDE_HINT_NEVER) {
        return false;
    }
    if (h->mode == RETRY_AFTER_CLAMP) {
        uint64_t most = own_ns + h->max_ns; /* each below 2^62: no overflow */

        *out_ns = wait < own_ns ? own_ns : wait > most ? most : wait;
        return true;
    }
    if (wait > h->max_ns) {
        return false;
    }
    *out_ns = wait + (uint64_t)((double)h->spread_ns * u);
    return true;
}
