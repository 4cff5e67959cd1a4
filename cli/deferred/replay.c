/* bide deferred replay, work: takes deferred work under leases and processes it
 * under the rules of its policy, until a signal asks to stop or (--until-empty)
 * nothing is due.
 *
 * Newly stored work wakes this process, and it sleeps until the next work is
 * due.  It also checks every LOOK_EVERY_NS, since some changes wake no process:
 * the one that stored work was killed before it announced it, the wall clock
 * was set, or this process has a private live state. */
#include "replay.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/paths.h"
#include "call/defer.h"
#include "cli/command/number.h"
#include "cli/command/say.h"
#include "cli/command/signals.h"
#include "deferred.h"
#include "replay_print.h"

enum { JOBS_MAX = EXEC_GUARDED };

/* ---- taking work ---- */

static struct piece *
find_free_piece(struct replay *r)
{
    for (uint32_t i = 0; i < r->jobs; i++) {
        if (r->pieces[i].state == PIECE_NONE) {
            return &r->pieces[i];
        }
    }
    return NULL;
}

static bool
has_due_work(const struct replay *r, struct replay_queue *q)
{
    uint64_t next;

    return deferred_next_ns(r->deferred, q->name, &q->kind, &next) == 0 &&
           next <= clock_monotonic_ns();
}

/* Takes a piece of the queue and begins its call.  Returns 1; 0 if nothing can
 * be taken; else a BIDE_E code. */
static int
take_from_queue(struct replay *r, struct replay_queue *q)
{
    struct piece *p = find_free_piece(r);
    int rc;

    if (!p || q->closed || q->held_ns > clock_monotonic_ns() ||
        !has_due_work(r, q)) {
        return 0;
    }
    rc = defer_take_now(q->policy, &q->kind, &p->work);
    if (rc > 0) {
        p->queue = q;
        piece_begin(r, p);
    }
    return rc;
}

/* Takes one piece of each policy in turn while pieces are free, so that no
 * policy waits until another has no more work.  Returns 0 or a BIDE_E code. */
static int
take_in_turn(struct replay *r)
{
    bool more = true;

    while (more && !r->stop) {
        more = false;
        for (size_t i = 0; i < r->queue_count && !r->stop; i++) {
            int rc = take_from_queue(r, r->queues[i]);

            if (rc < 0) {
                return rc;
            }
            more = more || rc > 0;
            r->stop = r->cannot_run && r->stop == 0 ? 1 : r->stop;
        }
    }
    return 0;
}

/* Reports whether no queue has due work, which ends --until-empty. */
static bool
is_nothing_due(const struct replay *r)
{
    for (size_t i = 0; i < r->queue_count; i++) {
        if (!r->queues[i]->closed && has_due_work(r, r->queues[i])) {
            return false;
        }
    }
    return true;
}

/* ---- the loop ---- */

static void
handle_signals(struct replay *r)
{
    for (int sig; (sig = signals_next(r->signals.fd)) > 0;) {
        if (signals_ask_end(sig)) {
            if (r->stop == 0 && replay_active(r) > 0) {
                replay_clear(r);
                say("stopping after the running commands; a second signal ends "
                    "them");
            }
            r->stop += r->stop < 2;
        } else if (sig == SIGTSTP) {
            replay_clear(r);
            exec_stop_self();
        }
    }
}

/* Returns the time when the loop must run next. */
static uint64_t
next_turn_ns(const struct replay *r, uint32_t running)
{
    uint64_t next = clock_monotonic_ns() + LOOK_EVERY_NS, due;

    for (uint32_t i = 0; i < r->jobs; i++) {
        uint64_t at = piece_next_ns(&r->pieces[i]);

        next = at < next ? at : next;
    }
    if (running == r->jobs || r->stop) {
        return next;
    }
    for (size_t i = 0; i < r->queue_count; i++) {
        struct replay_queue *q = r->queues[i];

        if (!q->closed &&
            deferred_next_ns(r->deferred, q->name, &q->kind, &due) == 0) {
            due = due > q->held_ns ? due : q->held_ns;
            next = due < next ? due : next;
        }
    }
    return next;
}

