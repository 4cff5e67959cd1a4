#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/safe.h"

#include "exec.h"

/* ---- the terminal ---- */

void
exec_terminal_open(struct exec_terminal *t)
{
    *t = (struct exec_terminal){0};
    t->fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    t->at_once = t->fd >= 0 && isatty(STDIN_FILENO);
    t->keeps = t->fd >= 0 && getpgrp() == 0;
    t->have_modes = t->fd >= 0 && tcgetattr(t->fd, &t->modes) == 0;
}

void
exec_terminal_close(struct exec_terminal *t)
{
    safe_close(t->fd);
    t->fd = -1;
}

/* Gives the terminal to `group` if this process is in its foreground.  Reports
 * whether the terminal was given. */
static bool
lend_terminal(struct exec_terminal *t, pid_t group)
{
    if (t->fd < 0 || t->keeps || tcgetpgrp(t->fd) != getpgrp()) {
        return false;
    }
    t->keys = t->keys ? t->keys : exec_keys_start(group);
    if (tcsetpgrp(t->fd, group) < 0) {
        return false;
    }
    t->lent = group;
    return true;
}

static void
take_terminal(struct exec_terminal *t)
{
    /* If another group is in the foreground, a shell has taken the terminal
     * back; then it stays with that group. */
    if (t->lent > 0 && tcgetpgrp(t->fd) == t->lent) {
        tcsetpgrp(t->fd, getpgrp());
    }
    t->lent = 0;
}

/* Sends `sig` to the child's process group, or to a child that shares ours. */
static void
signal_child(const struct exec_child *c, int sig)
{
    assert(c->pid > 0); /* kill(-1) would reach every process */
    kill(c->terminal->keeps ? c->pid : -c->pid, sig);
}

/* ---- starting ---- */

/* Runs in the forked child: replaces it by the command as soon as a byte
 * arrives from `start`.  On failure the error is written there; on success exec
 * closes that descriptor. */
static _Noreturn void
become_command(const struct exec_child *c, char *const *command, int input,
               int start, pid_t parent, const struct exec_signals *s)
{
    int error;

    (void)TEMP_FAILURE_RETRY(read(start, &error, 1));
    exec_guard_send(c->guard, getpid());
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) {
        _exit(EXEC_FAILED); /* the parent died before prctl() */
    }
    exec_signals_restore(s);
    error = input != STDIN_FILENO && dup2(input, STDIN_FILENO) < 0 ? errno
            : c->prepare && c->prepare(c->prepare_arg) < 0         ? -errno
                                                                   : 0;
    if (!error) {
        execvp(command[0], command);
        error = errno;
    }
    (void)TEMP_FAILURE_RETRY(write(start, &error, sizeof(error)));
    _exit(EXEC_NOT_FOUND);
}

/* Returns the error that the child sent before it ended; 0 if it runs. */
static int
read_start_error(int fd)
{
    int error = 0;
    ssize_t n = TEMP_FAILURE_RETRY(read(fd, &error, sizeof(error)));

    return n == (ssize_t)sizeof(error) ? error : 0;
}

int
exec_child_start(struct exec_child *c, char *const *command, int input,
                 const struct exec_signals *s)
{
    struct exec_terminal *t = c->terminal;
    pid_t parent = getpid();
    int ends[2], error;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        return errno;
    }
    c->pid = fork();
    if (c->pid == 0) {
        close(ends[0]);
        become_command(c, command, input, ends[1], parent, s);
    }
    error = c->pid < 0 ? errno : 0;
    close(ends[1]);
    if (c->pid > 0) {
        if (!t->keeps) {
            setpgid(c->pid, c->pid);
        }
        if (t->at_once) {
            lend_terminal(t, c->pid);
        }
        send(ends[0], "", 1, MSG_NOSIGNAL);
        error = read_start_error(ends[0]);
    }
    close(ends[0]);
    if (c->pid > 0 && error) {
        (void)TEMP_FAILURE_RETRY(waitpid(c->pid, NULL, 0));
        exec_guard_send(c->guard, -c->pid);
        take_terminal(t);
        exec_keys_end(&t->keys);
    }
    return error;
}

/* ---- stops ---- */

