/* bide deferred replay, work: takes deferred work with leases and does it,
 * under the rules of its policy, until told to stop or nothing is due. */
#include "replay.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bide.h>
#include "base/clock.h"
#include "call/defer.h"
#include "cli/command/say.h"
#include "cli/command/signals.h"
#include "cli/out/json.h"
#include "cli/out/text.h"
#include "cli/policy/setting.h"
#include "store/queue/queue.h"
#include "deferred.h"

#define SECOND_NS UINT64_C(1000000000)
/* Work that arrives wakes us, and we know when the next is due.  What nobody
 * tells: who stored some was killed before saying so, the wall clock was set,
 * this process has a live state of its own.  As in bide_deferred_take. */
#define SHOW_EVERY_NS (SECOND_NS / 5)
enum { JOBS_MAX = EXEC_GUARDED };

/* ---- what people see ---- */

static void
clear_line(struct replay *r)
{
    if (r->on_line) {
        fputs("\r\033[K", stderr);
        r->on_line = false;
    }
}

void
replay_say(struct replay *r, const struct piece *p, const char *text)
{
    clear_line(r);
    say("deferred %" PRIu64 " of %s: %s", p->work.id, p->queue->name, text);
}

struct there {
    const struct replay *r;
    uint64_t waiting, leased, dead;
    uint64_t others; /* of those that wait, not of the kind we take */
};

static int
add_there(void *arg, const struct deferred_counts *c)
{
    struct there *there = arg;

    for (size_t i = 0; i < there->r->queue_count; i++) {
        if (strcmp(there->r->queues[i].name, c->policy) == 0) {
            there->waiting += c->waiting;
            there->leased += c->leased;
            there->dead += c->dead;
        }
    }
    return 0;
}

static int
add_other(void *arg, const struct deferred_item *item)
{
    struct there *there = arg;
    bool command = strcmp(item->type, EXEC_WORK_TYPE) == 0;

    there->others += item->length != SIZE_MAX &&
                     item->state == DEFERRED_WAITING &&
                     command == (there->r->shell != NULL);
    return 0;
}

/* What there is of the queues that we take from. */
static int
look_around(struct deferred *d, struct there *there)
{
    const struct replay *r = there->r;
    int rc = deferred_counts(d, add_there, there);

    for (size_t i = 0; i < r->queue_count && rc >= 0; i++) {
        rc = deferred_each(d, r->queues[i].name, add_other, there);
    }
    return rc;
}

static uint32_t
active(const struct replay *r)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < r->jobs; i++) {
        count += r->pieces[i].state != PIECE_NONE;
    }
    return count;
}

static void
show_progress(struct replay *r, struct deferred *d)
{
    struct there there = {.r = r};
    uint64_t now = clock_monotonic_ns();

    if (r->shown_ns == UINT64_MAX || now < r->shown_ns + SHOW_EVERY_NS) {
        return;
    }
    r->shown_ns = now;
    if (deferred_counts(d, add_there, &there) < 0) {
        return;
    }
    fprintf(stderr,
            "\r\033[K%" PRIu64 " done, %" PRIu64 " failed, %" PRIu32
            " running, %" PRIu64 " waiting",
            r->done, r->failed, active(r), there.waiting);
    fflush(stderr);
    r->on_line = true;
}

static int
print_json(const struct replay *r, const struct there *there)
{
    struct json *j = json_object_new();

    json_put_count(j, "done", r->done);
    json_put_count(j, "failed", r->failed);
    json_put_count(j, "not_let_out", r->not_let_out);
    json_put_count(j, "given_back", r->untried);
    json_put_count(j, "lost", r->lost);
    json_put_count(j, "waiting", there->waiting);
    json_put_count(j, "leased", there->leased);
    json_put_count(j, "dead", there->dead);
    json_put_count(j, "other_kind", there->others);
    json_put_text(j, "last_error", r->last_reason);
    return json_out(j) ? say_no_memory() : 0;
}

