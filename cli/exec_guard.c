#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void
exec_group_ask(pid_t group)
{
    kill(-group, SIGTERM);
    kill(-group, SIGCONT);
}

bool
exec_group_is_empty(pid_t group)
{
    return kill(-group, 0) < 0 && errno == ESRCH;
}

static void
end_group(pid_t group)
{
    const struct timespec look = {0, (long)EXEC_LOOK_NS};

    exec_group_ask(group);
    for (uint64_t ns = 0; ns < EXEC_GRACE_NS; ns += EXEC_LOOK_NS) {
        if (exec_group_is_empty(group)) {
            return;
        }
        nanosleep(&look, NULL);
    }
    kill(-group, SIGKILL);
}

/* Holds on to nothing of what it inherited: a pipe whose other end waits for
 * its last writer must not wait for us. */
static void
let_go(int keep)
{
    int null = open("/dev/null", O_RDWR);

    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (null < 0 || dup2(null, fd) < 0) {
            close(fd);
        }
    }
    if (keep > STDERR_FILENO + 1) {
        close_range(STDERR_FILENO + 1, (unsigned)keep - 1, 0);
    }
    close_range((unsigned)keep + 1, ~0u, 0);
}

static _Noreturn void
guard(int fd)
{
    sigset_t all;
    pid_t group = 0, told;
    ssize_t n;

    setsid();
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_NAME, "bide-guard");
    let_go(fd);
    do {
        n = read(fd, &told, sizeof(told));
        if (n == (ssize_t)sizeof(told)) {
            group = told;
        }
    } while (n > 0 || (n < 0 && errno == EINTR));
    if (group > 0) {
        end_group(group);
    }
    _exit(0);
}

void
exec_guard_start(struct exec_guard *g)
{
    int ends[2];

    *g = (struct exec_guard){.pid = -1, .fd = -1};
    /* A socket, not a pipe: a guard that died must not cost us a SIGPIPE. */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        return; /* the child's own parent-death signal has to do */
    }
    g->pid = fork();
    if (g->pid == 0) {
        close(ends[1]);
        /* Out of the way of 0 to 2, which may have been closed. */
        guard(ends[0] > STDERR_FILENO
                  ? ends[0]
                  : fcntl(ends[0], F_DUPFD, STDERR_FILENO + 1));
    }
    close(ends[0]);
    if (g->pid < 0) {
        close(ends[1]);
        return;
    }
    g->fd = ends[1];
}

void
exec_guard_tell(struct exec_guard *g, pid_t group)
{
    ssize_t n;

    if (g->fd < 0) {
        return;
    }
    do {
        n = send(g->fd, &group, sizeof(group), MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
}

void
exec_guard_stop(struct exec_guard *g)
{
    if (g->fd < 0) {
        return;
    }
    close(g->fd);
    g->fd = -1;
    while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR) {
    }
}
