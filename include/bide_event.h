/* Calls in an event_base of libevent: see bide_loop.h, which has the rest. */
#ifndef BIDE_EVENT_H
#define BIDE_EVENT_H

#include "bide_loop.h"

#include <event2/event.h>

/* Calls of an event_base.  Without a call in progress it does not keep
 * event_base_dispatch from returning. */
struct bide_event {
    struct bide_loop loop; /* for bide_loop_start */
    struct event *watch, *timer;
};

static inline void
bide_event_on_watch_(evutil_socket_t fd, short what, void *e)
{
    (void)fd;
    bide_loop_turn(&((struct bide_event *)e)->loop, what & EV_READ);
}

static inline void
bide_event_rearm_(struct bide_loop *l)
{
    struct bide_event *e = (struct bide_event *)l;
    int ms = bide_loop_poll_ms(l);
    struct timeval after;

    if (!l->calls) {
        event_del(e->watch);
    } else if (!event_pending(e->watch, EV_READ, NULL)) {
        event_add(e->watch, NULL);
    }
    if (l->calls && ms >= 0) {
        after.tv_sec = ms / 1000;
        after.tv_usec = ms % 1000 * 1000;
        event_add(e->timer, &after);
    } else {
        event_del(e->timer);
    }
}

/* Ends all calls as cancelled and frees the events; use it before
 * event_base_free. */
static inline void
bide_event_close(struct bide_event *e)
{
    if (e->watch) {
        event_free(e->watch);
    }
    if (e->timer) {
        event_free(e->timer);
    }
    bide_loop_close(&e->loop);
}

/* Sets up calls of `base`.  Fails as bide_watch_new. */
static inline int
bide_event_init(struct bide_event *e, struct event_base *base, struct bide *b)
{
    int rc;

    memset(e, 0, sizeof(*e));
    rc = bide_loop_init(&e->loop, b);
    if (rc) {
        return rc;
    }
    e->watch = event_new(base, bide_watch_fd(e->loop.watch),
                         EV_READ | EV_PERSIST, bide_event_on_watch_, e);
    e->timer = event_new(base, -1, 0, bide_event_on_watch_, e);
    if (!e->watch || !e->timer) {
        bide_event_close(e);
        return BIDE_ENOMEM;
    }
    e->loop.rearm = bide_event_rearm_;
    return 0;
}

#endif
