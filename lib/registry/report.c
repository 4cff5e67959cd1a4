/* Reports changes to the hooks of the program.  What was reported last is
 * compared and kept under a lock; hooks run without any. */
#include "registry.h"

#include "base/lock.h"
#include "rule/breaker.h"

int
report_status(struct bide *b)
{
    int cancel = lock_take(&b->lock), before = b->reported_status;
    int now = atomic_load(&b->status);

    now = now ? now : atomic_load(&b->read_status);
    b->reported_status = now;
    lock_release(&b->lock, cancel);
    if (now != before && b->hooks.on_status) {
        b->hooks.on_status(b->hooks.arg, b, now);
    }
    return now;
}

/* Returns the state of the breaker for calls of `p`, which has rules. */
static enum bide_breaker
breaker_of(const struct bide_policy *p)
{
    int32_t mode = p->rules->policy->breaker.mode;
    uint64_t state = atomic_load(&atomic_load(&p->cell)->breaker.state) >> 62;

    return mode == BREAKER_OPEN ? BIDE_BREAKER_OPEN
           : mode == BREAKER_ON && state <= STATE_HALF_OPEN
               ? (enum bide_breaker)state
               : BIDE_BREAKER_CLOSED;
}

void
report_changes(struct bide_policy *p)
{
    const struct bide_hooks *h = &p->bide->hooks;
    struct reported before, *now = &p->reported, copy;

    (void)report_status(p->bide);
    pthread_mutex_lock(&p->lock);
    before = *now;
    if (p->rules) {
        now->is_known = true;
        now->source = p->rules->source;
        now->version = p->rules->policy->version;
        now->breaker = breaker_of(p);
    }
    copy = *now;
    pthread_mutex_unlock(&p->lock);
    if (before.is_known && h->on_policy &&
        (copy.source != before.source || copy.version != before.version)) {
        h->on_policy(h->arg, p, copy.source, copy.version);
    }
    if (before.is_known && h->on_breaker && copy.breaker != before.breaker) {
        h->on_breaker(h->arg, p, copy.breaker);
    }
}

void
report_budget(struct bide_policy *p, bool is_empty)
{
    const struct bide_hooks *h = &p->bide->hooks;
    bool before;

    pthread_mutex_lock(&p->lock);
    before = p->reported.is_empty;
    p->reported.is_empty = is_empty;
    pthread_mutex_unlock(&p->lock);
    if (is_empty != before && h->on_budget) {
        h->on_budget(h->arg, p, is_empty);
    }
}
