/* The signals of a command that runs for long: they are blocked and read from
 * a descriptor, so that no handler is needed and poll() sees them. */
#ifndef BIDE_CLI_SIGNALS_H
#define BIDE_CLI_SIGNALS_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* Blocks the signals of `watched` and stores the mask that was in force in
 * `before`.  Returns a descriptor that is readable while one of them is
 * pending (non-blocking, close-on-exec); -1 with errno, and then the mask is
 * as it was. */
int signals_open(const sigset_t *watched, sigset_t *before);

/* The same for SIGINT, SIGTERM and SIGHUP, which ask a command that runs in
 * the background to stop.  They stay blocked until the process ends. */
int signals_open_stop(void);

/* Reads the next pending signal.  Returns its number; 0 if none is pending. */
int signals_next(int signals);

/* Sleeps until a signal is pending, `fd` (-1: none) shows one of the poll()
 * `events`, or CLOCK_MONOTONIC reaches `until_ns` (UINT64_MAX: never).
 * Reports whether `fd` ended the sleep. */
bool signals_wait(int signals, int fd, short events, uint64_t until_ns);

/* Reports whether `sig` asks a command in the foreground to end: SIGTERM,
 * SIGINT, SIGHUP or SIGQUIT. */
bool signals_ask_end(int sig);

/* Makes a write to a closed pipe fail with EPIPE, so that it is reported as an
 * error; the second call, in a forked child, makes it end the process again, as
 * programs expect. */
void signals_ignore_pipe(void);
void signals_default_pipe(void);

#endif
