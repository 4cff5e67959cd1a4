/* The functions of struct bide_call: setting it up, the loop of BIDE_TRY, and
 * steps for event loops. */
#include "call.h"

#include <limits.h>
#include <stdlib.h>

#include "defer.h"
#include "hedge.h"
#include "wait.h"

/* ---- setting up ---- */

void
bide_call_init(struct bide_call *c)
{
    struct call *k = call_of(c);

    call_init(k);
    k->attempt = (struct bide_attempt){.timeout_ns = UINT64_MAX,
                                       .deadline_ns = UINT64_MAX};
}

size_t
bide_call_size(void)
{
    return sizeof(struct bide_call);
}

size_t
bide_call_alignment(void)
{
    return _Alignof(struct bide_call);
}

int
bide_call_new(struct bide_call **out)
{
    struct bide_call *c = out ? malloc(sizeof(*c)) : NULL;

    if (!c) {
        return out ? BIDE_ENOMEM : BIDE_EINVAL;
    }
    bide_call_init(c);
    *out = c;
    return 0;
}

void
bide_call_free(struct bide_call *c)
{
    if (c) {
        bide_call_abandon(c);
        free(c);
    }
}

void
bide_call_set_deadline_ns(struct bide_call *c, uint64_t deadline_ns)
{
    /* 0 is none in memory that was only zeroed; 1 is past as well. */
    call_of(c)->deadline_ns = deadline_ns == UINT64_MAX ? 0
                              : deadline_ns             ? deadline_ns
                                                        : 1;
}

void
bide_call_set_data(struct bide_call *c, void *data)
{
    call_of(c)->data = data;
}

void
bide_call_set_hedges(struct bide_call *c, struct bide_hedges *memory)
{
    call_of(c)->hedges = (struct hedges *)memory;
}

int
bide_call_set_work(struct bide_call *c, const struct bide_work *work)
{
    struct bide_work *copy = NULL;
    int rc = work ? defer_copy_work(work, &copy) : 0;

    if (rc == 0) {
        free(call_of(c)->work);
        call_of(c)->work = copy;
    }
    return rc;
}

/* ---- looking ---- */

static const struct call *
look_at(const struct bide_call *c)
{
    return (const struct call *)(const void *)c;
}

void *
bide_call_data(const struct bide_call *c)
{
    return look_at(c)->data;
}

struct bide_policy *
bide_call_policy(const struct bide_call *c)
{
    return atomic_load(&look_at(c)->policy);
}

const struct bide_attempt *
bide_call_attempt(const struct bide_call *c)
{
    return &look_at(c)->attempt;
}

const struct bide_result *
bide_call_result(const struct bide_call *c)
{
    return &look_at(c)->result;
}

/* ---- BIDE_TRY ---- */

struct bide_try
bide_try_begin(struct bide_call *c, struct bide_policy *p)
{
    call_begin(call_of(c), p, NULL);
    return (struct bide_try){c, call_of(c)->serial};
}

int
bide_try_next(struct bide_try *t)
{
    struct call *k = call_of(t->call);

    if (k->serial != t->serial) {
        call_lost(k);
        t->call = NULL;
        return 0;
    }
    if (k->state == CALL_ATTEMPT) { /* the block has set no outcome */
        call_end_attempt(k, bide_app("no_outcome"));
    }
    if (k->state == CALL_WAITING) {
        wait_sleep(k, false);
    }
    if (k->state == CALL_READY && call_start_attempt(k)) {
        return 1;
    }
    t->call = NULL;
    return 0;
}

void
bide_try_end(struct bide_try *t)
{
    struct call *k = call_of(t->call);

    if (call_is_live(k) && k->serial == t->serial) {
        call_stop(k);
    }
}

void
bide_call_outcome(struct bide_call *c, struct bide_outcome o)
{
    struct call *k = call_of(c);

    if (k->state == CALL_ATTEMPT) { /* else it has its outcome: the first */
        call_end_attempt(k, o);
    }
}

void
bide_call_abandon(struct bide_call *c)
{
    struct call *k = call_of(c);

    if (call_is_live(k)) {
        call_stop(k);
    }
    (void)bide_call_set_work(c, NULL); /* of a call that never began */
}

