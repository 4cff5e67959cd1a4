#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/safe.h"

#include "exec.h"

/* Returns the state of process `pid` in /proc if it belongs to the group: 'Z'
 * for a zombie; else 0. */
static char
state_in_group(const char *pid, pid_t group)
{
    char path[64], text[512] = "", state = 0, *name_end;
    int of = 0, fd;

    snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 &&
        (name_end = strrchr(text, ')'))) {
        sscanf(name_end + 1, " %c %*d %d", &state, &of);
    }
    safe_close(fd);
    return of == group ? state : 0;
}

bool
exec_group_is_empty(pid_t group)
{
    bool zombie = false, running = false;
    const struct dirent *e;
    DIR *processes;

    if (kill(-group, 0) < 0) {
        return errno == ESRCH;
    }
    processes = opendir("/proc");
    while (processes && !running && (e = readdir(processes))) {
        char state = *e->d_name >= '1' && *e->d_name <= '9'
                         ? state_in_group(e->d_name, group)
                         : 0;

        zombie = zombie || state == 'Z';
        running = state && state != 'Z';
    }
    if (processes) {
        closedir(processes);
    }
    return zombie && !running;
}

/* Replaces the first entry of the EXEC_GUARDED that equals `old` by `group`; if
 * there is none, does nothing.  0: a free entry. */
static void
replace_group(pid_t *groups, pid_t old, pid_t group)
{
    for (size_t i = 0; i < EXEC_GUARDED; i++) {
        if (groups[i] == old) {
            groups[i] = group;
            return;
        }
    }
}

/* Removes the groups that are empty.  Returns the number of groups left. */
static size_t
forget_empty_groups(pid_t *groups)
{
    size_t left = 0;

    for (size_t i = 0; i < EXEC_GUARDED; i++) {
        if (groups[i] > 0 && exec_group_is_empty(groups[i])) {
            groups[i] = 0;
        }
        left += groups[i] > 0;
    }
    return left;
}

static void
end_groups(pid_t *groups)
{
    const struct timespec look = {0, (long)EXEC_LOOK_NS};

    for (size_t i = 0; i < EXEC_GUARDED; i++) {
        if (groups[i] > 0) {
            kill(-groups[i], SIGTERM);
            kill(-groups[i], SIGCONT); /* it may be stopped */
        }
    }
    for (uint64_t ns = 0; forget_empty_groups(groups) && ns < EXEC_GRACE_NS;
         ns += EXEC_LOOK_NS) {
        nanosleep(&look, NULL);
    }
    for (size_t i = 0; i < EXEC_GUARDED; i++) {
        if (groups[i] > 0) {
            kill(-groups[i], SIGKILL);
        }
    }
}

/* Closes all inherited descriptors except `keep`: a reader that waits for the
 * last writer of a pipe must not wait for the guard. */
static void
close_inherited(int keep)
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

/* Runs the guard process: updates the list of groups from `fd` until the other
 * end of `fd` is closed, then ends the remaining groups. */
static _Noreturn void
run_guard(int fd)
{
    sigset_t all;
    pid_t groups[EXEC_GUARDED] = {0};
    pid_t message;
    ssize_t n;

    setsid();
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_NAME, "bide-guard");
    close_inherited(fd);
    do {
        n = read(fd, &message, sizeof(message));
        if (n == (ssize_t)sizeof(message) && message > 0) {
            replace_group(groups, 0, message);
        } else if (n == (ssize_t)sizeof(message) && message < 0) {
            replace_group(groups, -message, 0);
        }
    } while (n > 0 || (n < 0 && errno == EINTR));
    end_groups(groups);
    _exit(0);
}

void
exec_guard_start(struct exec_guard *g)
{
    int ends[2];

    *g = (struct exec_guard){.pid = -1, .fd = -1};
    /* A socket, not a pipe: with MSG_NOSIGNAL a dead guard causes no SIGPIPE.
     */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        return; /* without a guard, only the parent-death signal ends the child
                 */
    }
    g->pid = fork();
    if (g->pid == 0) {
        close(ends[1]);
        /* The descriptor must not be 0 to 2: close_inherited opens /dev/null
         * there. */
        run_guard(ends[0] > STDERR_FILENO
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
exec_guard_send(const struct exec_guard *g, pid_t group)
{
    assert(group != 0);
    if (g && g->fd >= 0) {
        (void)TEMP_FAILURE_RETRY(
            send(g->fd, &group, sizeof(group), MSG_NOSIGNAL));
    }
}

void
exec_guard_stop(struct exec_guard *g)
{
    if (g->fd < 0) {
        return;
    }
    close(g->fd);
    g->fd = -1;
    (void)TEMP_FAILURE_RETRY(waitpid(g->pid, NULL, 0));
}
