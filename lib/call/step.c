/* The drivers where the caller runs the attempt: the loop of BIDE_TRY, and
 * steps for event loops. */
#include "call.h"

/* ---- BIDE_TRY ---- */

void
bide_call_begin(struct bide_call *c, struct bide_policy *p)
{
    call_begin(c, p, NULL);
}

int
bide_call_next(struct bide_call *c)
{
    struct call *k = call_of(c);

    if (k->state == CALL_ATTEMPT) { /* the block has set no outcome */
        call_end_attempt(c, bide_app("no_outcome"));
    }
    if (k->state == CALL_WAITING) {
        call_wait(c);
    }
    return k->state == CALL_READY && call_start_attempt(c);
}

void
bide_call_outcome(struct bide_call *c, struct bide_outcome o)
{
    struct call *k = call_of(c);

    if (k->state != CALL_ATTEMPT) {
        return; /* a second outcome of one attempt: the first one counts */
    }
    call_end_attempt(c, o);
}

void
bide_call_abandon(struct bide_call *c)
{
    if (call_of(c)->state != CALL_IDLE) {
        call_stop(c);
    }
}

void
bide_call_cancel(struct bide_call *c)
{
    struct call *k = call_of(c);
    struct bide_policy *p = k->policy;

    atomic_store_explicit(&k->cancelled, 1, memory_order_release);
    /* Waiting calls of a policy sleep on one word, so all of them wake.  The
     * others decide again, under the same rules and draws, and sleep on. */
    cell_announce(atomic_load(&p->cell));
}

/* ---- steps ---- */

static enum bide_next
start_if_go(struct bide_call *c, enum bide_next next)
{
    if (next == BIDE_GO && !call_start_attempt(c)) {
        return BIDE_DONE;
    }
    return next;
}

enum bide_next
bide_step_begin(struct bide_call *c, struct bide_policy *p)
{
    return start_if_go(c, call_begin(c, p, NULL));
}

enum bide_next
bide_step_ended(struct bide_call *c, struct bide_outcome o)
{
    struct call *k = call_of(c);

    if (k->state == CALL_ATTEMPT) {
        return call_end_attempt(c, o);
    }
    return k->state == CALL_WAITING ? BIDE_WAIT : BIDE_DONE;
}

enum bide_next
bide_step_resume(struct bide_call *c)
{
    struct call *k = call_of(c);

    switch (k->state) {
    case CALL_WAITING:
        return start_if_go(c, call_resume(c));
    case CALL_ATTEMPT:
        return BIDE_GO; /* the attempt is in progress */
    default:
        return BIDE_DONE;
    }
}

uint64_t
bide_step_deadline_ns(const struct bide_call *c)
{
    const struct call *k = (const struct call *)(const void *)c->opaque;

    switch (k->state) {
    case CALL_WAITING:
        return k->machine.wake_ns;
    case CALL_ATTEMPT:
        return c->attempt.deadline_ns;
    default:
        return 0;
    }
}
