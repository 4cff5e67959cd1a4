/* A process that waits in the group of the command for the signals of the
 * terminal.  All its signals are blocked, so that neither the keys nor the
 * command end it.  SIGRTMIN asks it to end: pending signals are taken in the
 * order of their numbers, so the keys pressed before are seen. */
#include "exec.h"

#include <errno.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Reports whether bide exec was started with `sig` ignored. */
static bool
is_ignored(int sig)
{
    struct sigaction now;

    return sigaction(sig, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

static _Noreturn void
watch_keys(pid_t parent)
{
    siginfo_t info;
    sigset_t all;
    int seen = 0;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(0);
    }
    close_range(0, ~0u, 0); /* a reader must not wait for this process */
    sigfillset(&all);
    for (;;) {
        int sig = sigwaitinfo(&all, &info);

        if ((sig == SIGINT || sig == SIGQUIT) && info.si_code == SI_KERNEL &&
            !is_ignored(sig)) {
            seen = sig;
        } else if (sig == SIGRTMIN && info.si_pid == parent) {
            _exit(seen);
        }
    }
}

pid_t
exec_keys_start(pid_t group)
{
    pid_t parent = getpid(), pid;
    sigset_t all, before;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid == 0) {
        watch_keys(parent);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid > 0) {
        setpgid(pid, group);
    }
    return pid > 0 ? pid : 0;
}

int
exec_keys_end(pid_t *keys_process)
{
    pid_t keys = *keys_process;
    int status = 0;

    *keys_process = 0;
    if (keys <= 0) {
        return 0;
    }
    kill(keys, SIGRTMIN);
    kill(keys, SIGCONT); /* it may have been stopped with its group */
    return TEMP_FAILURE_RETRY(waitpid(keys, &status, 0)) == keys &&
                   WIFEXITED(status)
               ? WEXITSTATUS(status)
               : 0;
}
