#include "signals.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

int
signals_open(const sigset_t *watched, sigset_t *before)
{
    int fd, saved;

    if (sigprocmask(SIG_BLOCK, watched, before) < 0) {
        return -1;
    }
    fd = signalfd(-1, watched, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        saved = errno;
        sigprocmask(SIG_SETMASK, before, NULL);
        errno = saved;
    }
    return fd;
}

int
signals_open_stop(void)
{
    sigset_t watched, before;
    struct sigaction hangup;

    sigemptyset(&watched);
    sigaddset(&watched, SIGINT);
    sigaddset(&watched, SIGTERM);
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN) {
        sigaddset(&watched, SIGHUP);
    }
    return signals_open(&watched, &before);
}

int
signals_next(int signals)
{
    struct signalfd_siginfo pending;

    return read(signals, &pending, sizeof(pending)) == (ssize_t)sizeof(pending)
               ? (int)pending.ssi_signo
               : 0;
}

bool
signals_wait(int signals, int fd, short events, uint64_t until_ns)
{
    struct pollfd polled[2] = {{.fd = signals, .events = POLLIN},
                               {.fd = fd, .events = events}};
    struct timespec left, *limit = NULL;

    if (until_ns != UINT64_MAX) {
        uint64_t now = clock_monotonic_ns();
        uint64_t ns = until_ns > now ? until_ns - now : 0;

        left.tv_sec = (time_t)(ns / 1000000000);
        left.tv_nsec = (long)(ns % 1000000000);
        limit = &left;
    }
    return ppoll(polled, 2, limit, NULL) > 0 && polled[1].revents != 0;
}

bool
signals_ask_end(int sig)
{
    return sig == SIGTERM || sig == SIGINT || sig == SIGHUP || sig == SIGQUIT;
}

void
signals_ignore_pipe(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

void
signals_default_pipe(void)
{
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
}
