/* The pieces of `bide deferred`: work that was put off.
 *
 *   deferred.c         list, show: what there is
 *   deferred_stats.c   stats: how much, and what became of the rest
 *   deferred_change.c  put, requeue, drop, and what is due now
 *   replay.c           replay, work: doing it, many pieces at a time
 *   replay_piece.c     one piece: a call whose attempts are a command */
#ifndef BIDE_CLI_DEFERRED_H
#define BIDE_CLI_DEFERRED_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/command/command.h"

struct deferred;
struct deferred_item;

/* The queue; it belongs to the registry.  0, or the exit status, said why. */
int work_queue(struct command_line *line, struct deferred **out);

/* A failure of the queue, in its words.  Returns the exit status. */
int work_failed(int rc, const char *what);

/* The number of a piece.  0, or the exit status, said why. */
int work_id(const char *text, uint64_t *out);
int work_no_id(const char *text); /* there is no such piece: STATUS_ABSENT */

/* 0 where `name` is a policy or has work; else the exit status, said why. */
int work_name(struct command_line *line, struct deferred *d, const char *name);

/* Which work is meant: by --dead, --error, and --since and --until, which are
 * about when it was stored. */
struct work_filter {
    uint64_t since_ns, until_ns;
    const char *error; /* NULL: any */
    bool only_dead;
};
bool work_filter_asked(const struct command_line *line);
/* 0, or the exit status, said why. */
int work_filter_read(struct command_line *line, struct work_filter *out);
/* Not a damaged piece: nothing is known of it. */
bool work_filter_holds(const struct work_filter *f,
                       const struct deferred_item *item);

/* Makes all that waits due at once: replay without a command. */
int work_all_due(struct command_line *line);

#endif
