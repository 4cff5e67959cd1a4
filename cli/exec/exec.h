/* The parts of `bide exec`, which runs a command, kills it at its time limit
 * and runs it again.  Signals, the terminal and standard input behave as if the
 * command had been started directly.
 *
 *   exec.c        the command: a call through the step API of bide.h
 *   exec_child.c  one attempt: process group, time limit, stops, terminal
 *   exec_keys.c   finds out that Ctrl-C or Ctrl-\ was pressed
 *   exec_signal.c the signals that bide exec itself receives
 *   exec_input.c  standard input, for the first attempt or for all
 *   exec_defer.c  stores the command as deferred work
 *   exec_files.c  what an attempt writes: outcomes, and output for later
 *   exec_outcome.c  bide outcome
 *   exec_rules.c  rules from the command line and the environment
 *   exec_guard.c  ends the children when bide exec (or replay) is killed */
#ifndef BIDE_CLI_EXEC_H
#define BIDE_CLI_EXEC_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <termios.h>
#include <unistd.h>

#include <bide.h>

/* Exit statuses of `bide exec` itself, as timeout(1), env(1) and EX_TEMPFAIL
 * define them; other statuses are the command's. */
enum exec_status {
    EXEC_REFUSED = 75,
    EXEC_TIMED_OUT = 124,
    EXEC_FAILED = 125,
    EXEC_CANNOT_RUN = 126,
    EXEC_NOT_FOUND = 127,
    EXEC_SIGNAL = 128, /* plus the signal's number */
    EXEC_STATUSES = 256,
};

/* ---- signals ---- */

struct exec_signals {
    int fd;                 /* for signals_next and signals_wait */
    sigset_t before;        /* the previous mask, which children start with */
    struct sigaction child; /* the previous disposition of SIGCHLD */
};

/* Blocks the signals that bide exec passes on to its child, so that they are
 * read from `fd`.  Signals that were ignored (nohup) stay ignored, here and in
 * the child.  Returns 0; -1 with errno. */
int exec_signals_open(struct exec_signals *s);
void exec_signals_close(struct exec_signals *s);

/* Restores mask and dispositions in the forked child, so that the command
 * starts with those that bide exec was started with. */
void exec_signals_restore(const struct exec_signals *s);

/* Ends this process by `sig`, so that its parent sees that signal.  Returns
 * only if that is not possible. */
void exec_signals_die(int sig);

/* ---- standard input ---- */

struct exec_input {
    int fd;      /* for further attempts; -1: /dev/null */
    off_t start; /* where attempts begin to read; -1: it cannot seek */
};

/* Prepares standard input.  With `keep`, a pipe is first read to its end.
 * Returns 0; the number of the signal that ended the reading; -1 with errno. */
int exec_input_open(struct exec_input *in, bool keep, struct exec_signals *s);
void exec_input_close(struct exec_input *in);

/* Returns the descriptor that attempt number `attempt` reads, at its start; -1
 * with errno. */
int exec_input_for(struct exec_input *in, uint32_t attempt);

/* Writes all bytes.  Returns 0; -1 with errno. */
int exec_write_whole(int fd, const char *bytes, size_t length);

/* Opens the file of `fd` again, read-only and with an offset of its own, and
 * closes `fd`.  Returns the new descriptor, or `fd` if the kernel refuses to
 * open it again. */
int exec_reopen(int fd);

/* ---- what an attempt writes ---- */

struct command_line;

#define EXEC_OUTCOME_FD "BIDE_OUTCOME_FD"
#define EXEC_OUTCOME_FILE "bide-outcome" /* its name in /proc */
enum { EXEC_FILES = STDERR_FILENO + 1 };

struct exec_files {
    int fd[EXEC_FILES]; /* -1: none; [0] is the file of outcomes, the others are
                           by the command's descriptor */
    int number;         /* the command's descriptor of [0] */
    bool keep, joined;  /* joined: standard error goes where output goes */
    bool ends_line;     /* exec_files_show ends the last line of output */
    bool reported;      /* `outcome` is valid: the last line that is one */
    struct bide_outcome outcome;
    bool success[EXEC_STATUSES]; /* exit statuses of --success-on */
};

