
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "exec.h"

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

/* Those that are watched over; 0: a free place. */
struct groups {
    pid_t list[EXEC_GUARDED];
};

static void
put_in_place_of(struct groups *g, pid_t old, pid_t group)
{
    for (size_t i = 0; i < EXEC_GUARDED; i++) {
        if (g->list[i] == old) {
            g->list[i] = group;
            return;
        }
    }
}

/* How many are not empty. */
static size_t
look_at(struct groups *g)
{
    size_t there = 0;

    for (size_t i = 0; i < EXEC_GUARDED; i++) {
        if (g->list[i] > 0 && exec_group_is_empty(g->list[i])) {
            g->list[i] = 0;
        }
        there += g->list[i] > 0;
    }
    return there;
}

static void
end_groups(struct groups *g)
{
    const struct timespec look = {0, (long)EXEC_LOOK_NS};

    for (size_t i = 0; i < EXEC_GUARDED; i++) {
        if (g->list[i] > 0) {
            exec_group_ask(g->list[i]);
        }
    }
    for (uint64_t ns = 0; look_at(g) && ns < EXEC_GRACE_NS;
         ns += EXEC_LOOK_NS) {
        nanosleep(&look, NULL);
    }
    for (size_t i = 0; i < EXEC_GUARDED; i++) {
        if (g->list[i] > 0) {
            kill(-g->list[i], SIGKILL);
        }
    }
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
    struct groups groups = {{0}};
    pid_t told;
    ssize_t n;

    setsid();
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_NAME, "bide-guard");
    let_go(fd);
    do {
        n = read(fd, &told, sizeof(told));
        if (n == (ssize_t)sizeof(told) && told > 0) {
            put_in_place_of(&groups, 0, told);
        } else if (n == (ssize_t)sizeof(told) && told < 0) {
            put_in_place_of(&groups, -told, 0);
        }
    } while (n > 0 || (n < 0 && errno == EINTR));
    end_groups(&groups);
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

/* A group, or what is to be forgotten: minus that. */
static void
tell(const struct exec_guard *g, pid_t what)
{
    ssize_t n;

    if (!g || g->fd < 0) {
        return;
    }
    do {
        n = send(g->fd, &what, sizeof(what), MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
}

void
exec_guard_add(const struct exec_guard *g, pid_t group)
{
    tell(g, group);
}

void
exec_guard_remove(const struct exec_guard *g, pid_t group)
{
    tell(g, -group);
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