/* What was left alone: the other command does it. */
static void
print_others(const struct replay *r, uint64_t count)
{
    const char *name = r->queue_count == 1 ? r->queues[0].name : "NAME";

    if (r->shell) {
        printf("left alone: %" PRIu64 " %s; to run %s: "
               "bide deferred work %s\n",
               count,
               text_plural(count, "command that exec --defer kept",
                           "commands that exec --defer kept"),
               text_plural(count, "it", "them"), name);
    } else {
        printf("left alone: %" PRIu64 " %s; to do %s: "
               "bide deferred replay %s --exec CMD\n",
               count,
               text_plural(count, "piece that is no command",
                           "pieces that are no commands"),
               text_plural(count, "it", "them"), name);
    }
}

static void
print_people(const struct replay *r, const struct there *there)
{
    printf("%" PRIu64 " done, %" PRIu64 " failed", r->done, r->failed);
    if (r->not_let_out > 0) {
        printf(", %" PRIu64 " not let out", r->not_let_out);
    }
    if (r->untried > 0) {
        printf(", %" PRIu64 " given back", r->untried);
    }
    if (r->lost > 0) {
        printf(", %" PRIu64 " given up: no longer ours", r->lost);
    }
    printf("; still there: %" PRIu64 " waiting, %" PRIu64 " leased, %" PRIu64
           " dead\n",
           there->waiting, there->leased, there->dead);
    if (*r->last_reason) {
        fputs(r->failed > 0 ? "last failure: " : "why: ", stdout);
        text_put(stdout, r->last_reason, false);
        putchar('\n');
    }
    if (there->others > 0) {
        print_others(r, there->others);
    }
}

/* ---- taking ---- */

static struct piece *
free_piece(struct replay *r)
{
    for (uint32_t i = 0; i < r->jobs; i++) {
        if (r->pieces[i].state == PIECE_NONE) {
            return &r->pieces[i];
        }
    }
    return NULL;
}

static bool
is_due(struct deferred *d, struct replay_queue *q)
{
    uint64_t next;

    return deferred_next_ns(d, q->name, &q->kind, &next) == 0 &&
           next <= clock_monotonic_ns();
}

/* 1: something was taken; 0: nothing; else a BIDE_E code. */
static int
take_one(struct replay *r, struct deferred *d, struct replay_queue *q)
{
    struct piece *p = free_piece(r);
    int rc;

    if (!p || q->closed || q->held_ns > clock_monotonic_ns() || !is_due(d, q)) {
        return 0;
    }
    rc = defer_take_now(q->policy, &q->kind, &p->work);
    if (rc > 0) {
        p->queue = q;
        piece_begin(r, p);
    }
    return rc;
}

/* One of each policy in turn, so that none waits for another to be empty. */
static int
take(struct replay *r, struct deferred *d)
{
    bool more = true;

    while (more && !r->stop) {
        more = false;
        for (size_t i = 0; i < r->queue_count && !r->stop; i++) {
            int rc = take_one(r, d, &r->queues[i]);

            if (rc < 0) {
                return rc;
            }
            more = more || rc > 0;
            r->stop = r->cannot_run && r->stop == 0 ? 1 : r->stop;
        }
    }
    return 0;
}

/* Whether --until-empty has come to its end. */
static bool
nothing_due(const struct replay *r, struct deferred *d)
{
    for (size_t i = 0; i < r->queue_count; i++) {
        if (!r->queues[i].closed && is_due(d, &r->queues[i])) {
            return false;
        }
    }
    return true;
}

/* ---- until the end ---- */

static void
heed_signals(struct replay *r)
{
    for (int sig; (sig = signals_next(r->signals.fd)) > 0;) {
        if (signals_ask_end(sig)) {
            if (r->stop == 0 && active(r) > 0) {
                clear_line(r);
                say("stopping when what runs has ended; once more ends it");
            }
            r->stop += r->stop < 2;
        } else if (sig == SIGTSTP) {
            clear_line(r);
            exec_stop_self();
        }
    }
}

