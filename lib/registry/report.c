/* Reports changes to the hooks of the program.  What was reported last is
 * compared and kept under a lock; hooks run without any. */
#include "registry.h"

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

/* Sets what calls of `p` under these rules see now, but for the budget. */
static void
look_at_policy(const struct bide_policy *p, const struct rules *r,
               struct reported *out)
{
    int32_t mode = r->policy->breaker.mode;
    uint64_t state = atomic_load(&atomic_load(&p->cell)->breaker.state) >> 62;

    out->is_known = true;
    out->source = r->source;
    out->version = r->policy->version;
    out->breaker = mode == BREAKER_OPEN ? BIDE_BREAKER_OPEN
                   : mode == BREAKER_ON && state <= STATE_HALF_OPEN
                       ? (enum bide_breaker)state
                       : BIDE_BREAKER_CLOSED;
}

void
report_changes(struct bide_policy *p, int is_empty)
{
    const struct bide_hooks *h = &p->bide->hooks;
    struct reported was, now;

    (void)report_status(p->bide);
    pthread_mutex_lock(&p->lock);
    was = now = p->reported;
    if (p->rules) {
        look_at_policy(p, p->rules, &now);
    }
    now.is_empty = is_empty < 0 ? was.is_empty : is_empty;
    p->reported = now;
    pthread_mutex_unlock(&p->lock);
    if (was.is_known && h->on_policy &&
        (now.source != was.source || now.version != was.version)) {
        h->on_policy(h->arg, p, now.source, now.version);
    }
    if (was.is_known && h->on_breaker && now.breaker != was.breaker) {
        h->on_breaker(h->arg, p, now.breaker);
    }
    if (h->on_budget && now.is_empty != was.is_empty) {
        h->on_budget(h->arg, p, now.is_empty);
    }
}