static void
wait_for_turn(struct replay *r, uint32_t running)
{
    r->changed =
        signals_wait(r->signals.fd, r->watch ? bide_watch_fd(r->watch) : -1,
                     POLLIN, next_turn_ns(r, running));
    if (r->changed) {
        bide_watch_clear(r->watch);
    }
}

/* After a policy change, tries each policy again: it may now allow calls. */
static void
clear_holds(struct replay *r)
{
    for (size_t i = 0; r->changed && i < r->queue_count; i++) {
        r->queues[i]->held_ns = 0;
    }
}

/* Every LOOK_EVERY_NS, resets the position up to which pieces of the other kind
 * were passed over: after the clock was set back, a piece of our kind can be
 * before it. */
static void
rewind_queues(struct replay *r)
{
    uint64_t now = clock_monotonic_ns();

    if (now < r->look_ns) {
        return;
    }
    r->look_ns = now + LOOK_EVERY_NS;
    for (size_t i = 0; i < r->queue_count; i++) {
        r->queues[i]->kind.passed_ns = r->queues[i]->kind.passed_id = 0;
    }
}

static bool
is_own_child(const void *arg, pid_t pid)
{
    const struct replay *r = arg;
    uint32_t i = 0;

    while (i < r->jobs && r->pieces[i].child.pid != pid) {
        i++;
    }
    return i < r->jobs || pid == r->guard.pid;
}

static int add_queues(struct replay *r);

/* Processes work until it is told to stop or, with --until-empty, nothing is
 * due.  `all`: of every policy that has work.  Returns 0 or a BIDE_E code. */
static int
run_pieces(struct replay *r, bool all)
{
    int rc = 0;

    for (;;) {
        uint32_t running;

        handle_signals(r);
        clear_holds(r);
        rewind_queues(r);
        for (uint32_t i = 0; i < r->jobs; i++) {
            piece_turn(r, &r->pieces[i]);
        }
        exec_reap_orphans(is_own_child, r);
        r->stop = (r->cannot_run || rc < 0) && r->stop == 0 ? 1 : r->stop;
        if (r->stop == 0) {
            rc = all ? add_queues(r) : 0;
            rc = rc == 0 ? take_in_turn(r) : rc;
            r->stop = rc < 0 ? 1 : r->stop;
        }
        running = replay_active(r);
        if (running == 0 &&
            (r->stop || (r->until_empty && is_nothing_due(r)))) {
            return rc;
        }
        replay_progress(r);
        wait_for_turn(r, running);
    }
}

/* ---- queues ---- */

static int
add_queue(struct replay *r, const char *name)
{
    struct replay_queue *queue;
    struct bide_policy *policy;
    int rc;

    for (size_t i = 0; i < r->queue_count; i++) {
        if (strcmp(r->queues[i]->name, name) == 0) {
            return 0;
        }
    }
    rc = bide_lookup(r->bide, name, NULL, &policy);
    if (rc) {
        return rc;
    }
    queue = calloc(1, sizeof(*queue)); /* must never move: pieces point to it */
    if (!queue ||
        !array_put(&r->queues, &r->queue_count, &queue, sizeof(queue))) {
        free(queue);
        return BIDE_ENOMEM;
    }
    strncpy(queue->name, name, BIDE_NAME_MAX);
    queue->kind.type = EXEC_WORK_TYPE;
    queue->kind.others = r->shell != NULL;
    queue->policy = policy;
    return 0;
}

static int
add_queue_with_work(void *arg, const struct deferred_counts *c)
{
    return c->waiting + c->leased > 0 ? add_queue(arg, c->policy) : 0;
}

static int
add_queues(struct replay *r)
{
    return deferred_counts(r->deferred, add_queue_with_work, r);
}