void
bide_call_cancel(struct bide_call *c)
{
    struct call *k = call_of(c);
    struct bide_policy *p;

    atomic_store(&k->cancelled, 1);
    p = atomic_load(&k->policy);
    if (p) {
        /* Waiting calls of a policy sleep on one word, so all of them wake.
         * The others decide again, under the same rules and draws, and sleep
         * on. */
        cell_announce(atomic_load(&p->cell));
        watch_ring(atomic_load(&k->watch));
    }
}

int
bide_call_is_cancelled(const struct bide_call *c)
{
    return atomic_load(&look_at(c)->cancelled) != 0;
}

/* ---- steps ---- */

static enum bide_next
start_if_go(struct call *k, enum bide_next next)
{
    if (next == BIDE_GO && !call_start_attempt(k)) {
        return BIDE_DONE;
    }
    return next;
}

enum bide_next
bide_step_begin(struct bide_call *c, struct bide_policy *p,
                struct bide_watch *w)
{
    return start_if_go(call_of(c), call_begin(call_of(c), p, w));
}

enum bide_next
bide_step_ended(struct bide_call *c, struct bide_outcome o)
{
    struct call *k = call_of(c);

    return k->state == CALL_ATTEMPT ? call_end_attempt(k, o) : call_next(k);
}

enum bide_next
bide_step_ended_by(struct bide_call *c, const struct bide_outcome *o)
{
    return bide_step_ended(c, *o);
}

enum bide_next
bide_step_ended_number(struct bide_call *c, uint32_t number,
                       const struct bide_outcome *o)
{
    struct call *k = call_of(c);

    if (k->state == CALL_ATTEMPT && k->exact && k->machine.hedges) {
        machine_pick(&k->machine, number);
        hedge_describe(k);
    }
    return k->state == CALL_ATTEMPT && k->attempt.number == number
               ? call_end_attempt(k, *o)
               : call_next(k);
}

void
bide_step_set_watch(struct bide_call *c, struct bide_watch *w)
{
    struct call *k = call_of(c);

    if ((k->state == CALL_ATTEMPT || k->state == CALL_WAITING) &&
        !atomic_load(&k->watch) && w) {
        watch_enter(w);
        atomic_store(&k->watch, w);
        if (k->state == CALL_WAITING) {
            watch_join(w, k->policy, k->generation);
        }
    }
}

enum bide_next
bide_step_resume(struct bide_call *c)
{
    struct call *k = call_of(c);

    if (k->state == CALL_ATTEMPT && k->exact && k->machine.hedges) {
        return hedge_ask(k);
    }
    return k->state == CALL_WAITING ? start_if_go(k, wait_resume(k))
                                    : call_next(k);
}

enum bide_next
bide_step_wait(struct bide_call *c)
{
    struct call *k = call_of(c);

    return k->state == CALL_WAITING ? start_if_go(k, wait_sleep(k, true))
                                    : call_next(k);
}

uint64_t
bide_step_deadline_ns(const struct bide_call *c)
{
    const struct call *k = look_at(c);

    switch (k->state) {
    case CALL_WAITING:
        return call_is_cancelled(k) ? 0 : wait_until_ns(k);
    case CALL_ATTEMPT:
        return k->exact && k->machine.hedges ? hedge_deadline_ns(k)
                                             : k->attempt.deadline_ns;
    default:
        return UINT64_MAX;
    }
}

uint64_t
bide_step_wake_ns(const struct bide_call *c)
{
    const struct call *k = look_at(c);

    return k->state == CALL_WAITING ? k->machine.wake_ns : UINT64_MAX;
}

/* ---- time ---- */

uint64_t
bide_now_ns(const struct bide *b)
{
    return registry_now_ns(b);
}

/* Returns the time until `until_ns` as poll(2) takes it. */
static int
poll_ms(const struct bide *b, uint64_t until_ns)
{
    uint64_t now_ns, left_ms;

    if (until_ns == UINT64_MAX) {
        return -1;
    }
    now_ns = b ? registry_now_ns(b) : UINT64_MAX; /* no call in progress */
    if (now_ns >= until_ns) {
        return 0;
    }
    left_ms = (until_ns - now_ns - 1) / 1000000 + 1;
    return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

int
bide_attempt_poll_ms(const struct bide_attempt *attempt)
{
    return poll_ms(attempt->bide, attempt->deadline_ns);
}

int
bide_step_poll_ms(const struct bide_call *c)
{
    const struct bide_policy *p = bide_call_policy(c);

    return poll_ms(p ? p->bide : NULL, bide_step_deadline_ns(c));
}
