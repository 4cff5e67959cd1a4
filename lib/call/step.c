/* The functions of struct bide_call: setting it up, the loop of BIDE_TRY, and
 * steps for event loops. */
#include "call.h"

#include <stdlib.h>

#include "defer.h"
#include "wait.h"

/* ---- setting up ---- */

void
bide_call_init(struct bide_call *c)
{
    call_init(call_of(c));
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
        /* The block began the call again, which abandoned this one. */
        bide_call_abandon(t->call);
        k->result = (struct bide_result){.verdict = BIDE_CANCELLED,
                                         .reason = BIDE_BY_CANCELLED};
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
    free(k->work);
    k->work = NULL;
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

/* Returns what the caller of a call must do next. */
static enum bide_next
next_of(const struct call *k)
{
    return !call_is_live(k)           ? BIDE_DONE
           : k->state == CALL_ATTEMPT ? BIDE_RUNNING
                                      : BIDE_WAIT;
}

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

    return k->state == CALL_ATTEMPT ? call_end_attempt(k, o) : next_of(k);
}

enum bide_next
bide_step_ended_by(struct bide_call *c, const struct bide_outcome *o)
{
    return bide_step_ended(c, *o);
}

enum bide_next
bide_step_resume(struct bide_call *c)
{
    struct call *k = call_of(c);

    return k->state == CALL_WAITING ? start_if_go(k, wait_resume(k))
                                    : next_of(k);
}

enum bide_next
bide_step_wait(struct bide_call *c)
{
    struct call *k = call_of(c);

    return k->state == CALL_WAITING ? start_if_go(k, wait_sleep(k, true))
                                    : next_of(k);
}

uint64_t
bide_step_deadline_ns(const struct bide_call *c)
{
    const struct call *k = look_at(c);

    switch (k->state) {
    case CALL_WAITING:
        return k->machine.wake_ns < k->look_ns ? k->machine.wake_ns
                                               : k->look_ns;
    case CALL_ATTEMPT:
        return k->attempt.deadline_ns;
    default:
        return UINT64_MAX;
    }
}
