/* bide deferred put, requeue, drop; and replay without a command, which only
 * makes work due. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/read.h"
#include "admin/change.h"
#include "admin/open.h"
#include "base/array.h"
#include "call/defer.h"
#include "cli/command/say.h"
#include "cli/out/text.h"
#include "cli/policy/change.h"
#include "cli/policy/source.h"
#include "policy/policy.h"
#include "store/queue/queue.h"
#include "deferred.h"

/* ---- all that a filter finds ---- */

/* The IDs of the work that a filter selects.  Leased work is left out, because
 * a worker is processing it. */
struct found_work {
    struct work_filter filter;
    bool also_dead;
    size_t count;
    uint64_t *ids;
};

static int
collect_id(void *arg, const struct deferred_item *item)
{
    struct found_work *f = arg;

    if (!work_filter_holds(&f->filter, item) ||
        (item->state != DEFERRED_WAITING &&
         (item->state != DEFERRED_DEAD || !f->also_dead))) {
        return 0;
    }
    return array_put(&f->ids, &f->count, &item->id, sizeof(item->id))
               ? 0
               : BIDE_ENOMEM;
}

static int
wake_worker_of(void *arg, const struct deferred_counts *c)
{
    admin_deferred_arrived(arg, c->policy);
    return 0;
}

/* A change by an operator. */
struct work_change {
    enum deferred_did kind;
    const char *did, *now; /* "dropped 7 of mail ...", "3 pieces are dropped" */
};
static const struct work_change requeueing = {DEFERRED_REQUEUED, "requeued",
                                              "due now"};
static const struct work_change dropping = {DEFERRED_DROPPED, "dropped",
                                            "dropped"};

static int
change_listed(struct command_line *line, struct deferred *d,
              const struct work_change *change, const struct found_work *f)
{
    struct change by;
    int status = change_begin(line, &by), rc;
    size_t count = 0;

    if (status == 0) {
        struct deferred_by who = {by.change.who, by.change.note, by.change.uid};

        rc = deferred_change_each(d, change->kind, f->ids, f->count, &who,
                                  &count);
        status = rc ? work_failed(rc, "deferred work") : 0;
    }
    change_end(&by);
    if (status == 0 && count > 0) {
        say_changed();
    }
    if (status == 0 || count > 0) {
        printf("%zu %s %s\n", count,
               text_plural(count, "piece is", "pieces are"), change->now);
    }
    return status;
}

static int
change_found(struct command_line *line, const struct work_change *change,
             bool also_dead)
{
    const char *name = line->operands[0];
    struct found_work f = {.also_dead = also_dead};
    struct deferred *d;
    int status = work_filter_read(line, &f.filter), rc;

    status = status ? status : work_queue(line, name, &d);
    if (status) {
        return status;
    }
    rc = deferred_each(d, name, collect_id, &f);
    status = rc < 0 ? work_failed(rc, "deferred work")
                    : change_listed(line, d, change, &f);
    if (name) {
        admin_deferred_arrived(line->registry, name);
    } else {
        deferred_counts(d, wake_worker_of, line->registry);
    }
    free(f.ids);
    return status;
}

int
work_all_due(struct command_line *line)
{
    return change_found(line, &requeueing, false);
}

/* ---- requeue, drop: by ID ---- */

/* Prints the change of a piece; `item` is its state before the change. */
static void
print_changed(const char *did, const struct deferred_item *item,
              const struct deferred_by *by)
{
    printf("%s %" PRIu64 " of ", did, item->id);
    text_put(stdout, *item->policy ? item->policy : "(damaged)", false);
    printf(" (%" PRIu32 " %s)", item->attempts,
           text_plural(item->attempts, "attempt", "attempts"));
    fputs(" by ", stdout);
    text_put(stdout, author_write(by->who, by->uid).text, false);
    if (by->note) {
        fputs(": ", stdout);
        text_put(stdout, by->note, false);
    }
    putchar('\n');
}

static int
change_one(struct admin *a, struct deferred *d, const char *text,
           const struct work_change *change, const struct admin_change *by)
{
    struct deferred_by who = {by->who, by->note, by->uid};
    struct deferred_item item = {0};
    uint64_t id;
    int status = work_id(text, &id), rc;

    if (status) {
        return status;
    }
    rc = deferred_get(d, id, &item);
    if (rc == BIDE_EDAMAGED) {
        rc = 0; /* a damaged piece can still be dropped */
        item.id = id;
    }
    rc = rc ? rc : deferred_change(d, change->kind, id, &who);
    if (rc == 0) {
        print_changed(change->did, &item, &who);
        if (*item.policy) {
            admin_deferred_arrived(a, item.policy);
        }
    } else {
        status = work_failed(rc, text);
    }
    deferred_item_free(&item);
    return status;
}

