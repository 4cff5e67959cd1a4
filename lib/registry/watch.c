/* Watches of event loops.  The descriptor is an epoll around an eventfd, which
 * bide_call_cancel rings, and the bell of the live file: it stays the same when
 * the live file is replaced.  The bell rings for each change of the host, so a
 * watch remembers the generation of each cell that its calls wait on. */
#include "registry.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/array.h"

/* A policy that calls of the watch have waited for. */
struct watched {
    struct bide_policy *policy;
    struct cell *cell;
    uint32_t generation; /* at the last bide_watch_clear */
};

struct bide_watch {
    struct bide *bide; /* NULL: closed */
    struct bide_watch *next;
    int fd, event, bell; /* -1: none; under bide->lock */
    uint64_t replaced;   /* bide->replaced, at the last bide_watch_clear */

    /* Of the thread of the watch: */
    bool is_freed; /* the last call frees the memory */
    uint32_t calls;
    struct watched *watched;
    size_t count, last; /* index of the one that was found last */
};

static int
add_to_epoll(const struct bide_watch *w, int fd)
{
    struct epoll_event e = {.events = EPOLLIN};

    return epoll_ctl(w->fd, EPOLL_CTL_ADD, fd, &e) == 0 ? 0 : BIDE_ESYS;
}

static void
close_if_open(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

/* Puts the bell of the live file in use into the epoll. */
static int
take_bell(struct bide_watch *w)
{
    int bell = live_bell(w->bide->live);

    if (bell < 0) {
        return bell;
    }
    w->bell = bell;
    if (add_to_epoll(w, bell) != 0) {
        close_if_open(&w->bell);
        return BIDE_ESYS;
    }
    return 0;
}

void
watch_move(struct bide *b)
{
    for (struct bide_watch *w = b->watches; w; w = w->next) {
        close_if_open(&w->bell); /* removes it from the epoll */
        /* Without a bell, event loops still resume every 5 s. */
        (void)take_bell(w);
        watch_ring(w);
    }
}

static void
close_descriptors(struct bide_watch *w)
{
    close_if_open(&w->fd);
    close_if_open(&w->event);
    close_if_open(&w->bell);
    w->bide = NULL;
}

void
watch_close(struct bide *b)
{
    while (b->watches) {
        struct bide_watch *w = b->watches;

        b->watches = w->next;
        close_descriptors(w);
    }
}

static int
open_descriptors(struct bide_watch *w)
{
    w->fd = epoll_create1(EPOLL_CLOEXEC);
    w->event = w->fd >= 0 ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
    if (w->event < 0) {
        return errno == ENOMEM ? BIDE_ENOMEM : BIDE_ESYS;
    }
    return add_to_epoll(w, w->event) != 0 ? BIDE_ESYS : take_bell(w);
}

int
bide_watch_new(struct bide *b, struct bide_watch **out)
{
    struct bide_watch *w;
    int rc, cancel;

    if (!b || !out) {
        return BIDE_EINVAL;
    }
    w = calloc(1, sizeof(*w));
    if (!w) {
        return BIDE_ENOMEM;
    }
    w->fd = w->event = w->bell = -1;
    w->bide = b;
    registry_revive(b);
    cancel = lock_take(&b->lock);
    w->replaced = atomic_load(&b->replaced);
    rc = open_descriptors(w);
    if (rc == 0) {
        w->next = b->watches;
        b->watches = w;
    }
    lock_release(&b->lock, cancel);
    if (rc) {
        close_descriptors(w);
        free(w);
        return rc;
    }
    *out = w;
    return 0;
}

static void
free_watch(struct bide_watch *w)
{
    free(w->watched);
    free(w);
}

void
bide_watch_free(struct bide_watch *w)
{
    struct bide *b = w ? w->bide : NULL;
    int cancel;

    if (b) {
        registry_revive(b);
        cancel = lock_take(&b->lock);
        for (struct bide_watch **at = &b->watches; *at; at = &(*at)->next) {
            if (*at == w) {
                *at = w->next;
                break;
            }
        }
        close_descriptors(w);
        lock_release(&b->lock, cancel);
    }
    if (w && w->calls) {
        w->is_freed = true;
    } else if (w) {
        free_watch(w);
    }
}

int
bide_watch_fd(const struct bide_watch *w)
{
    return w->fd;
}

/* ---- calls ---- */

void
watch_enter(struct bide_watch *w)
{
    w->calls++;
}

void
watch_leave(struct bide_watch *w)
{
    if (--w->calls == 0 && w->is_freed) {
        free_watch(w);
    }
}

void
watch_ring(struct bide_watch *w)
{
    if (w && w->event >= 0) {
        /* Fails only if it is rung already. */
        (void)eventfd_write(w->event, 1);
    }
}

void
watch_join(struct bide_watch *w, struct bide_policy *p, uint32_t generation)
{
    struct watched *at;

    if (w->last < w->count && w->watched[w->last].policy == p) {
        return;
    }
    for (w->last = 0; w->last < w->count; w->last++) {
        if (w->watched[w->last].policy == p) {
            return;
        }
    }
    at = array_add(&w->watched, &w->count, sizeof(*at));
    if (at) {
        *at = (struct watched){p, atomic_load(&p->cell), generation};
    } else {
        watch_ring(w); /* without memory: resumes it to be sure */
    }
}

/* Reports whether a cell that calls of the watch wait on was announced, and
 * remembers its generation. */
static bool
see_changes(struct bide_watch *w)
{
    bool yes = false;

    for (size_t i = 0; i < w->count; i++) {
        struct watched *at = &w->watched[i];
        struct cell *c = atomic_load(&at->policy->cell);
        uint32_t generation = atomic_load(&c->generation);

        yes |= c != at->cell || generation != at->generation;
        at->cell = c;
        at->generation = generation;
    }
    return yes;
}

int
bide_watch_clear(struct bide_watch *w)
{
    struct bide *b = w->bide;
    eventfd_t rung = 0;
    uint64_t txn;
    bool yes;
    int cancel;

    if (!b) {
        return 0;
    }
    registry_revive(b);
    cancel = lock_take(&b->lock);
    (void)eventfd_read(w->event, &rung);
    if (w->bell >= 0) {
        live_bell_clear(w->bell);
    }
    if (b->own) {
        attach_registry(b, &txn); /* no cell of `own` is announced */
    }
    yes = rung != 0 || atomic_load(&b->replaced) != w->replaced;
    w->replaced = atomic_load(&b->replaced);
    lock_release(&b->lock, cancel);
    return see_changes(w) || yes;
}
