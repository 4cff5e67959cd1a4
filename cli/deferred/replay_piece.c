/* Processes one leased piece of deferred work as a call through the step API.
 * Each attempt runs a command that reads the work.  The lease is extended until
 * the call has ended and its result is stored. */

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bide.h>
#include "base/clock.h"
#include "base/duration.h"
#include "base/safe.h"
#include "call/defer.h"
#include "cli/command/signals.h"
#include "cli/out/text.h"
#include "store/queue/queue.h"
#include "replay.h"
#include "replay_print.h"

/* ---- storing the result ---- */

static void
clear_piece(struct piece *p)
{
    safe_close(p->input);
    exec_work_free(&p->command);
    bide_deferred_free(p->work);
    *p = (struct piece){.input = -1};
}

static const char lease_expired[] =
    "its lease expired: another worker may do it again";

/* Prints the output that --output last kept. */
static void
show_output(struct replay *r, struct piece *p)
{
    if (p->files.keep) {
        replay_clear(r);
    }
    r->unwritten |= exec_files_show(&p->files, p->title) < 0;
}

/* Frees a piece that another worker may have, and prints `why`. */
static void
lose_piece(struct replay *r, struct piece *p, const char *why)
{
    r->lost++;
    show_output(r, p);
    replay_say(r, p, why);
    clear_piece(p);
}

static void
count_result(struct replay *r, struct piece *p)
{
    uint64_t *const counts[] = {
        [PIECE_FAILED] = &r->failed,    [PIECE_DONE] = &r->done,
        [PIECE_REFUSED] = &r->refused,  [PIECE_UNTRIED] = &r->untried,
        [PIECE_HOMELESS] = &r->untried,
    };

    ++*counts[p->result];
    show_output(r, p);
    if (p->result == PIECE_FAILED ||
        (p->result != PIECE_DONE && r->failed == 0)) {
        memcpy(r->last_reason, p->reason, sizeof(r->last_reason));
    }
    if (r->verbose) {
        replay_say(r, p, p->result == PIECE_DONE ? "done" : p->reason);
    }
    clear_piece(p);
}

static int
store_result(struct replay *r, struct piece *p)
{
    const struct bide_deferred *w = p->work;

    switch (p->result) {
    case PIECE_DONE:
        return bide_deferred_ack(p->queue->policy, w);
    case PIECE_FAILED:
    case PIECE_HOMELESS:
        return defer_give_back(p->queue->policy, w, p->result == PIECE_FAILED,
                               p->reason);
    default:
        return deferred_nack(r->deferred, w->id, w->lease, NULL, false,
                             p->reason);
    }
}

/* Stores the result and frees the piece.  After an error, such as a full disk,
 * tries again until the lease expires; otherwise the work would be done twice.
 */
static void
give_back_piece(struct replay *r, struct piece *p)
{
    uint64_t now = clock_monotonic_ns();
    int rc = store_result(r, p);

    if (rc == 0) {
        count_result(r, p);
    } else if (rc == BIDE_ENOWORK) {
        lose_piece(r, p,
                   "no longer deferred: done by another worker, or dropped");
    } else if (rc == BIDE_ELEASE || now >= p->lease_end_ns) {
        lose_piece(r, p, lease_expired);
    } else {
        if (!p->said) {
            replay_say(r, p, bide_strerror(rc));
            p->said = true;
        }
        if (r->stop > 1) {
            lose_piece(r, p, lease_expired);
            return;
        }
        p->again_ns = now + SECOND_NS;
    }
}

static void
end_piece(struct replay *r, struct piece *p, enum piece_result result)
{
    p->state = PIECE_ENDED;
    p->result = result;
    p->again_ns = 0;
    give_back_piece(r, p);
}

/* ---- the lease ---- */

static void
note_lease(struct piece *p)
{
    uint64_t boot = clock_boottime_ns(), now = clock_monotonic_ns();
    uint64_t left = p->work->lease_ends_boottime_ns > boot
                        ? p->work->lease_ends_boottime_ns - boot
                        : 0;

    p->lease_end_ns = now + left;
    p->extend_ns = now + left / 3;
}

