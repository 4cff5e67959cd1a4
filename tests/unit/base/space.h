/* Runs functions as PID 1 of new PID namespaces, as containers do. */
#ifndef TESTS_UNIT_BASE_SPACE_H
#define TESTS_UNIT_BASE_SPACE_H

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* Starts `be` as PID 1 of a new PID namespace; returns its number here.  Skips
 * the test where that is not permitted. */
static inline pid_t
space_start(void (*be)(void *arg), void *arg)
{
    pid_t child;

    fflush(NULL);
    child = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) {
        be(arg);
        _exit(getpid() == 1 ? 0 : 99);
    }
    if (child < 0) {
        print_message("         skipped: no new PID namespace is permitted\n");
        skip();
    }
    return child;
}

/* Waits for the end; returns 0 if `be` returned. */
static inline int
space_end(pid_t child)
{
    int status;

    return waitpid(child, &status, 0) == child ? status : -1;
}

#endif
