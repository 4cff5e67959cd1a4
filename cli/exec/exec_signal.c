#include "exec.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

static const int passed_on[] = {SIGTERM, SIGINT,   SIGHUP,  SIGQUIT, SIGUSR1,
                                SIGUSR2, SIGWINCH, SIGTSTP, SIGCONT};

int
exec_signals_open(struct exec_signals *s)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t watched, blocked;

    sigemptyset(&watched);
    for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++) {
        struct sigaction now;

        /* An ignored signal that is blocked would still reach the signalfd. */
        if (sigaction(passed_on[i], NULL, &now) == 0 &&
            now.sa_handler != SIG_IGN) {
            sigaddset(&watched, passed_on[i]);
        }
    }
    sigaddset(&watched, SIGCHLD);
    blocked = watched;
    /* Blocked, it lets a background process take the terminal back. */
    sigaddset(&blocked, SIGTTOU);
    /* Where SIGCHLD is ignored, children vanish without a status. */
    if (sigaction(SIGCHLD, &action, &s->child) < 0 ||
        sigprocmask(SIG_BLOCK, &blocked, &s->before) < 0) {
        return -1;
    }
    s->fd = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->fd < 0) {
        int saved = errno;

        exec_signals_restore(s);
        errno = saved;
        return -1;
    }
    return 0;
}

void
exec_signals_restore(const struct exec_signals *s)
{
    sigaction(SIGCHLD, &s->child, NULL);
    sigprocmask(SIG_SETMASK, &s->before, NULL);
}

void
exec_signals_close(struct exec_signals *s)
{
    /* What came after the last look was for a call that is over. */
    while (exec_signals_next(s) > 0) {
    }
    close(s->fd);
    exec_signals_restore(s);
}

int
exec_signals_next(struct exec_signals *s)
{
    struct signalfd_siginfo came;

    if (read(s->fd, &came, sizeof(came)) != (ssize_t)sizeof(came)) {
        return 0;
    }
    return (int)came.ssi_signo;
}

bool
exec_signals_wait(struct exec_signals *s, int fd, short events,
                  uint64_t until_ns)
{
    struct pollfd polled[2] = {{.fd = s->fd, .events = POLLIN},
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

void
exec_signals_die(int sig)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    struct rlimit no_core = {0, 0};
    sigset_t one;

    setrlimit(RLIMIT_CORE, &no_core);
    sigemptyset(&one);
    sigaddset(&one, sig);
    if (sigaction(sig, &action, NULL) == 0) {
        raise(sig);
        sigprocmask(SIG_UNBLOCK, &one, NULL);
    }
}
