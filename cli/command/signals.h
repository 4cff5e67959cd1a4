/* Signals of long-running commands.  They are blocked and read from a
 * descriptor, so that no handler is needed and poll() sees them. */
#ifndef BIDE_CLI_SIGNALS_H
#define BIDE_CLI_SIGNALS_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* Blocks the signals of `watched` and stores the previous mask in `before`.
 * Returns a descriptor that is readable while one of them is pending
 * (non-blocking, close-on-exec); -1 with errno, and then the mask is unchanged.
 */
int signals_open(const sigset_t *watched, sigset_t *before);

/* Blocks SIGINT, SIGTERM and, unless it is ignored (nohup), SIGHUP, which stop
 * a command in the background, until the process ends.  Returns a descriptor
 * like signals_open(). */
int signals_open_stop(void);

/* Reads the next pending signal.  Returns its number; 0 if none is pending. */
int signals_next(int signals);

/* Sleeps until a signal is pending, `fd` (-1: none) has one of the poll()
 * `events`, or CLOCK_MONOTONIC reaches `until_ns` (UINT64_MAX: never).  Reports
 * whether `fd` ended the sleep. */
bool signals_wait(int signals, int fd, short events, uint64_t until_ns);

/* Reports whether `sig` ends a command in the foreground: SIGTERM, SIGINT,
 * SIGHUP or SIGQUIT. */
bool signals_ask_end(int sig);

/* signals_ignore_pipe() makes a write to a closed pipe fail with EPIPE, and one
 * beyond RLIMIT_FSIZE with EFBIG, so that the command goes on and its exit
 * status is as without the pipe.  signals_default_pipe(), in a forked child,
 * lets SIGPIPE and SIGXFSZ end the process again, as programs expect. */
void signals_ignore_pipe(void);
void signals_default_pipe(void);

#endif
