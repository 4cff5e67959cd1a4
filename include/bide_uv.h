/* Calls in a loop of libuv: see bide_loop.h, which has the rest. */
#ifndef BIDE_UV_H
#define BIDE_UV_H

#include "bide_loop.h"

#include <uv.h>

/* Calls of a uv_loop_t.  It does not keep uv_run from returning when no call
 * waits. */
struct bide_uv {
    struct bide_loop loop; /* for bide_loop_start */
    uv_poll_t watch;
    uv_timer_t timer;
    void (*closed)(struct bide_uv *u); /* NULL, or after bide_uv_close */
    void *arg;
    int open; /* handles */
};

static inline void
bide_uv_on_watch_(uv_poll_t *watch, int status, int events)
{
    (void)status, (void)events;
    bide_loop_turn(&((struct bide_uv *)watch->data)->loop, 1);
}

static inline void
bide_uv_on_timer_(uv_timer_t *timer)
{
    bide_loop_turn(&((struct bide_uv *)timer->data)->loop, 0);
}

static inline void
bide_uv_rearm_(struct bide_loop *l)
{
    struct bide_uv *u = (struct bide_uv *)l;
    int ms = bide_loop_poll_ms(l);

    if (l->calls && ms >= 0) {
        uv_update_time(u->timer.loop); /* the timer counts from this time */
        uv_timer_start(&u->timer, bide_uv_on_timer_, (uint64_t)ms, 0);
    } else {
        uv_timer_stop(&u->timer);
    }
}

static inline void
bide_uv_on_close_(uv_handle_t *handle)
{
    struct bide_uv *u = (struct bide_uv *)handle->data;

    if (--u->open == 0 && u->closed) {
        u->closed(u);
    }
}

/* Ends all calls as cancelled, then closes the handles; `u` must be valid until
 * u->closed, or until the loop has closed them. */
static inline void
bide_uv_close(struct bide_uv *u)
{
    uv_close((uv_handle_t *)&u->watch, bide_uv_on_close_);
    uv_close((uv_handle_t *)&u->timer, bide_uv_on_close_);
    bide_loop_close(&u->loop);
}

/* Sets up calls of `loop`.  Fails as bide_watch_new; the error of libuv is then
 * BIDE_ESYS. */
static inline int
bide_uv_init(struct bide_uv *u, uv_loop_t *loop, struct bide *b)
{
    int rc;

    memset(u, 0, sizeof(*u));
    rc = bide_loop_init(&u->loop, b);
    if (rc) {
        return rc;
    }
    if (uv_poll_init(loop, &u->watch, bide_watch_fd(u->loop.watch))) {
        bide_loop_close(&u->loop);
        return BIDE_ESYS;
    }
    uv_timer_init(loop, &u->timer);
    u->open = 2;
    u->watch.data = u->timer.data = u;
    u->loop.rearm = bide_uv_rearm_;
    uv_poll_start(&u->watch, UV_READABLE, bide_uv_on_watch_);
    uv_unref((uv_handle_t *)&u->watch);
    return 0;
}

#endif