/* Gives up a piece after its lease was lost: another worker may take it.  A
 * running command is told to end first; handle_child then frees the piece. */
static void
release_piece(struct replay *r, struct piece *p)
{
    if (p->state == PIECE_RUNNING) {
        p->child.limit_ns = 0; /* end the command */
        p->extend_ns = UINT64_MAX;
        return;
    }
    bide_call_abandon(&p->call);
    lose_piece(r, p, lease_expired);
}

static void
keep_lease(struct replay *r, struct piece *p)
{
    uint64_t now = clock_monotonic_ns();
    int rc;

    if (now < p->extend_ns) {
        return;
    }
    rc = bide_deferred_extend(p->queue->policy, p->work);
    if (rc == 0) {
        note_lease(p);
    } else if (rc == BIDE_ELEASE || rc == BIDE_ENOWORK ||
               now >= p->lease_end_ns) {
        release_piece(r, p);
    } else {
        p->extend_ns = now + SECOND_NS;
    }
}

/* ---- an attempt ---- */

/* Runs in the forked child: sets directory, environment and files.  Returns 0;
 * -1 with errno. */
static int
prepare_child(void *arg)
{
    struct piece *p = arg;
    const struct bide_attempt *attempt = bide_call_attempt(&p->call);
    char id[24];

    signals_default_pipe();
    if (p->command.arguments) {
        if (chdir(p->command.directory) < 0) {
            return -1;
        }
        for (char **e = p->command.environment; *e; e++) {
            if (putenv(*e)) {
                return -1;
            }
        }
    }
    snprintf(id, sizeof(id), "%" PRIu64, p->work->id);
    return exec_set_variables(attempt, p->work->attempts - 1 + attempt->number,
                              p->queue->name) < 0 ||
                   setenv("BIDE_ID", id, 1) < 0 ||
                   setenv("BIDE_TYPE", p->work->type, 1) < 0 ||
                   setenv("BIDE_KEY", p->work->key, 1) < 0
               ? -1
               : exec_files_give(&p->files);
}

static int
start_child(struct replay *r, struct piece *p)
{
    char *shell[] = {(char *)"/bin/sh", (char *)"-c", (char *)r->shell, NULL};

    p->child = (struct exec_child){.limit_ns =
                                       bide_call_attempt(&p->call)->deadline_ns,
                                   .terminal = &r->terminal,
                                   .guard = &r->guard,
                                   .prepare = prepare_child,
                                   .prepare_arg = p};
    p->again_ns = p->child.limit_ns;
    if (lseek(p->input, 0, SEEK_SET) < 0 || exec_files_begin(&p->files) < 0) {
        return errno;
    }
    return exec_child_start(&p->child, r->shell ? shell : p->command.arguments,
                            p->input, &r->signals);
}

/* Ends a piece whose command could not run.  `error` is negative if its
 * directory cannot be entered. */
static void
fail_to_run(struct replay *r, struct piece *p, int error, const char *why)
{
    if (error < 0 && p->command.directory) {
        snprintf(p->reason, sizeof(p->reason),
                 "its command was not run: directory %.60s: %s",
                 p->command.directory, why);
    } else {
        snprintf(p->reason, sizeof(p->reason), "cannot run %s: %s",
                 r->shell ? r->shell : p->command.arguments[0], why);
    }
    if (r->shell) {
        /* Every piece would fail in this way: stop, and count no attempt. */
        if (!r->cannot_run) {
            replay_say(r, p, p->reason);
        }
        r->cannot_run = true;
    }
    if (bide_step_ended(&p->call, exec_cannot_run(error)) == BIDE_WAIT) {
        p->state = PIECE_WAITING;
        return;
    }
    end_piece(r, p,
              r->shell    ? PIECE_UNTRIED
              : error < 0 ? PIECE_HOMELESS
                          : PIECE_FAILED);
}

/* ---- the call ---- */

