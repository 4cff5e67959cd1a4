/* One piece of deferred work, while it is ours: a call through the step API,
 * whose attempts are a command that reads the work.  Its lease is extended
 * until the end, when it is given back as done or not. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bide.h>
#include "base/clock.h"
#include "cli/command/say.h"
#include "cli/command/signals.h"
#include "cli/out/text.h"
#include "store/queue/queue.h"
#include "replay.h"

#define SECOND_NS UINT64_C(1000000000)

/* ---- giving it back ---- */

static void
clear(struct piece *p)
{
    if (p->input >= 0) {
        close(p->input);
    }
    exec_work_free(&p->command);
    bide_deferred_free(&p->work);
    *p = (struct piece){.input = -1};
}

static const char ran_out[] =
    "its lease ran out: somebody else may do it again";

static void
gone(struct replay *r, struct piece *p, const char *why)
{
    r->lost++;
    replay_say(r, p, why);
    clear(p);
}

static void
given_back(struct replay *r, struct piece *p)
{
    uint64_t *const counts[] = {
        [PIECE_FAILED] = &r->failed,
        [PIECE_DONE] = &r->done,
        [PIECE_NOT_LET_OUT] = &r->not_let_out,
        [PIECE_UNTRIED] = &r->untried,
    };

    ++*counts[p->fate];
    if (p->fate == PIECE_FAILED || (p->fate != PIECE_DONE && r->failed == 0)) {
        memcpy(r->last_reason, p->reason, sizeof(r->last_reason));
    }
    if (r->verbose) {
        replay_say(r, p, p->fate == PIECE_DONE ? "done" : p->reason);
    }
    clear(p);
}

static int
nack_or_ack(struct replay *r, struct piece *p)
{
    const struct bide_deferred *w = &p->work;

    switch (p->fate) {
    case PIECE_DONE:
        return bide_deferred_ack(p->queue->policy, w);
    case PIECE_FAILED:
        return bide_deferred_nack(p->queue->policy, w, p->reason);
    default:
        return deferred_nack(r->deferred, w->id, w->lease, NULL, p->reason);
    }
}

/* Says what became of it.  A full disk can have room again: until the lease
 * ends, what is done is not done again. */
static void
give_back(struct replay *r, struct piece *p)
{
    uint64_t now = clock_monotonic_ns();
    int rc = nack_or_ack(r, p);

    if (rc == 0) {
        given_back(r, p);
    } else if (rc == BIDE_ENOWORK) {
        gone(r, p, "it is gone: done by somebody else, or dropped");
    } else if (rc == BIDE_ELEASE || now >= p->lease_end_ns) {
        gone(r, p, ran_out);
    } else {
        if (!p->said) {
            replay_say(r, p, bide_strerror(rc));
            p->said = true;
        }
        if (r->stop > 1) {
            gone(r, p, ran_out);
            return;
        }
        p->again_ns = now + SECOND_NS;
    }
}

static void
end(struct replay *r, struct piece *p, enum piece_fate fate)
{
    p->state = PIECE_ENDED;
    p->fate = fate;
    p->again_ns = 0;
    give_back(r, p);
}

/* ---- the lease ---- */

static void
note_lease(struct piece *p)
{
    uint64_t boot = clock_boottime_ns(), now = clock_monotonic_ns();
    uint64_t left =
        p->work.lease_ends_ns > boot ? p->work.lease_ends_ns - boot : 0;

    p->lease_end_ns = now + left;
    p->extend_ns = now + left / 3;
}

/* Nobody may do what somebody else does. */
static void
let_go(struct replay *r, struct piece *p)
{
    if (p->state == PIECE_RUNNING) {
        p->child.limit_ns = 0; /* given back when that has ended */
        p->extend_ns = UINT64_MAX;
        return;
    }
    bide_call_abandon(&p->call);
    gone(r, p, ran_out);
}

static void
keep_lease(struct replay *r, struct piece *p)
{
    uint64_t now = clock_monotonic_ns();
    int rc;

    if (now < p->extend_ns) {
        return;
    }
    rc = bide_deferred_extend(p->queue->policy, &p->work);
    if (rc == 0) {
        note_lease(p);
    } else if (rc == BIDE_ELEASE || rc == BIDE_ENOWORK ||
               now >= p->lease_end_ns) {
        let_go(r, p);
    } else {
        p->extend_ns = now + SECOND_NS;
    }
}

/* ---- an attempt ---- */

static int
set_number(const char *name, uint64_t number)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, number);
    return setenv(name, text, 1);
}

