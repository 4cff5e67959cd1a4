/* Calls of an event loop, for the adapters and for loops without one.  The loop
 * calls bide_loop_turn when bide_watch_fd(l->watch) is readable, and after
 * bide_loop_poll_ms.  All functions run in its thread; bide_call_cancel may
 * be used from others. */
#ifndef BIDE_LOOP_H
#define BIDE_LOOP_H

#include <bide.h>

#include <errno.h>
#include <string.h>

struct bide_loop_call;

/* The calls in progress. */
struct bide_loop {
    struct bide *bide;
    struct bide_watch *watch; /* NULL: closed */
    size_t calls;             /* in progress */
    uint64_t due_ns; /* when bide_loop_turn is needed; never too late */
    void (*rearm)(struct bide_loop *l); /* of an adapter: the above changed */
    struct bide_loop_call *first, *cursor;
    int is_turning;
};

/* A call.  Zero it, and set the functions; `call` can have a deadline, data or
 * work.  It must stay in its place until `done`. */
struct bide_loop_call {
    /* Starts an attempt, which reports its end to bide_loop_ended once. */
    void (*attempt)(struct bide_loop_call *c, const struct bide_attempt *a);
    /* Stops the attempt, which then reports nothing: its time is over, or the
     * call is cancelled. */
    void (*stop)(struct bide_loop_call *c);
    /* The call has ended, and may be freed or started again.  Runs also in
     * bide_loop_start, if the call was refused. */
    void (*done)(struct bide_loop_call *c, const struct bide_result *result);
    void *arg;
    int keeps_time; /* attempts end at their deadline without `stop` */
    struct bide_call call;
    int is_running; /* an attempt is in progress */
    struct bide_loop *loop;
    struct bide_loop_call *next, *previous;
};

static inline void
bide_loop_changed_(struct bide_loop *l, uint64_t due_ns)
{
    if (due_ns < l->due_ns) {
        l->due_ns = due_ns;
    }
    if (l->rearm && l->watch && !l->is_turning) {
        l->rearm(l);
    }
}

/* Does the next step of a call, which may free it. */
static inline void
bide_loop_follow_(struct bide_loop_call *c, enum bide_next next)
{
    struct bide_loop *l = c->loop;

    c->is_running = next == BIDE_GO;
    if (next != BIDE_DONE) {
        bide_loop_changed_(l, next == BIDE_GO && c->keeps_time
                                  ? UINT64_MAX
                                  : bide_step_deadline_ns(&c->call));
        if (next == BIDE_GO) {
            c->attempt(c, bide_call_attempt(&c->call));
        }
        return;
    }
    *(c->previous ? &c->previous->next : &l->first) = c->next;
    if (c->next) {
        c->next->previous = c->previous;
    }
    if (l->cursor == c) {
        l->cursor = c->next;
    }
    l->calls--;
    bide_loop_changed_(l, UINT64_MAX);
    c->done(c, bide_call_result(&c->call));
}

/* Sets up the calls of a loop; the caller frees it with bide_loop_close before
 * it closes the registry.  Fails as bide_watch_new. */
static inline int
bide_loop_init(struct bide_loop *l, struct bide *b)
{
    memset(l, 0, sizeof(*l));
    l->bide = b;
    l->due_ns = UINT64_MAX;
    return bide_watch_new(b, &l->watch);
}

/* Begins a call that is not in progress.  Fails with BIDE_EINVAL after
 * bide_loop_close. */
static inline int
bide_loop_start(struct bide_loop *l, struct bide_loop_call *c,
                struct bide_policy *p)
{
    if (!l->watch) {
        return BIDE_EINVAL;
    }
    c->loop = l;
    c->previous = NULL;
    c->next = l->first;
    if (c->next) {
        c->next->previous = c;
    }
    l->first = c;
    l->calls++;
    bide_loop_follow_(c, bide_step_begin(&c->call, p, l->watch));
    return 0;
}

/* Reports the end of the attempt in progress. */
static inline void
bide_loop_ended(struct bide_loop_call *c, struct bide_outcome o)
{
    bide_loop_follow_(c, bide_step_ended(&c->call, o));
}

/* Ends a call as cancelled, and its attempt with it. */
static inline void
bide_loop_stop(struct bide_loop_call *c)
{
    if (c->is_running) {
        c->stop(c);
    }
    bide_call_abandon(&c->call);
    bide_loop_follow_(c, BIDE_DONE);
}

/* Looks at a call in a turn of its loop.  `is_rung`: whatever its time. */
static inline void
bide_loop_look_(struct bide_loop_call *c, uint64_t now_ns, int is_rung)
{
    int is_cancelled = bide_call_is_cancelled(&c->call);

    if (!c->is_running &&
        (is_rung || bide_step_deadline_ns(&c->call) <= now_ns)) {
        bide_loop_follow_(c, bide_step_resume(&c->call));
    } else if (c->is_running &&
               (is_cancelled || (!c->keeps_time &&
                                 bide_step_deadline_ns(&c->call) <= now_ns))) {
        c->stop(c);
        bide_loop_ended(c, bide_errno(is_cancelled ? ECANCELED : ETIMEDOUT));
    } else if (!c->is_running || !c->keeps_time) {
        bide_loop_changed_(c->loop, bide_step_deadline_ns(&c->call));
    }
}

/* Does what is due.  `is_readable`: the watch is. */
static inline void
bide_loop_turn(struct bide_loop *l, int is_readable)
{
    int is_rung = is_readable && bide_watch_clear(l->watch);
    uint64_t now_ns = bide_now_ns(l->bide);

    if (is_rung || now_ns >= l->due_ns) {
        l->is_turning = 1;
        l->due_ns = UINT64_MAX;
        l->cursor = l->first;
        while (l->cursor) {
            struct bide_loop_call *c = l->cursor;

            l->cursor = c->next;
            bide_loop_look_(c, now_ns, is_rung);
        }
        l->is_turning = 0;
    }
    bide_loop_changed_(l, UINT64_MAX);
}

/* Returns the time until bide_loop_turn is due as poll(2) takes it: -1 for
 * never, else in ms, rounded up. */
static inline int
bide_loop_poll_ms(const struct bide_loop *l)
{
    struct bide_attempt until;

    memset(&until, 0, sizeof(until));
    until.bide = l->bide;
    until.deadline_ns = l->due_ns;
    return bide_attempt_poll_ms(&until);
}

/* Ends all calls as cancelled.  Calls cannot be started after it. */
static inline void
bide_loop_close(struct bide_loop *l)
{
    struct bide_watch *watch = l->watch;

    l->watch = NULL;
    while (l->first) {
        bide_loop_stop(l->first);
    }
    bide_watch_free(watch);
}

#endif
