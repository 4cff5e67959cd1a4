/* bide exec: runs any command under a policy. */
#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/duration.h"
#include "cli/command/command.h"
#include "cli/command/number.h"
#include "cli/command/say.h"
#include "cli/command/signals.h"
#include "cli/out/text.h"
#include "policy/policy.h"
#include "registry/registry.h"
#include "store/queue/queue.h"

struct exec {
    const char *dir, *name;
    char title[BIDE_NAME_MAX + 8]; /* for messages: "exec NAME" */
    bool try;                      /* bide try, which uses no registry */
    uint32_t seed;
    char *const *command;
    bool quiet, verbose;
    bool defer; /* store the command as deferred work if it fails */
    struct bide_work
        work;        /* the command as work; bytes NULL: it cannot be stored */
    int defer_error; /* errno if the command cannot be stored */
    struct bide *registry;
    struct bide_policy *policy;
    struct bide_call call;
    struct bide_watch *watch; /* NULL: none */
    uint64_t wait_ns;         /* the wait in progress */
    struct exec_signals signals;
    struct exec_input input;
    struct exec_guard guard;
    struct exec_terminal terminal;
    struct exec_files files;
    int status;         /* of the last attempt */
    int ended_by;       /* the signal that ended the call; 0: none */
    bool from_terminal; /* a key: only the child received ended_by */
    bool cannot_run;
    pid_t child; /* 0: no command runs */
};

/* ---- one attempt ---- */

static bool
is_own_child(const void *arg, pid_t pid)
{
    const struct exec *e = arg;

    return pid == e->child || pid == e->guard.pid || pid == e->terminal.keys;
}

static void
pass_signals_on(struct exec *e, struct exec_child *c)
{
    for (int sig; (sig = signals_next(e->signals.fd)) > 0;) {
        if (sig == SIGCHLD) {
            continue; /* the caller calls waitpid in any case */
        }
        if (signals_ask_end(sig)) {
            e->ended_by = sig; /* no attempt follows, whatever the outcome */
        }
        if (!c->ended) {
            exec_child_signal(c, sig);
        }
    }
}

static int
shell_status(const struct exec_child *c)
{
    if (c->timed_out) {
        return EXEC_TIMED_OUT;
    }
    return WIFSIGNALED(c->status) ? EXEC_SIGNAL + WTERMSIG(c->status)
                                  : WEXITSTATUS(c->status);
}

static struct bide_outcome
report_cannot_run(struct exec *e, int error)
{
    say("%s: cannot run %s: %s", e->title, e->command[0], strerror(error));
    e->cannot_run = true;
    e->status =
        error == ENOENT || error == ENOTDIR ? EXEC_NOT_FOUND : EXEC_CANNOT_RUN;
    return exec_cannot_run(error);
}

static struct bide_outcome
run_attempt(struct exec *e)
{
    const struct bide_attempt *attempt = bide_call_attempt(&e->call);
    struct exec_child c = {.limit_ns = attempt->deadline_ns,
                           .terminal = &e->terminal,
                           .guard = &e->guard,
                           .prepare = exec_files_give,
                           .prepare_arg = &e->files};
    int input = exec_input_for(&e->input, attempt->number);
    uint64_t next;
    int error;

    e->cannot_run = false;
    error = input < 0 ||
                    exec_set_variables(attempt, attempt->number, e->name) < 0 ||
                    exec_files_begin(&e->files) < 0
                ? errno
                : exec_child_start(&c, e->command, input, &e->signals);
    if (error) {
        return report_cannot_run(e, error);
    }
    e->child = c.pid;
    for (;;) {
        pass_signals_on(e, &c);
        exec_child_look(&c);
        exec_reap_orphans(is_own_child, e);
        next = exec_child_tick(&c, clock_monotonic_ns());
        if (exec_child_is_over(&c)) {
            break;
        }
        signals_wait(e->signals.fd, -1, 0, next);
    }
    exec_files_end(&e->files, e->title);
    exec_guard_send(&e->guard, -c.pid);
    e->child = 0;
    /* One signal may have ended the command and be for bide exec as well. */
    pass_signals_on(e, &c);
    e->status = shell_status(&c);
    if (c.key && !e->ended_by) {
        e->ended_by = c.key;
        e->from_terminal = true;
    }
    return exec_judge(&e->files, &c);
}

/* ---- between attempts ---- */

/* The hook before a wait: bide_step_deadline_ns is also a time to look for
 * changes. */