/* Reads --output and --success-on.  Returns 0, or the exit status after an
 * error message. */
int exec_files_options(struct exec_files *f, struct command_line *line);

/* Chooses the descriptor; call it before files are opened.  Opens /dev/null as
 * each of the descriptors 0 to 2 that is closed (<&-), so that bide opens no
 * file with such a number.  The command still gets them closed. */
void exec_files_open(struct exec_files *f);

/* Makes the files of an attempt, and gives them to the forked child (for
 * exec_child.prepare).  Return 0; -1 with errno. */
int exec_files_begin(struct exec_files *f);
int exec_files_give(void *files);

/* Reads what a command that has ended reported; says once if a line is wrong.
 * The title is at most EXEC_TITLE_MAX long. */
enum { EXEC_TITLE_MAX = BIDE_NAME_MAX + 48 };
void exec_files_end(struct exec_files *f, const char *title);

/* Prints the output of the last attempt.  Returns 0; -1 after an error message.
 */
int exec_files_show(struct exec_files *f, const char *title);

struct exec_child;

/* Returns the outcome of a command that has ended.  One that was ended could
 * not correct what it reported, so only its end counts. */
struct bide_outcome exec_judge(const struct exec_files *f,
                               const struct exec_child *c);

/* Reads a line such as "http.503;after=2s" into *out.  Returns false if it is
 * wrong, after a message that begins with `before` (NULL: none). */
bool exec_outcome_read(const char *line, const char *before,
                       struct bide_outcome *out);

/* Returns the descriptor of $BIDE_OUTCOME_FD; -1 and the reason in *out_why if
 * it is not the file of outcomes. */
int exec_outcome_fd(const char **out_why);

/* ---- rules and limits ---- */

/* Sets the environment variables of an attempt; `number` is the number of the
 * attempt for the command.  Returns 0; -1 with errno. */
int exec_set_variables(const struct bide_attempt *attempt, uint64_t number,
                       const char *policy);

/* Reads the deadline in the environment; *out_ns is UINT64_MAX without one.
 * Returns false after an error message. */
bool exec_read_deadline(uint64_t *out_ns);

/* Sets the elements of exit statuses, "1,64-78", to true.  Returns false if
 * they are wrong. */
bool exec_read_statuses(const char *text, bool out[EXEC_STATUSES]);

/* Declares the policy `try` that the options describe, as bide_declare does. */
int exec_declare_try(struct bide *b, const struct command_line *line);

/* ---- deferring ---- */

struct bide_work;

/* Reports whether `names` ("A,B") are names of variables. */
bool exec_defer_names_ok(const char *names);

/* Encodes as work in `out`: the command, its directory, PATH, the variables of
 * `names` ("A,B"; NULL: none), and the standard input of attempts.  Returns 0;
 * EFBIG if the work is too large, or another errno.  Release with
 * exec_defer_close. */
int exec_defer_open(const struct exec_input *in, char *const *command,
                    const char *names, struct bide_work *out);
void exec_defer_close(struct bide_work *work);

/* ---- the guard ---- */

struct exec_guard {
    pid_t pid;
    int fd; /* -1: no guard runs */
};

/* Maximum of process groups that a guard watches; it ignores further ones. */
enum { EXEC_GUARDED = 256 };

/* Starts a process that waits for the end of this one and then ends the process
 * groups that are still registered.  Call it before any other file is opened:
 * the guard inherits descriptors.  If no guard can be started, g->fd is -1. */
void exec_guard_start(struct exec_guard *g);
void exec_guard_stop(struct exec_guard *g);

/* Registers a process group; each child registers its own before it executes
 * the command.  A negative number removes a group that has ended. */
