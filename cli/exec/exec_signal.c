#include "exec.h"

#include <errno.h>
#include <sys/resource.h>

#include "cli/command/signals.h"

static const int passed_on[] = {SIGTERM, SIGINT,   SIGHUP,  SIGQUIT, SIGUSR1,
                                SIGUSR2, SIGWINCH, SIGTSTP, SIGCONT};

static void
list_watched_signals(sigset_t *watched)
{
    sigemptyset(watched);
    for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++) {
        struct sigaction now;

        /* An ignored signal that is blocked would still reach the signalfd. */
        if (sigaction(passed_on[i], NULL, &now) == 0 &&
            now.sa_handler != SIG_IGN) {
            sigaddset(watched, passed_on[i]);
        }
    }
    sigaddset(watched, SIGCHLD);
}

int
exec_signals_open(struct exec_signals *s)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t watched, output;

    list_watched_signals(&watched);
    /* While SIGCHLD is ignored, a child that ends leaves no status. */
    if (sigaction(SIGCHLD, &action, &s->child) < 0) {
        return -1;
    }
    s->fd = signals_open(&watched, &s->before);
    if (s->fd < 0) {
        int saved = errno;

        sigaction(SIGCHLD, &s->child, NULL);
        errno = saved;
        return -1;
    }
    /* With SIGTTOU blocked, a process in the background may take the terminal
     * back. */
    sigemptyset(&output);
    sigaddset(&output, SIGTTOU);
    sigprocmask(SIG_BLOCK, &output, NULL);
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
    /* Signals that are still pending were meant for a call that has ended. */
    while (signals_next(s->fd) > 0) {
    }
    close(s->fd);
    exec_signals_restore(s);
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
