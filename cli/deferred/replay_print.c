/* Prints the progress, messages and summary of replay and work. */
#include "replay_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/duration.h"
#include "cli/command/say.h"
#include "cli/out/json.h"
#include "cli/out/text.h"
#include "deferred.h"

#define SHOW_EVERY_NS (SECOND_NS / 5)

void
replay_clear(struct replay *r)
{
    if (r->on_line) {
        fputs("\r\033[K", stderr);
        r->on_line = false;
    }
}

void
replay_say(struct replay *r, const struct piece *p, const char *text)
{
    replay_clear(r);
    say("%s: %s", p->title, text);
}

/* Counts of the work that is left in the queues of this process. */
struct remaining {
    const struct replay *r;
    uint64_t waiting, leased, dead;
    uint64_t others; /* waiting, but of the kind that the other command takes */
};

static int
count_remaining(void *arg, const struct deferred_counts *c)
{
    struct remaining *left = arg;

    for (size_t i = 0; i < left->r->queue_count; i++) {
        if (strcmp(left->r->queues[i]->name, c->policy) == 0) {
            left->waiting += c->waiting;
            left->leased += c->leased;
            left->dead += c->dead;
        }
    }
    return 0;
}

static int
count_other_kind(void *arg, const struct deferred_item *item)
{
    struct remaining *left = arg;
    bool command = strcmp(item->type, EXEC_WORK_TYPE) == 0;

    left->others += item->length != SIZE_MAX &&
                    item->state == DEFERRED_WAITING &&
                    command == (left->r->shell != NULL);
    return 0;
}

/* Counts into `left`. Returns 0 or a BIDE_E code. */
static int
read_remaining(struct remaining *left)
{
    const struct replay *r = left->r;
    int rc = deferred_counts(r->deferred, count_remaining, left);

    for (size_t i = 0; i < r->queue_count && rc >= 0; i++) {
        rc = deferred_each(r->deferred, r->queues[i]->name, count_other_kind,
                           left);
    }
    return rc;
}

uint32_t
replay_active(const struct replay *r)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < r->jobs; i++) {
        count += r->pieces[i].state != PIECE_NONE;
    }
    return count;
}

void
replay_progress(struct replay *r)
{
    struct remaining left = {.r = r};
    uint64_t now = clock_monotonic_ns();

    if (r->shown_ns == UINT64_MAX || now < r->shown_ns + SHOW_EVERY_NS) {
        return;
    }
    r->shown_ns = now;
    if (deferred_counts(r->deferred, count_remaining, &left) < 0) {
        return;
    }
    fprintf(stderr,
            "\r\033[K%" PRIu64 " done, %" PRIu64 " failed, %" PRIu32
            " running, %" PRIu64 " waiting",
            r->done, r->failed, replay_active(r), left.waiting);
    fflush(stderr);
    r->on_line = true;
}

static int
print_json(const struct replay *r, const struct remaining *left)
{
    struct json *j = json_object_new();

    json_put_count(j, "done", r->done);
    json_put_count(j, "failed", r->failed);
    json_put_count(j, "not_let_out", r->refused);
    json_put_count(j, "given_back", r->untried);
    json_put_count(j, "lost", r->lost);
    json_put_count(j, "waiting", left->waiting);
    json_put_count(j, "leased", left->leased);
    json_put_count(j, "dead", left->dead);
    json_put_count(j, "other_kind", left->others);
    json_put_text(j, "last_error", r->last_reason);
    return json_out(j) ? say_no_memory() : 0;
}

/* Prints that `count` waiting pieces are taken only by the other command. */
static void
print_skipped(const struct replay *r, uint64_t count)
{
    const char *name = r->queue_count == 1 ? r->queues[0]->name : "NAME";

    if (r->shell) {
        printf("skipped: %" PRIu64 " %s of exec --defer; to run %s: "
               "bide deferred work %s\n",
               count, text_plural(count, "command", "commands"),
               text_plural(count, "it", "them"), name);
    } else {
        printf("skipped: %" PRIu64 " %s; to process %s: "
               "bide deferred replay %s --exec CMD\n",
               count,
               text_plural(count, "piece that is not a command",
                           "pieces that are not commands"),
               text_plural(count, "it", "them"), name);
    }
}

static void
print_summary(const struct replay *r, const struct remaining *left)
{
    printf("%" PRIu64 " done, %" PRIu64 " failed", r->done, r->failed);
    if (r->refused > 0) {
        printf(", %" PRIu64 " refused", r->refused);
    }
    if (r->untried > 0) {
        printf(", %" PRIu64 " returned", r->untried);
    }
    if (r->lost > 0) {
        printf(", %" PRIu64 " lost", r->lost);
    }
    printf("; remaining: %" PRIu64 " waiting, %" PRIu64 " leased, %" PRIu64
           " dead\n",
           left->waiting, left->leased, left->dead);
    if (*r->last_reason) {
        fputs(r->failed > 0 ? "last failure: " : "reason: ", stdout);
        text_put(stdout, r->last_reason, false);
        putchar('\n');
    }
    if (left->others > 0) {
        print_skipped(r, left->others);
    }
}

int
replay_report(struct replay *r, bool as_json, int rc)
{
    struct remaining left = {.r = r};
    int counted = read_remaining(&left), status = 0;

    replay_clear(r);
    if (rc < 0 || counted < 0) {
        return work_failed(rc < 0 ? rc : counted, "deferred work");
    }
    if (as_json) {
        status = print_json(r, &left);
    } else {
        print_summary(r, &left);
    }
    if (r->cannot_run || r->unwritten ||
        (r->until_empty && left.waiting + left.leased + left.dead > 0)) {
        return STATUS_NO;
    }
    return status;
}