static int
replay_with_signals(struct replay *r, struct command_line *line)
{
    const char *name = line->operands[0];
    int rc, status;

    for (uint32_t i = 0; i < r->jobs; i++) {
        r->pieces[i].input = -1;
    }
    if (exec_signals_open(&r->signals) < 0) {
        return say_errno("signals");
    }
    rc = bide_open(line->option[OPTION_DIR], 0, &r->bide);
    if (rc == 0) {
        /* Without a watch, changes are noticed after 5 s. */
        (void)bide_watch_new(r->bide, &r->watch);
    }
    if (rc == 0 && name) {
        rc = add_queue(r, name);
    }
    rc = rc ? rc : run_pieces(r, name == NULL);
    status = replay_report(r, line->option[OPTION_JSON] != NULL, rc);
    bide_watch_free(r->watch);
    bide_close(r->bide);
    for (size_t i = 0; i < r->queue_count; i++) {
        free(r->queues[i]);
    }
    free(r->queues);
    exec_signals_close(&r->signals);
    return status;
}

/* Runs `shell` for each piece; NULL: runs the commands of exec --defer. */
static int
replay_work(struct command_line *line, const char *shell)
{
    struct replay r = {.shell = shell,
                       .verbose = line->option[OPTION_VERBOSE] != NULL,
                       .until_empty = line->option[OPTION_UNTIL_EMPTY] != NULL,
                       .terminal = {.fd = -1},
                       .shown_ns = isatty(STDERR_FILENO) ? 0 : UINT64_MAX,
                       .jobs = 1};
    int status = number_read_option(line, OPTION_JOBS, 1, &r.jobs);

    status = status ? status : exec_files_options(&r.files, line);
    if (status) {
        return status;
    }
    if (r.jobs > JOBS_MAX) {
        return say_usage(line, "--jobs: must be at most %d", JOBS_MAX);
    }
    r.files.ends_line = true; /* messages and output of others follow */
    exec_files_open(&r.files);
    exec_guard_start(&r.guard);
    status = work_queue(line, line->operands[0], &r.deferred);
    status = status ? status : replay_with_signals(&r, line);
    exec_guard_stop(&r.guard);
    return status;
}

int
deferred_replay_command(struct command_line *line)
{
    const char *shell = line->option[OPTION_EXEC];

    if (!shell &&
        (line->option[OPTION_UNTIL_EMPTY] || line->option[OPTION_JOBS] ||
         line->option[OPTION_OUTPUT] || line->option[OPTION_SUCCESS_ON])) {
        return say_usage(line, "--until-empty, --jobs, --output and "
                               "--success-on: only with --exec CMD");
    }
    if (shell && !shell[strspn(shell, " \t\n")]) {
        /* An empty command succeeds and does nothing, so all work would be
         * lost. */
        return say_usage(line, "--exec: the command is empty");
    }
    if (shell && (work_filter_asked(line) || line->option[OPTION_NOTE])) {
        return say_usage(line,
                         "--exec processes all due work and takes no filter "
                         "or note; to choose work, first make it due: "
                         "replay without --exec");
    }
    return shell ? replay_work(line, shell) : work_all_due(line);
}

/* Refuses to run as root if other users can write to the queue: each process
 * that can defer work chooses the commands.  Returns 0 or the exit status. */
static int
check_queue_owner(const struct command_line *line)
{
    struct stat st;

    if (geteuid() != 0 ||
        stat(path_of(line->option[OPTION_DIR], PATH_DEFERRED).text, &st) < 0) {
        return 0;
    }
    if (st.st_uid != 0 || st.st_mode & S_IWOTH ||
        (st.st_mode & S_IWGRP && st.st_gid != 0)) {
        say("deferred work: root would run commands that other users can "
            "store");
        say("run it as the user of that service: setpriv --reuid USER ...");
        return STATUS_NO;
    }
    return 0;
}

int
deferred_work_command(struct command_line *line)
{
    int status = check_queue_owner(line);

    return status ? status : replay_work(line, NULL);
}