static void
note_wait(void *arg, const struct bide_call *c, uint32_t attempts,
          const struct bide_outcome *outcome, uint64_t wait_ns)
{
    struct exec *e = arg;

    (void)c, (void)attempts, (void)outcome;
    e->wait_ns = wait_ns;
}

static void
say_retry(const struct exec *e, struct bide_outcome last)
{
    char outcome[80];

    bide_outcome_name(last, outcome, sizeof(outcome));
    say("%s: attempt %" PRIu32 " failed: %s; retry %s%s", e->title,
        bide_call_attempt(&e->call)->number, outcome,
        e->wait_ns > 0 ? "in " : "at once",
        e->wait_ns > 0 ? duration_round(e->wait_ns).text : "");
}

/* Handles the pending signals while no command runs. */
static void
take_signals(struct exec *e)
{
    for (int sig; (sig = signals_next(e->signals.fd)) > 0;) {
        if (signals_ask_end(sig)) {
            e->ended_by = sig;
            e->status = EXEC_SIGNAL + sig;
        } else if (sig == SIGTSTP) {
            exec_stop_self();
        }
    }
    exec_reap_orphans(is_own_child, e);
}

/* Sleeps until the wait may have ended, a policy may have changed, or a signal
 * is pending. */
static void
sleep_between_attempts(struct exec *e)
{
    if (signals_wait(e->signals.fd, e->watch ? bide_watch_fd(e->watch) : -1,
                     POLLIN, bide_step_deadline_ns(&e->call))) {
        bide_watch_clear(e->watch);
    }
    take_signals(e);
}

static enum bide_next
make_attempt(struct exec *e)
{
    struct bide_outcome outcome;
    enum bide_next next;

    take_signals(e);
    if (e->ended_by) {
        bide_call_abandon(&e->call); /* the command has not started */
        return BIDE_DONE;
    }
    outcome = run_attempt(e);
    if (e->cannot_run) { /* such a command is not deferred */
        (void)bide_call_set_work(&e->call, NULL);
    }
    if (e->ended_by) {
        bide_call_cancel(&e->call);
    }
    next = bide_step_ended(&e->call, outcome);
    if (next == BIDE_WAIT && e->verbose) {
        say_retry(e, outcome);
    }
    return next;
}

static void
run_call(struct exec *e)
{
    enum bide_next next = bide_step_begin(&e->call, e->policy, e->watch);

    while (next != BIDE_DONE) {
        if (next == BIDE_GO) {
            next = make_attempt(e);
            continue;
        }
        sleep_between_attempts(e);
        if (e->ended_by) {
            bide_call_cancel(&e->call);
        }
        next = bide_step_resume(&e->call);
    }
}

/* ---- the end ---- */

/* Returns 0 if the registry defines the policy, else the BIDE_E code. */
static int
check_policy_exists(const struct exec *e)
{
    int rc = bide_registry_status(e->registry);

    return rc ? rc
           : bide_policy_source(e->policy, NULL) == BIDE_SOURCE_REGISTRY
               ? 0
               : BIDE_ENOPOLICY;
}

static int
say_refused(const struct exec *e)
{
    const struct bide_result *r = bide_call_result(&e->call);
    uint64_t now = clock_monotonic_ns();

    if (e->quiet) {
        return EXEC_REFUSED;
    }
    say("%s: refused: %s", e->title, bide_reason_name(r->reason));
    if (r->ask_again_ns > now) {
        say("try again in %s", duration_round(r->ask_again_ns - now).text);
    } else if (r->reason == BIDE_BY_PAUSED) {
        say("to allow calls again: bide resume %s",
            check_policy_exists(e) == BIDE_ENOPOLICY ? "default" : e->name);
    } else if (r->reason == BIDE_BY_BREAKER) {
        say("see: bide breaker %s", e->name);
    } else if (r->reason == BIDE_BY_LIMIT || r->reason == BIDE_BY_RATE) {
        say("see: bide %s %s", bide_reason_name(r->reason), e->name);
    }
    return EXEC_REFUSED;
}