static void
write_reason(struct piece *p)
{
    const struct bide_result *result = bide_call_result(&p->call);
    char outcome[80] = "not tried";

    if (result->attempts > 0) {
        bide_outcome_name(result->outcome, outcome, sizeof(outcome));
    }
    switch (result->verdict) {
    case BIDE_EXHAUSTED:
        snprintf(p->reason, sizeof(p->reason),
                 "%s after %" PRIu32 " %s (reason: %s)", outcome,
                 result->attempts,
                 text_plural(result->attempts, "attempt", "attempts"),
                 bide_reason_name(result->reason));
        break;
    case BIDE_REJECTED:
        snprintf(p->reason, sizeof(p->reason), "%s: never retried", outcome);
        break;
    default:
        snprintf(p->reason, sizeof(p->reason), "%s: %s",
                 bide_verdict_name(result->verdict), outcome);
    }
}

/* Reports whether a command runs for another piece of the same policy.  When it
 * ends, the policy may allow more calls: its breaker may be waiting for probes.
 */
static bool
is_other_running(const struct replay *r, const struct piece *p)
{
    for (uint32_t i = 0; i < r->jobs; i++) {
        if (r->pieces[i].state == PIECE_RUNNING &&
            r->pieces[i].queue == p->queue) {
            return true;
        }
    }
    return false;
}

/* Handles a call that the policy refused before any attempt.  Keeps the piece
 * until the policy may allow the call, or gives it back if that time is unknown
 * and no other piece is running. */
static void
hold_piece(struct replay *r, struct piece *p)
{
    const struct bide_result *result = bide_call_result(&p->call);
    uint64_t now = clock_monotonic_ns();
    uint64_t until = result->ask_again_ns;

    if (r->stop || (r->until_empty && until == 0 && !is_other_running(r, p))) {
        p->queue->closed = true;
        snprintf(p->reason, sizeof(p->reason), "refused: %s",
                 bide_reason_name(result->reason));
        end_piece(r, p, PIECE_REFUSED);
        return;
    }
    if (until <= now || until > now + LOOK_EVERY_NS) {
        until = now + (until <= now ? SECOND_NS : LOOK_EVERY_NS);
    }
    p->state = PIECE_HELD;
    p->again_ns = p->queue->held_ns = until;
}

static void
follow_next(struct replay *r, struct piece *p, enum bide_next next)
{
    const struct bide_result *result;
    int error;

    switch (next) {
    case BIDE_GO:
        p->state = PIECE_RUNNING;
        error = start_child(r, p);
        if (error) {
            fail_to_run(r, p, error, strerror(abs(error)));
        }
        break;
    case BIDE_WAIT:
        p->state = PIECE_WAITING;
        break;
    default:
        result = bide_call_result(&p->call);
        if (result->verdict == BIDE_REFUSED) {
            hold_piece(r, p);
            break;
        }
        write_reason(p);
        end_piece(r, p,
                  result->verdict == BIDE_SUCCEEDED   ? PIECE_DONE
                  : result->verdict == BIDE_CANCELLED ? PIECE_UNTRIED
                                                      : PIECE_FAILED);
    }
}

static void
begin_piece_call(struct replay *r, struct piece *p)
{
    p->queue->held_ns = 0;
    follow_next(r, p, bide_step_begin(&p->call, p->queue->policy, r->watch));
}

/* Reports whether the outcome means that the shell could not run the command.
 */
static bool
is_command_missing(const struct replay *r, struct bide_outcome o)
{
    return r->shell && o.domain == BIDE_DOMAIN_EXIT &&
           (o.code == EXEC_NOT_FOUND || o.code == EXEC_CANNOT_RUN);
}