void
exec_stop_self(void)
{
    sigset_t stop, before;

    /* SIGTSTP, not SIGSTOP: the kernel ignores it in an orphaned process
     * group, which no shell would continue. */
    sigemptyset(&stop);
    sigaddset(&stop, SIGTSTP);
    kill(0, SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &stop, &before);
    /* The process is stopped at this point, until SIGCONT. */
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static void
continue_child(struct exec_child *c)
{
    if (c->terminal->at_once) {
        lend_terminal(c->terminal, c->pid);
    }
    signal_child(c, SIGCONT);
}

/* Handles a child that was stopped by `sig`: stops the job, so that the shell
 * notices it.  But if the child was stopped because it used the terminal, lends
 * it the terminal if this process has it. */
static void
follow_stop(struct exec_child *c, int sig)
{
    struct exec_terminal *t = c->terminal;

    if (t->fd < 0 || (sig == SIGSTOP && getsid(getppid()) != getsid(0))) {
        return; /* no job control, or no shell that would continue it */
    }
    if ((sig == SIGTTIN || sig == SIGTTOU) && lend_terminal(t, c->pid)) {
        t->at_once = true;
        signal_child(c, SIGCONT);
        return;
    }
    take_terminal(t);
    exec_stop_self();
    /* In the background the child would be stopped again at once. */
    if (sig == SIGTSTP || sig == SIGSTOP || lend_terminal(t, c->pid)) {
        continue_child(c);
    }
}

void
exec_child_signal(struct exec_child *c, int sig)
{
    if (sig == SIGCONT) {
        continue_child(c);
    } else {
        signal_child(c, sig);
    }
}

/* ---- until it ends ---- */

/* Takes the terminal back from a child that has ended. */
static void
give_terminal_back(struct exec_child *c)
{
    struct exec_terminal *t = c->terminal;
    bool had_terminal = t->lent == c->pid;
    int sig = WIFSIGNALED(c->status) ? WTERMSIG(c->status) : 0;

    c->key = exec_keys_end(&t->keys);
    take_terminal(t);
    if (had_terminal && (sig == SIGINT || sig == SIGQUIT)) {
        c->key = sig;
    }
    if (had_terminal && sig && t->have_modes) {
        /* A killed child could not restore the terminal's modes, such as
         * echo. */
        tcsetattr(t->fd, TCSADRAIN, &t->modes);
    }
}

void
exec_child_look(struct exec_child *c)
{
    int status;

    while (!c->ended) {
        if (TEMP_FAILURE_RETRY(waitpid(c->pid, &status, WNOHANG | WUNTRACED)) <=
            0) {
            return;
        }
        if (WIFSTOPPED(status)) {
            follow_stop(c, WSTOPSIG(status));
            continue;
        }
        c->status = status;
        c->ended = true;
        give_terminal_back(c);
    }
}

void
exec_reap_orphans(bool (*is_ours)(const void *arg, pid_t pid), const void *arg)
{
    siginfo_t info = {.si_pid = 0};

    /* A zombie of ours ends this: its owner removes it, after another look. */
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid > 0 && !is_ours(arg, info.si_pid)) {
        waitpid(info.si_pid, NULL, WNOHANG);
        info.si_pid = 0;
    }
}

struct bide_outcome
exec_cannot_run(int error)
{
    const char *name = error < 0 ? "no_directory"
                       : error == ENOENT || error == ENOTDIR
                           ? "command_not_found"
                           : "cannot_execute";

    return bide_outcome_after(bide_app(name), UINT64_MAX);
}

uint64_t
exec_child_tick(struct exec_child *c, uint64_t now_ns)
{
    assert(c->pid > 0);
    if (!c->timed_out) {
        if (c->ended || now_ns < c->limit_ns) {
            return c->limit_ns;
        }
        c->timed_out = true;
        c->kill_ns = now_ns + EXEC_GRACE_NS;
        signal_child(c, SIGTERM);
        signal_child(c, SIGCONT); /* it may be stopped */
        return c->kill_ns;
    }
    /* The command has ended; other processes of its group may still run. */
    if (!c->killed && c->ended && exec_group_is_empty(c->pid)) {
        c->killed = true;
    } else if (!c->killed && now_ns >= c->kill_ns) {
        signal_child(c, SIGKILL);
        c->killed = true;
    }
    if (c->killed) {
        return UINT64_MAX;
    }
    return c->ended && now_ns + EXEC_LOOK_NS < c->kill_ns
               ? now_ns + EXEC_LOOK_NS
               : c->kill_ns;
}

bool
exec_child_is_over(const struct exec_child *c)
{
    return c->ended && (!c->timed_out || c->killed);
}
