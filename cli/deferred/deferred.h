/* The parts of `bide deferred`.
 *
 *   deferred.c         list, show, repair
 *   deferred_stats.c   stats: counts of waiting, dead and ended work
 *   deferred_change.c  put, requeue, drop; replay without a command
 *   replay.c           replay, work: process many pieces at a time
 *   replay_print.c     their output
 *   replay_piece.c     one piece: a call whose attempts are a command */
#ifndef BIDE_CLI_DEFERRED_H
#define BIDE_CLI_DEFERRED_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/command/command.h"

struct deferred;
struct deferred_item;

/* Opens the queue; *out belongs to the registry.  Checks that `name`, unless it
 * is NULL, is a policy or has deferred work.  Returns 0, or the exit status
 * after an error message. */
int work_queue(struct command_line *line, const char *name,
               struct deferred **out);

/* Says on standard error how much work may be missing, if any. */
void work_say_lost(struct deferred *d);

/* Prints an error of the queue as "WHAT: WHY"; for BIDE_ENOWORK, `what` is the
 * ID.  Returns the exit status. */
int work_failed(int rc, const char *what);

/* Reads the ID of a piece of work.  Returns 0, or the exit status after an
 * error message. */
int work_id(const char *text, uint64_t *out);

/* The filter of --dead, --error, --since and --until.  The times are compared
 * with the time when the work was stored. */
struct work_filter {
    uint64_t since_ns, until_ns;
    const char *error; /* NULL: any error */
    bool only_dead;
};
/* Reports whether the command line has an option of the filter. */
bool work_filter_asked(const struct command_line *line);
/* Returns 0, or the exit status after an error message. */
int work_filter_read(struct command_line *line, struct work_filter *out);
/* Reports whether the filter accepts `item`; false if the item is damaged. */
bool work_filter_holds(const struct work_filter *f,
                       const struct deferred_item *item);

/* Makes all waiting work due now, for replay without a command.  Returns the
 * exit status. */
int work_all_due(struct command_line *line);

#endif