static int
check_work_id(const char *text)
{
    uint64_t id;

    if (*text >= 'a' && policy_name_ok(text)) {
        say("%s: not an ID of deferred work", text);
        say("to choose work of the policy %s, add --dead, --error, --since or "
            "--until",
            text);
        return STATUS_INPUT;
    }
    return work_id(text, &id);
}

/* Changes each piece that the command line names; an error does not stop it.
 * Returns the exit status of the first error.  If an ID is invalid, changes
 * nothing. */
static int
change_each(struct command_line *line, const struct work_change *change)
{
    struct change by;
    struct deferred *d;
    int status = work_queue(line, NULL, &d);

    if (status) {
        return status;
    }
    status = change_begin(line, &by);
    for (int i = 0; i < line->count && status == 0; i++) {
        status = check_work_id(line->operands[i]);
    }
    if (status == 0) {
        for (int i = 0; i < line->count; i++) {
            int one = change_one(line->registry, d, line->operands[i], change,
                                 &by.change);

            status = status ? status : one;
        }
        if (status == 0) {
            say_changed();
        }
    }
    change_end(&by);
    return status;
}

/* Changes the work with the given IDs, or the work that the filter selects. */
static int
change_chosen(struct command_line *line, const struct work_change *change)
{
    if (!work_filter_asked(line)) {
        return line->count > 0
                   ? change_each(line, change)
                   : say_usage(line, "no work was chosen: give IDs, or --dead, "
                                     "--error, --since or --until");
    }
    return line->count > 1
               ? say_usage(line, "with --dead, --error, --since or --until, "
                                 "give at most one policy, and no IDs")
               : change_found(line, change, true);
}

int
deferred_requeue_command(struct command_line *line)
{
    return change_chosen(line, &requeueing);
}

int
deferred_drop_command(struct command_line *line)
{
    return change_chosen(line, &dropping);
}

/* ---- put ---- */

/* Reads standard input and refuses more than BIDE_WORK_MAX bytes.  Returns 0,
 * or the exit status after an error message. */
static int
read_work_stdin(char **out_bytes, size_t *out_length)
{
    int rc =
        source_read_all(STDIN_FILENO, BIDE_WORK_MAX, out_bytes, out_length);

    if (rc == BIDE_ESYS && errno == EFBIG) {
        say("standard input: at most %d bytes can be deferred", BIDE_WORK_MAX);
        return STATUS_INPUT;
    }
    return rc == BIDE_ESYS ? say_errno("standard input")
           : rc            ? say_no_memory()
                           : 0;
}

static int
check_text_length(const char *option, const char *text, size_t most)
{
    if (text && strlen(text) > most) {
        say("--%s: longer than %zu bytes", option, most);
        return STATUS_INPUT;
    }
    return 0;
}

static int
store_work(struct command_line *line, const struct bide_work *work)
{
    const char *name = line->operands[0];
    struct bide_policy *policy;
    struct bide *bide;
    uint64_t id;
    bool found;
    int rc = bide_open(line->option[OPTION_DIR], 0, &bide);

    if (rc) {
        return say_failure(rc, "registry");
    }
    rc = bide_lookup(bide, name, NULL, &policy);
    rc = rc ? rc : defer_put(policy, work, &id, &found);
    bide_close(bide);
    if (rc) {
        return work_failed(rc, name);
    }
    say_changed();
    printf("%" PRIu64 "\n", id);
    if (found) {
        say("%s: work with the key %s is already deferred: nothing was changed",
            name, work->key);
    }
    return STATUS_DONE;
}

int
deferred_put_command(struct command_line *line)
{
    struct bide_work work = {.type = line->option[OPTION_TYPE],
                             .key = line->option[OPTION_KEY]};
    char *bytes = NULL;
    int status = say_unless_found(line->registry, line->operands[0], NULL);

    if (status) {
        return status;
    }
    status = check_text_length("type", work.type, BIDE_WORK_TYPE_MAX);
    status =
        status ? status : check_text_length("key", work.key, BIDE_WORK_KEY_MAX);
    status = status ? status : read_work_stdin(&bytes, &work.length);
    if (status == 0) {
        work.bytes = bytes;
        status = store_work(line, &work);
    }
    free(bytes);
    return status;
}