/* In the forked child. */
static int
prepare(void *arg)
{
    const struct piece *p = arg;

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
    return set_number("BIDE_ID", p->work.id) < 0 ||
                   set_number("BIDE_ATTEMPT", p->call.attempt.number) < 0 ||
                   setenv("BIDE_POLICY", p->queue->name, 1) < 0 ||
                   setenv("BIDE_TYPE", p->work.type, 1) < 0 ||
                   setenv("BIDE_KEY", p->work.key, 1) < 0
               ? -1
               : 0;
}

static int
start_child(struct replay *r, struct piece *p)
{
    char *shell[] = {(char *)"/bin/sh", (char *)"-c", (char *)r->shell, NULL};

    p->child = (struct exec_child){.limit_ns = p->call.attempt.deadline_ns,
                                   .terminal = &r->terminal,
                                   .guard = &r->guard,
                                   .prepare = prepare,
                                   .prepare_arg = p};
    p->again_ns = p->child.limit_ns;
    if (lseek(p->input, 0, SEEK_SET) < 0) {
        return errno;
    }
    return exec_child_start(&p->child, r->shell ? shell : p->command.arguments,
                            p->input, &r->signals);
}

static void
cannot_run(struct replay *r, struct piece *p, const char *why)
{
    snprintf(p->reason, sizeof(p->reason), "cannot run %s: %s",
             r->shell ? r->shell : p->command.arguments[0], why);
    if (r->shell) {
        /* As it would be with every other piece: none of them is to wait. */
        if (!r->cannot_run) {
            replay_say(r, p, p->reason);
        }
        r->cannot_run = true;
    }
    bide_call_abandon(&p->call);
    end(r, p, r->shell ? PIECE_UNTRIED : PIECE_FAILED);
}

/* ---- the call ---- */

static void
write_reason(struct piece *p)
{
    const struct bide_result *result = &p->call.result;
    char outcome[80] = "not tried";

    if (result->attempts > 0) {
        bide_outcome_name(result->outcome, outcome, sizeof(outcome));
    }
    switch (result->verdict) {
    case BIDE_EXHAUSTED:
        snprintf(p->reason, sizeof(p->reason), "%s, %" PRIu32 " %s: %s",
                 outcome, result->attempts,
                 text_plural(result->attempts, "try", "tries"),
                 bide_reason_name(result->reason));
        break;
    case BIDE_REJECTED:
        snprintf(p->reason, sizeof(p->reason), "%s: not retried", outcome);
        break;
    default:
        snprintf(p->reason, sizeof(p->reason), "%s: %s",
                 bide_verdict_name(result->verdict), outcome);
    }
}

/* Whether a piece of the same policy is out: when it ends, more may be let
 * out, as by a breaker that waits for its probes. */
static bool
others_run(const struct replay *r, const struct piece *p)
{
    for (uint32_t i = 0; i < r->jobs; i++) {
        if (r->pieces[i].state == PIECE_RUNNING &&
            r->pieces[i].queue == p->queue) {
            return true;
        }
    }
    return false;
}

/* The policy lets nothing out: the piece stays ours, for it was not tried. */
static void
hold(struct replay *r, struct piece *p)
{
    const struct bide_result *result = &p->call.result;
    uint64_t now = clock_monotonic_ns();
    uint64_t until = result->ask_again_ns;

    if (r->stop || (r->until_empty && until == 0 && !others_run(r, p))) {
        p->queue->closed = true;
        snprintf(p->reason, sizeof(p->reason), "refused: %s",
                 bide_reason_name(result->reason));
        end(r, p, PIECE_NOT_LET_OUT);
        return;
    }
    if (until <= now || until > now + LOOK_EVERY_NS) {
        until = now + (until <= now ? SECOND_NS : LOOK_EVERY_NS);
    }
    p->state = PIECE_HELD;
    p->again_ns = p->queue->held_ns = until;
}

static void
go_on(struct replay *r, struct piece *p, enum bide_next next)
{
    int error;

    switch (next) {
    case BIDE_GO:
        p->state = PIECE_RUNNING;
        error = start_child(r, p);
        if (error) {
            cannot_run(r, p, strerror(error));
        }
        break;
    case BIDE_WAIT:
        p->state = PIECE_WAITING;
        break;
    default:
        if (p->call.result.verdict == BIDE_REFUSED) {
            hold(r, p);
            break;
        }
        write_reason(p);
        end(r, p,
            p->call.result.verdict == BIDE_SUCCEEDED ? PIECE_DONE
                                                     : PIECE_FAILED);
    }
}

