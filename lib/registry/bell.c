/* The descriptor for event loops.  It is an epoll around the live file's bell,
 * so that it stays the same when the live file is replaced. */
#include "registry.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/lock.h"
#include "bell.h"

static int
add_bell(struct bide *b)
{
    struct epoll_event e = {.events = EPOLLIN};
    int bell = live_bell(b->live);

    if (bell < 0) {
        return bell;
    }
    if (epoll_ctl(b->fd, EPOLL_CTL_ADD, bell, &e) != 0) {
        close(bell);
        return BIDE_ESYS;
    }
    b->bell = bell;
    return 0;
}

void
bell_move(struct bide *b)
{
    if (b->fd < 0) {
        return;
    }
    if (b->bell >= 0) {
        close(b->bell); /* removes it from the epoll */
        b->bell = -1;
    }
    /* Without a bell, event loops still check every 5 s. */
    (void)add_bell(b);
}

void
bell_close(struct bide *b)
{
    if (b->fd >= 0) {
        close(b->fd);
    }
    if (b->bell >= 0) {
        close(b->bell);
    }
    b->fd = b->bell = -1;
}

static int
make_fd(struct bide *b)
{
    int rc;

    b->fd = epoll_create1(EPOLL_CLOEXEC);
    if (b->fd < 0) {
        return errno == ENOMEM ? BIDE_ENOMEM : BIDE_ESYS;
    }
    rc = add_bell(b);
    if (rc) {
        bell_close(b);
        return rc;
    }
    return b->fd;
}

int
bide_fd(struct bide *b)
{
    int fd, cancel;

    if (!b) {
        return BIDE_EINVAL;
    }
    registry_revive(b);
    cancel = lock_take(&b->lock);
    fd = b->fd >= 0 ? b->fd : make_fd(b);
    lock_release(&b->lock, cancel);
    return fd;
}

void
bide_fd_clear(struct bide *b)
{
    int cancel;

    if (!b) {
        return;
    }
    registry_revive(b);
    cancel = lock_take(&b->lock);
    if (b->bell >= 0) {
        live_bell_clear(b->bell);
    }
    lock_release(&b->lock, cancel);
}