static uint64_t
next_look_ns(const struct replay *r, struct deferred *d, uint32_t running)
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
        struct replay_queue *q = &r->queues[i];

        if (!q->closed && deferred_next_ns(d, q->name, &q->kind, &due) == 0) {
            due = due > q->held_ns ? due : q->held_ns;
            next = due < next ? due : next;
        }
    }
    return next;
}

static void
wait_a_while(struct replay *r, struct deferred *d, uint32_t running)
{
    r->changed = signals_wait(r->signals.fd, bide_fd(r->bide), POLLIN,
                              next_look_ns(r, d, running));
    if (r->changed) {
        bide_fd_clear(r->bide);
    }
}

static void
reopen_queues(struct replay *r)
{
    for (size_t i = 0; r->changed && i < r->queue_count; i++) {
        r->queues[i].held_ns = 0;
    }
}

/* What was passed over is, now and then, looked at as well: something of ours
 * can stand before it where the clock was set back meanwhile. */
static void
look_at_all(struct replay *r)
{
    uint64_t now = clock_monotonic_ns();

    if (now < r->look_ns) {
        return;
    }
    r->look_ns = now + LOOK_EVERY_NS;
    for (size_t i = 0; i < r->queue_count; i++) {
        r->queues[i].kind.passed_ns = r->queues[i].kind.passed_id = 0;
    }
}

static int add_queues(struct replay *r, struct deferred *d);

static int
do_work(struct replay *r, struct deferred *d, bool all)
{
    int rc = 0;

    for (;;) {
        uint32_t running;

        heed_signals(r);
        reopen_queues(r);
        look_at_all(r);
        for (uint32_t i = 0; i < r->jobs; i++) {
            piece_turn(r, &r->pieces[i]);
        }
        r->stop = (r->cannot_run || rc < 0) && r->stop == 0 ? 1 : r->stop;
        if (r->stop == 0) {
            rc = all ? add_queues(r, d) : 0;
            rc = rc == 0 ? take(r, d) : rc;
            r->stop = rc < 0 ? 1 : r->stop;
        }
        running = active(r);
        if (running == 0 &&
            (r->stop || (r->until_empty && nothing_due(r, d)))) {
            return rc;
        }
        show_progress(r, d);
        wait_a_while(r, d, running);
    }
}

/* ---- beginning ---- */

static int
add_queue(struct replay *r, const char *name)
{
    struct replay_queue *grown;
    struct bide_policy *policy;
    int rc;

    for (size_t i = 0; i < r->queue_count; i++) {
        if (strcmp(r->queues[i].name, name) == 0) {
            return 0;
        }
    }
    rc = bide_lookup(r->bide, name, NULL, &policy);
    if (rc) {
        return rc;
    }
    grown = calloc(r->queue_count + 1, sizeof(*grown));
    if (!grown) {
        return BIDE_ENOMEM;
    }
    if (r->queue_count > 0) {
        memcpy(grown, r->queues, r->queue_count * sizeof(*grown));
    }
    for (uint32_t i = 0; i < r->jobs; i++) {
        struct piece *p = &r->pieces[i];

        p->queue = p->queue ? &grown[p->queue - r->queues] : NULL;
    }
    free(r->queues);
    r->queues = grown;
    strncpy(grown[r->queue_count].name, name, BIDE_NAME_MAX);
    grown[r->queue_count].kind = (struct deferred_kind){
        .type = EXEC_WORK_TYPE, .others = r->shell != NULL};
    grown[r->queue_count++].policy = policy;
    return 0;
}

static int
add_counted(void *arg, const struct deferred_counts *c)
{
    return c->waiting + c->leased > 0 ? add_queue(arg, c->policy) : 0;
}

static int
add_queues(struct replay *r, struct deferred *d)
{
    return deferred_counts(d, add_counted, r);
}

static int
finish(struct replay *r, struct deferred *d, bool as_json, int rc)
{
    struct there there = {.r = r};
    int counted = look_around(d, &there), status = 0;

    clear_line(r);
    if (rc < 0 || counted < 0) {
        return work_failed(rc < 0 ? rc : counted, "deferred work");
    }
    if (as_json) {
        status = print_json(r, &there);
    } else {
        print_people(r, &there);
    }
    if (r->cannot_run ||
        (r->until_empty && there.waiting + there.leased + there.dead > 0)) {
        return STATUS_NO;
    }
    return status;
}

