#include "file_limit.h"

#include <errno.h>
#include <time.h>

static sigset_t
only_this_signal(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGXFSZ);
    return set;
}

void
file_limit_begin(struct file_limit *out)
{
    const sigset_t set = only_this_signal();
    sigset_t pending;

    pthread_sigmask(SIG_BLOCK, &set, &out->before);
    /* If it was not blocked, it cannot be pending. */
    out->pending = sigismember(&out->before, SIGXFSZ) == 1 &&
                   !sigpending(&pending) && sigismember(&pending, SIGXFSZ) == 1;
}

void
file_limit_end(const struct file_limit *l)
{
    const struct timespec at_once = {0, 0};
    const sigset_t set = only_this_signal();
    int error = errno;

    while (!l->pending && sigtimedwait(&set, NULL, &at_once) < 0 &&
           errno == EINTR) {
    }
    pthread_sigmask(SIG_SETMASK, &l->before, NULL);
    errno = error;
}