static void
say_not_deferred(const struct exec *e)
{
    const struct bide_result *r = bide_call_result(&e->call);
    char what[BIDE_NAME_MAX + 40];
    const char *why;
    int rc;

    snprintf(what, sizeof(what), "%s: not deferred", e->title);
    if (r->end == BIDE_END_NOT_STORED) {
        why = place_why();
        say_why(what, *why ? why : bide_strerror(r->defer_error));
    } else if (r->end == BIDE_END_DEFERRED && e->defer_error == EFBIG) {
        say_why(what, "command and input together are larger than 1 MiB");
    } else if (r->end == BIDE_END_DEFERRED) {
        say_why(what, strerror(e->defer_error));
    } else if ((rc = check_policy_exists(e)) != 0) {
        say_why(what, bide_strerror(rc));
    } else {
        say_why(what, r->verdict == BIDE_REJECTED
                          ? "the policy never retries this outcome"
                          : "the policy's importance is not postponable");
    }
}

/* Reports whether the command was stored as deferred work.  Prints a message if
 * it was, or the reason if it was not. */
static bool
report_deferred(const struct exec *e)
{
    const struct bide_result *r = bide_call_result(&e->call);

    if (!e->defer || r->verdict == BIDE_SUCCEEDED ||
        r->verdict == BIDE_CANCELLED) {
        return false;
    }
    if (r->end == BIDE_END_DEFERRED && r->deferred_id > 0) {
        if (!e->quiet) {
            say("%s: deferred as %" PRIu64 ": %s after %" PRIu32 " %s",
                e->title, r->deferred_id, bide_verdict_name(r->verdict),
                r->attempts, text_plural(r->attempts, "attempt", "attempts"));
        }
        return true;
    }
    say_not_deferred(e);
    return false;
}

/* Prints how the call ended.  Returns the exit status: that of the command, but
 * not 0 if the call failed. */
static int
report_end(struct exec *e)
{
    const struct bide_result *r = bide_call_result(&e->call);
    bool hidden = e->status == 0 && r->verdict != BIDE_SUCCEEDED;
    char outcome[80];

    if (e->cannot_run) {
        return e->status;
    }
    if (report_deferred(e)) {
        return 0;
    }
    if (r->attempts == 0 && r->reason == BIDE_BY_DEADLINE) {
        say("%s: the deadline has passed: nothing was run", e->title);
        return EXEC_TIMED_OUT;
    }
    if (r->verdict == BIDE_REFUSED) {
        return say_refused(e);
    }
    if (r->verdict != BIDE_SUCCEEDED && r->verdict != BIDE_CANCELLED &&
        !e->quiet &&
        (r->attempts > 1 || e->verbose || hidden ||
         (r->reason != BIDE_BY_ATTEMPTS && r->reason != BIDE_BY_REJECTED))) {
        bide_outcome_name(r->outcome, outcome, sizeof(outcome));
        say("%s: gave up after %" PRIu32 " %s, last %s (reason: %s)", e->title,
            r->attempts, text_plural(r->attempts, "attempt", "attempts"),
            outcome, bide_reason_name(r->reason));
    }
    return hidden ? STATUS_NO : e->status;
}

/* Ends this process by the signal that ended the call, so that a calling script
 * ends too.  Returns `status` if no signal ended the call. */
static int
end_by_signal(const struct exec *e, int status)
{
    if (e->ended_by == 0 || status != EXEC_SIGNAL + e->ended_by) {
        return status;
    }
    if (e->from_terminal) {
        kill(0, e->ended_by);
    }
    fflush(NULL);
    exec_signals_die(e->ended_by);
    return status;
}

/* Opens the registry and gives the call its watch and its work.  Without a
 * watch, changes are noticed after 5 s. */
static int
open_call(struct exec *e, const struct bide_options *options)
{
    int rc = bide_open_with(options, sizeof(*options), &e->registry);

    if (rc) {
        return rc;
    }
    (void)bide_watch_new(e->registry, &e->watch);
    return e->work.bytes ? bide_call_set_work(&e->call, &e->work) : 0;
}

/* Says which rules apply if the policy has none, and that nothing is counted if
 * live state cannot be shared. */
static void
say_other_rules(const struct exec *e)
{
    int rc = bide_registry_status(e->registry);
    struct rules *r = e->try ? NULL : rules_take(e->policy);

    if (r && r->source == BIDE_SOURCE_REGISTRY) {
        if (rc && e->verbose) {
            say("%s: live state: %s: the call is not counted", e->title,
                bide_strerror(rc));
        }
    } else if (r && (r->txn ? !e->quiet : e->verbose)) {
        say("%s: %s: %s", e->title, bide_strerror(r->txn ? BIDE_ENOPOLICY : rc),
            r->source == BIDE_SOURCE_DEFAULT
                ? "the rules of the policy default apply"
                : "the command runs once, without retries");
    }
    rules_drop(r);
}

