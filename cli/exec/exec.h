/* The pieces of `bide exec`: a command that is run, killed and run again while
 * signals, the terminal and standard input do what people expect of them.
 *
 *   exec.c        the command: a call through the step API of bide.h
 *   exec_child.c  one attempt: process group, time limit, stops, terminal
 *   exec_signal.c the signals that bide exec itself receives
 *   exec_input.c  standard input, for the first attempt or for all
 *   exec_defer.c  keeps the command for later
 *   exec_guard.c  ends the children when bide exec (or replay) is killed */
#ifndef BIDE_CLI_EXEC_H
#define BIDE_CLI_EXEC_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <termios.h>

#include "cli/command/when.h"

/* The exit statuses of `bide exec` that are not the command's: those of
 * timeout(1) and env(1), and EX_TEMPFAIL. */
enum exec_status {
    EXEC_REFUSED = 75,
    EXEC_TIMED_OUT = 124,
    EXEC_FAILED = 125,
    EXEC_CANNOT_RUN = 126,
    EXEC_NOT_FOUND = 127,
    EXEC_SIGNAL = 128, /* and its number */
};

/* ---- signals ---- */

struct exec_signals {
    int fd;                 /* a signalfd: readable when one came */
    sigset_t before;        /* the mask that children start with */
    struct sigaction child; /* what was done at SIGCHLD before */
};

/* From here on signals wait to be read.  What was ignored (nohup) stays
 * ignored, by bide exec and by its child.  -1: errno. */
int exec_signals_open(struct exec_signals *s);
void exec_signals_close(struct exec_signals *s);

/* In the forked child: as if bide exec had never been there. */
void exec_signals_restore(const struct exec_signals *s);

/* Ends this process by the signal, as whoever waits for it expects; returns
 * where that is not to be done. */
void exec_signals_die(int sig);

/* ---- standard input ---- */

struct exec_input {
    int fd;      /* for further attempts; -1: /dev/null */
    off_t start; /* where they begin; -1: it cannot be rewound */
};

/* With `keep`, what comes through a pipe is read to its end first.  0; a
 * signal that ended this; or -1: errno. */
int exec_input_open(struct exec_input *in, bool keep, struct exec_signals *s);
void exec_input_close(struct exec_input *in);

/* The descriptor an attempt is to read from, at its beginning.  -1: errno. */
int exec_input_for(struct exec_input *in, uint32_t attempt);
/* The same file read-only, and with a place of its own, where the kernel lets
 * us; `fd` is closed then, else given back. */
int exec_reopen(int fd);

/* ---- for later ---- */

struct bide_work;

/* The command, PATH and the variables of `names` ("A,B", NULL: none), and the
 * input from where attempts begin to read it, as work to be deferred.  0, or
 * the errno that keeps it from being kept. */
int exec_defer_open(const struct exec_input *in, char *const *command,
                    const char *names, struct bide_work *out);
void exec_defer_close(struct bide_work *work);

/* ---- the guard ---- */

struct exec_guard {
    pid_t pid;
    int fd; /* -1: there is none */
};

/* So many process groups can be watched over; it does not know of more. */
enum { EXEC_GUARDED = 256 };

/* A process of its own that waits for the end of this one, and ends the
 * children if that was sudden.  To be called before anything else is opened. */
void exec_guard_start(struct exec_guard *g);
/* A process group to watch over, and one that has ended.  A child adds itself,
 * before it becomes the command. */
void exec_guard_add(const struct exec_guard *g, pid_t group);
void exec_guard_remove(const struct exec_guard *g, pid_t group);
void exec_guard_stop(struct exec_guard *g);

/* SIGTERM to the whole process group, also to what is stopped. */
void exec_group_ask(pid_t group);
bool exec_group_is_empty(pid_t group);

/* How long a process group that was asked to end has for that. */
#define EXEC_GRACE_NS UINT64_C(2000000000)
/* Nobody tells us that a process group is empty: how often to look. */
#define EXEC_LOOK_NS UINT64_C(20000000)

/* ---- the terminal ---- */

/* A child in a process group of its own is in the terminal's background: it
 * may not read, and Ctrl-C does not reach it.  So the terminal is lent to it,
 * by whoever is in the foreground: at once when standard input is the
 * terminal, else when the child is stopped for touching it. */
struct exec_terminal {
    int fd; /* /dev/tty; -1: none */
    bool at_once;
    pid_t lent; /* to that process group; 0: it is ours */
    struct termios modes;
    bool have_modes;
};

void exec_terminal_open(struct exec_terminal *t);
void exec_terminal_close(struct exec_terminal *t);

/* ---- one attempt ---- */

struct exec_child {
    pid_t pid;  /* and its process group */
    int status; /* as waitpid gave it */
    bool ended; /* status holds; others of its group may still run */
    bool timed_out;
    bool killed;
    bool had_terminal; /* when it ended */
    uint64_t limit_ns; /* UINT64_MAX: none */
    uint64_t kill_ns;
    struct exec_terminal *terminal;
    const struct exec_guard *guard;
    /* What else to do in the forked child, before the command takes its place;
     * -1: errno, it cannot be run.  NULL: nothing. */
    int (*prepare)(void *arg);
    void *prepare_arg;
};

/* Starts `command` with `input` as its standard input.  Returns 0, or the
 * errno that kept it from running. */
int exec_child_start(struct exec_child *c, char *const *command, int input,
                     const struct exec_signals *s);

/* What has become of it; call at each SIGCHLD. */
void exec_child_look(struct exec_child *c);

/* Does what time has made due, and says when to call again (UINT64_MAX: at
 * the next signal). */
uint64_t exec_child_tick(struct exec_child *c, uint64_t now_ns);
bool exec_child_is_over(const struct exec_child *c);

/* Passes a signal on to its process group. */
void exec_child_signal(struct exec_child *c, int sig);

/* Stops this process, and with it its job, as Ctrl-Z does. */
void exec_stop_self(void);

#endif