static void
handle_child(struct replay *r, struct piece *p)
{
    struct exec_child *c = &p->child;
    struct bide_outcome outcome;

    if (r->stop > 1 && !c->timed_out) {
        c->limit_ns = 0;
        p->stopped = true;
    }
    exec_child_look(c);
    p->again_ns = exec_child_tick(c, clock_monotonic_ns());
    if (!exec_child_is_over(c)) {
        return;
    }
    if (p->files.keep) { /* else a message begins a line of its own */
        replay_clear(r);
    }
    exec_files_end(&p->files, p->title);
    exec_guard_send(&r->guard, -c->pid);
    c->pid = 0;
    if (p->extend_ns == UINT64_MAX) {
        bide_call_abandon(&p->call);
        lose_piece(r, p, lease_expired);
        return;
    }
    if (p->stopped && c->timed_out) {
        /* The exit status of an interrupted command has no meaning. */
        snprintf(p->reason, sizeof(p->reason),
                 "interrupted: bide was told to stop");
        bide_call_abandon(&p->call);
        end_piece(r, p, PIECE_UNTRIED);
        return;
    }
    outcome = exec_judge(&p->files, c);
    if (is_command_missing(r, outcome)) {
        bool found = outcome.code == EXEC_CANNOT_RUN;

        fail_to_run(r, p, found ? EACCES : ENOENT,
                    found ? "not executable" : "not found");
        return;
    }
    if (r->stop) {
        bide_call_cancel(&p->call);
    }
    follow_next(r, p, bide_step_ended(&p->call, outcome));
}

/* ---- called by replay.c ---- */

/* Returns the descriptor of a file in memory that contains the bytes; -1 with
 * errno. */
static int
open_work_input(const void *bytes, size_t length)
{
    int fd = memfd_create("bide-work", MFD_CLOEXEC);

    if (fd >= 0 && exec_write_whole(fd, bytes, length) < 0) {
        close(fd);
        return -1;
    }
    /* Read-only, so that no attempt can change the input of the next. */
    return fd < 0 ? fd : exec_reopen(fd);
}

void
piece_begin(struct replay *r, struct piece *p)
{
    const void *input = p->work->bytes;
    size_t length = p->work->length;

    assert(p->state == PIECE_NONE && p->queue);
    p->files = r->files;
    snprintf(p->title, sizeof(p->title), "deferred %" PRIu64 " of %s",
             p->work->id, p->queue->name);
    note_lease(p);
    if (!r->shell) {
        int rc = exec_work_read(p->work->bytes, p->work->length, &p->command);

        if (rc < 0) {
            snprintf(p->reason, sizeof(p->reason), "%s",
                     rc == -1 ? "not a command of bide exec --defer"
                              : "out of memory");
            end_piece(r, p, PIECE_FAILED);
            return;
        }
        input = p->command.input;
        length = p->command.input_length;
    }
    p->input = open_work_input(input, length);
    if (p->input < 0) {
        snprintf(p->reason, sizeof(p->reason), "input: %s", strerror(errno));
        end_piece(r, p, PIECE_FAILED);
        return;
    }
    begin_piece_call(r, p);
}

static void
check_held(struct replay *r, struct piece *p)
{
    if (r->stop) {
        hold_piece(r, p);
    } else if (r->changed || clock_monotonic_ns() >= p->again_ns) {
        begin_piece_call(r, p);
    }
}

static void
resume_waiting(struct replay *r, struct piece *p)
{
    if (r->stop) {
        bide_call_cancel(&p->call);
    }
    follow_next(r, p, bide_step_resume(&p->call));
}

void
piece_turn(struct replay *r, struct piece *p)
{
    if (p->state != PIECE_NONE && p->state != PIECE_ENDED) {
        keep_lease(r, p);
    }
    switch (p->state) {
    case PIECE_NONE:
        break;
    case PIECE_RUNNING:
        handle_child(r, p);
        break;
    case PIECE_WAITING:
        resume_waiting(r, p);
        break;
    case PIECE_HELD:
        check_held(r, p);
        break;
    case PIECE_ENDED:
        if (r->stop > 1 || clock_monotonic_ns() >= p->again_ns) {
            give_back_piece(r, p);
        }
        break;
    }
}

uint64_t
piece_next_ns(const struct piece *p)
{
    switch (p->state) {
    case PIECE_WAITING:
        return smaller_ns(p->extend_ns, bide_step_deadline_ns(&p->call));
    case PIECE_RUNNING:
    case PIECE_HELD:
        return smaller_ns(p->extend_ns, p->again_ns);
    case PIECE_ENDED:
        return p->again_ns;
    default:
        return UINT64_MAX;
    }
}