static void
begin_call(struct replay *r, struct piece *p)
{
    p->queue->held_ns = 0;
    go_on(r, p, bide_step_begin(&p->call, p->queue->policy));
}

/* The shell says so when there is nothing it could run. */
static bool
is_missing(const struct replay *r, int status)
{
    return r->shell && WIFEXITED(status) &&
           (WEXITSTATUS(status) == EXEC_NOT_FOUND ||
            WEXITSTATUS(status) == EXEC_CANNOT_RUN);
}

static void
look_at_child(struct replay *r, struct piece *p)
{
    struct exec_child *c = &p->child;

    if (r->stop > 1 && !c->timed_out) {
        c->limit_ns = 0;
        p->stopped = true;
    }
    exec_child_look(c);
    p->again_ns = exec_child_tick(c, clock_monotonic_ns());
    if (!exec_child_is_over(c)) {
        return;
    }
    exec_guard_remove(&r->guard, c->pid);
    if (p->extend_ns == UINT64_MAX) {
        bide_call_abandon(&p->call);
        gone(r, p, ran_out);
        return;
    }
    if (p->stopped && c->timed_out) {
        /* Whatever it ended with: that tells nothing about the work. */
        snprintf(p->reason, sizeof(p->reason), "ended: bide was told to stop");
        bide_call_abandon(&p->call);
        end(r, p, PIECE_UNTRIED);
        return;
    }
    if (is_missing(r, c->status)) {
        cannot_run(r, p,
                   WEXITSTATUS(c->status) == EXEC_NOT_FOUND ? "not found"
                                                            : "not to be run");
        return;
    }
    if (r->stop) {
        bide_call_cancel(&p->call);
    }
    go_on(r, p,
          bide_step_ended(&p->call, c->timed_out ? bide_errno(ETIMEDOUT)
                                                 : bide_exit(c->status)));
}

/* ---- from outside ---- */

static int
open_input(const void *bytes, size_t length)
{
    int fd = memfd_create("bide-work", MFD_CLOEXEC);

    for (size_t at = 0; fd >= 0 && at < length;) {
        ssize_t n = write(fd, (const char *)bytes + at, length - at);

        if (n < 0 && errno != EINTR) {
            close(fd);
            return -1;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    /* No attempt is to change what the next one reads. */
    return fd < 0 ? fd : exec_reopen(fd);
}

void
piece_begin(struct replay *r, struct piece *p)
{
    const void *input = p->work.bytes;
    size_t length = p->work.length;

    note_lease(p);
    if (!r->shell) {
        int rc = exec_work_read(p->work.bytes, p->work.length, &p->command);

        if (rc < 0) {
            snprintf(p->reason, sizeof(p->reason), "%s",
                     rc == -1 ? "not a command of bide exec --defer"
                              : "out of memory");
            end(r, p, PIECE_FAILED);
            return;
        }
        input = p->command.input;
        length = p->command.input_length;
    }
    p->input = open_input(input, length);
    if (p->input < 0) {
        snprintf(p->reason, sizeof(p->reason), "its input: %s",
                 strerror(errno));
        end(r, p, PIECE_FAILED);
        return;
    }
    begin_call(r, p);
}

static void
turn_held(struct replay *r, struct piece *p)
{
    if (r->stop) {
        hold(r, p);
    } else if (r->changed || clock_monotonic_ns() >= p->again_ns) {
        begin_call(r, p);
    }
}

static void
turn_waiting(struct replay *r, struct piece *p)
{
    if (r->stop) {
        bide_call_cancel(&p->call);
    }
    go_on(r, p, bide_step_resume(&p->call));
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
        look_at_child(r, p);
        break;
    case PIECE_WAITING:
        turn_waiting(r, p);
        break;
    case PIECE_HELD:
        turn_held(r, p);
        break;
    case PIECE_ENDED:
        if (r->stop > 1 || clock_monotonic_ns() >= p->again_ns) {
            give_back(r, p);
        }
        break;
    }
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t
piece_next_ns(const struct piece *p)
{
    switch (p->state) {
    case PIECE_WAITING:
        return earlier(earlier(p->extend_ns, bide_step_deadline_ns(&p->call)),
                       clock_monotonic_ns() + LOOK_EVERY_NS);
    case PIECE_RUNNING:
    case PIECE_HELD:
        return earlier(p->extend_ns, p->again_ns);
    case PIECE_ENDED:
        return p->again_ns;
    default:
        return UINT64_MAX;
    }
}