static int
with_queue(struct replay *r, struct command_line *line, struct deferred *d)
{
    const char *name = line->operands[0];
    int rc = bide_open(line->option[OPTION_DIR], 0, &r->bide), status;

    r->deferred = d;
    if (rc == 0 && name) {
        rc = add_queue(r, name);
    }
    if (rc == 0) {
        rc = do_work(r, d, name == NULL);
    }
    status = finish(r, d, line->option[OPTION_JSON] != NULL, rc);
    bide_close(r->bide);
    free(r->queues);
    return status;
}

static int
with_signals(struct replay *r, struct command_line *line, struct deferred *d)
{
    int status;

    r->pieces = calloc(r->jobs, sizeof(*r->pieces));
    if (!r->pieces) {
        return say_no_memory();
    }
    for (uint32_t i = 0; i < r->jobs; i++) {
        r->pieces[i].input = -1;
    }
    if (exec_signals_open(&r->signals) < 0) {
        status = say_errno("signals");
    } else {
        status = with_queue(r, line, d);
        exec_signals_close(&r->signals);
    }
    free(r->pieces);
    return status;
}

static int
replay(struct command_line *line, const char *shell)
{
    struct replay r = {.shell = shell,
                       .verbose = line->option[OPTION_VERBOSE] != NULL,
                       .until_empty = line->option[OPTION_UNTIL_EMPTY] != NULL,
                       .terminal = {.fd = -1},
                       .shown_ns = isatty(STDERR_FILENO) ? 0 : UINT64_MAX,
                       .jobs = 1};
    struct deferred *d;
    int status = 0;

    if (line->option[OPTION_JOBS]) {
        status = setting_count(line, OPTION_JOBS, 1, &r.jobs);
    }
    if (status == 0 && r.jobs > JOBS_MAX) {
        return say_usage(line, "--jobs: at most %d", JOBS_MAX);
    }
    exec_guard_start(&r.guard);
    if (status == 0) {
        status = work_queue(line, &d);
    }
    if (status == 0 && line->operands[0]) {
        status = work_name(line, d, line->operands[0]);
    }
    if (status == 0) {
        status = with_signals(&r, line, d);
    }
    exec_guard_stop(&r.guard);
    return status;
}

int
deferred_replay_command(struct command_line *line)
{
    const char *shell = line->option[OPTION_EXEC];

    if (!shell &&
        (line->option[OPTION_UNTIL_EMPTY] || line->option[OPTION_JOBS])) {
        return say_usage(line, "what is to be done? --exec 'CMD'");
    }
    if (shell && !shell[strspn(shell, " \t\n")]) {
        /* The shell would do nothing, and all work would be done. */
        return say_usage(line, "--exec: there is no command");
    }
    if (shell && (work_filter_asked(line) || line->option[OPTION_NOTE])) {
        return say_usage(line, "--exec takes what is due, all of it: "
                               "first make due what is meant, without --exec");
    }
    return shell ? replay(line, shell) : work_all_due(line);
}

/* Whoever may defer says here what is run, so root does it only where nobody
 * but root may. */
static int
check_trust(const struct command_line *line)
{
    char path[4096 + 16];
    struct stat st;

    snprintf(path, sizeof(path), "%s/deferred.mdb", line->option[OPTION_DIR]);
    if (geteuid() != 0 || stat(path, &st) < 0) {
        return 0;
    }
    if (st.st_uid != 0 || st.st_mode & S_IWOTH ||
        (st.st_mode & S_IWGRP && st.st_gid != 0)) {
        say("deferred work: as root it would run what others have stored");
        say("run it as the user who is to do it: setpriv --reuid USER ...");
        return STATUS_NO;
    }
    return 0;
}

int
deferred_work_command(struct command_line *line)
{
    int status = check_trust(line);

    return status ? status : replay(line, NULL);
}