void exec_guard_send(const struct exec_guard *g, pid_t group);

/* Reports whether no process of the group runs: zombies are none, because only
 * their parents can remove them. */
bool exec_group_is_empty(pid_t group);

/* The time between SIGTERM and SIGKILL. */
#define EXEC_GRACE_NS UINT64_C(2000000000)
/* The interval of checks whether a process group is empty: the kernel does not
 * report it. */
#define EXEC_LOOK_NS UINT64_C(20000000)

/* ---- the terminal ---- */

/* A child in a process group of its own is in the terminal's background: it
 * cannot read, and Ctrl-C does not reach it.  So bide exec lends the terminal
 * to the child: at once if standard input is the terminal, else when the child
 * is stopped because it used the terminal.  If our own group has no number in
 * this PID namespace, the child stays in it: nothing could be given back. */
struct exec_terminal {
    int fd; /* /dev/tty; -1: none */
    bool at_once, keeps;
    pid_t lent; /* the process group that the terminal is lent to; 0: none */
    struct termios modes;
    bool have_modes;
    pid_t keys; /* the process of exec_keys_start; 0: none */
};

void exec_terminal_open(struct exec_terminal *t);
void exec_terminal_close(struct exec_terminal *t);

/* Starts a process in `group`, which is or becomes the terminal's foreground:
 * the terminal sends the signals of Ctrl-C and Ctrl-\ only to that group, and
 * the command may handle them and exit like at any failure.  Returns its pid; 0
 * if it cannot be started. */
pid_t exec_keys_start(pid_t group);

/* Ends that process (0: none) and sets it to 0.  Returns SIGINT or SIGQUIT if
 * the terminal has sent it to the group, else 0. */
int exec_keys_end(pid_t *keys_process);

/* ---- one attempt ---- */

struct exec_child {
    pid_t pid;  /* also its process group */
    int status; /* from waitpid */
    bool ended; /* `status` is valid; its group may still run */
    bool timed_out;
    bool killed; /* SIGKILL was sent, or is not needed: the group is empty */
    int key; /* the signal of Ctrl-C or Ctrl-\, if the child got it; else 0 */
    uint64_t limit_ns; /* CLOCK_MONOTONIC; UINT64_MAX: none */
    uint64_t kill_ns;  /* when SIGKILL is due; valid if `timed_out` */
    struct exec_terminal *terminal;
    const struct exec_guard *guard;
    /* Called in the forked child before exec.  Returns 0; -1 with errno, and
     * then the command does not run.  NULL: nothing to do. */
    int (*prepare)(void *arg);
    void *prepare_arg;
};

/* Starts `command` with `input` as its standard input.  Returns 0; an errno if
 * the command cannot run; a negative one if `prepare` failed. */
int exec_child_start(struct exec_child *c, char *const *command, int input,
                     const struct exec_signals *s);

/* Reads the child's state from waitpid; call it at each SIGCHLD. */
void exec_child_look(struct exec_child *c);

/* Removes zombies that `is_ours` does not know.  PID 1 of a container gets the
 * orphans of all commands.  Call it at each SIGCHLD, after exec_child_look. */
void exec_reap_orphans(bool (*is_ours)(const void *arg, pid_t pid),
                       const void *arg);

/* Sends the signals that are due at `now_ns`.  Returns the time of the next
 * call; UINT64_MAX: at the next signal. */
uint64_t exec_child_tick(struct exec_child *c, uint64_t now_ns);
bool exec_child_is_over(const struct exec_child *c);

/* Returns the outcome of an attempt whose command could not run, with the error
 * of exec_child_start.  This host failed, and not the service that the command
 * would have called, so the outcome asks for no retry. */
struct bide_outcome exec_cannot_run(int error);

/* Passes `sig` on to the child's process group. */
void exec_child_signal(struct exec_child *c, int sig);

/* Stops this process and its process group, as Ctrl-Z does. */
void exec_stop_self(void);

#endif