static int
run_with_registry(struct exec *e, const struct command_line *line)
{
    const char *scope = line->option[OPTION_SCOPE];
    struct bide_hooks hooks = {.arg = e, .before_wait = note_wait};
    /* The directory of bide try can never exist. */
    struct bide_options options = {.dir = e->try ? "/dev/null/try"
                                                 : line->option[OPTION_DIR],
                                   .flags = e->try ? BIDE_PRIVATE : 0,
                                   .seed = e->seed,
                                   .hooks = &hooks,
                                   .hooks_size = sizeof(hooks)};
    int status = EXEC_FAILED, rc;
    uint64_t deadline;

    bide_call_init(&e->call);
    if (!exec_read_deadline(&deadline)) {
        return status;
    }
    bide_call_set_deadline_ns(&e->call, deadline);
    rc = open_call(e, &options);
    if (rc == 0 && e->try) {
        rc = exec_declare_try(e->registry, line);
    }
    rc = rc ? rc : bide_lookup(e->registry, e->name, scope, &e->policy);
    if (rc == BIDE_ENAME && policy_name_ok(e->name)) {
        say_no_name("--scope ", scope);
    } else if (rc == BIDE_EINPUT) {
        /* After "declared:LINE: ". */
        say_why(e->title, strchr(bide_declare_error(), ' ') + 1);
    } else if (rc) {
        say("%s: %s", e->title, bide_strerror(rc));
    } else {
        say_other_rules(e);
        run_call(e);
        rc = exec_files_show(&e->files, e->title);
        status = report_end(e);
        status = rc < 0 && status == 0 ? EXEC_FAILED : status;
    }
    bide_call_abandon(&e->call);
    bide_watch_free(e->watch);
    bide_close(e->registry);
    return status;
}

static int
run_with_input(struct exec *e, const struct command_line *line)
{
    bool keep = line->option[OPTION_STDIN] != NULL || e->defer;
    int rc = exec_input_open(&e->input, keep, &e->signals);
    int status;

    if (rc > 0) {
        e->ended_by = rc;
        return EXEC_SIGNAL + rc;
    }
    if (rc < 0) {
        say_errno("standard input");
        return EXEC_FAILED;
    }
    if (e->defer) {
        e->defer_error = exec_defer_open(
            &e->input, e->command, line->option[OPTION_KEEP_ENV], &e->work);
    }
    exec_terminal_open(&e->terminal);
    status = run_with_registry(e, line);
    exec_terminal_close(&e->terminal);
    exec_defer_close(&e->work);
    exec_input_close(&e->input);
    return status;
}

/* Reads the options that are refused before anything is opened.  Returns 0, or
 * the exit status after an error message. */
static int
read_options(struct exec *e, struct command_line *line)
{
    const char *names = line->option[OPTION_KEEP_ENV];
    int status;

    if (names && !e->defer) {
        return say_usage(line, "--keep-env: only with --defer");
    }
    if (names && !exec_defer_names_ok(names)) {
        return say_usage(line,
                         "--keep-env %s: must be names of variables; "
                         "commas separate them",
                         names);
    }
    status = exec_files_options(&e->files, line);
    return status ? status : number_read_option(line, OPTION_SEED, 1, &e->seed);
}

int
exec_command(struct command_line *line)
{
    bool try = strcmp(line->command->name, "try") == 0;
    struct exec e = {.dir = line->option[OPTION_DIR],
                     .name = try ? "try" : line->operands[0],
                     .try = try,
                     .command = line->operands + 1,
                     .quiet = line->option[OPTION_QUIET] != NULL,
                     .verbose = line->option[OPTION_VERBOSE] != NULL,
                     .defer = line->option[OPTION_DEFER] != NULL};
    int status = read_options(&e, line);

    if (status) {
        return status;
    }
    snprintf(e.title, sizeof(e.title), "%s%s", try ? "" : "exec ", e.name);
    exec_files_open(&e.files);
    exec_guard_start(&e.guard);
    if (exec_signals_open(&e.signals) < 0) {
        say_errno("signals");
        exec_guard_stop(&e.guard);
        return EXEC_FAILED;
    }
    status = run_with_input(&e, line);
    exec_guard_stop(&e.guard);
    exec_signals_close(&e.signals);
    return end_by_signal(&e, status);
}
