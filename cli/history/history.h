/* stats --since: recorded statistics, added up in rows. */
#ifndef BIDE_CLI_HISTORY_H
#define BIDE_CLI_HISTORY_H

#include <bide.h>
#include "cli/command/command.h"
#include "live/counter.h"
#include "record/past.h"

struct figures;

enum history_by { BY_POLICY, BY_SCOPE, BY_VERSION, BY_MINUTE, BY_HOUR };

/* The sum of intervals, from the first one's begin to the last one's end. */
struct history_row {
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];
    uint32_t version; /* with BY_VERSION; else 0 */
    uint64_t slot_ns; /* with BY_MINUTE and BY_HOUR: end of the slot; else 0 */
    uint64_t begin_ns, end_ns;
    uint64_t force_ns; /* with BY_VERSION: time that the version was in force */
    struct bide_stats stats;
    size_t outcome_count; /* most frequent first */
    struct cell_outcome *outcomes;
    struct figures *figures; /* sums while reading; NULL after finish_row */
    char *who, *note;        /* with BY_VERSION: the author and note, or NULL */
    uint32_t uid;            /* of the author */
    uint64_t when_ns;        /* with BY_VERSION: when the version was made */
};

enum { HISTORY_BINS = 60 };

enum history_amount {
    AMOUNT_CALLS,
    AMOUNT_RETRIES,
    AMOUNT_FAILED,
    AMOUNT_REFUSED,
    HISTORY_AMOUNTS,
};

/* Amounts over time, for plots.  Intervals are divided among their bins. */
struct history_bins {
    uint64_t step_ns, first_ns; /* the first bin's begin */
    size_t count;
    struct figures *bin[HISTORY_BINS]; /* of overlapping intervals, or NULL */
    double amount[HISTORY_AMOUNTS][HISTORY_BINS];
};

struct history_rows {
    const char *name; /* NULL: all policies */
    enum history_by by;
    bool beside; /* versions side by side, one column for each */
    uint64_t since_ns, until_ns, now_ns;
    uint64_t begin_ns, end_ns; /* of all rows together */
    size_t count;
    struct history_row *list; /* by name, scope, version and slot */
    struct history_bins bins;
    struct history_known past;
};

/* Reads the rows that the command line selects.  Returns 0 or, after an error
 * message, the exit status.  Release with history_free in both cases. */
int history_read_rows(struct command_line *line, struct history_rows *out);
void history_free(struct history_rows *rows);
/* Returns the length of a slot, 0 if rows are not by time. */
uint64_t history_step_ns(enum history_by by);

/* Sets who, note, when_ns, force_ns.  Returns like history_read_rows. */
int history_versions(struct command_line *line, struct history_rows *rows);

int history_json(const struct history_rows *rows); /* 0 or BIDE_ENOMEM */
void history_csv(const struct history_rows *rows);
void history_plot(const struct history_rows *rows); /* history_plot.c */
/* Prints on stderr that `count` records or pages are damaged. */
void history_say_damaged(const struct history_known *past, uint64_t count);

/* Reports whether history_command has to run the command line. */
bool history_asked(const struct command_line *line);
int history_command(struct command_line *line);

/* Reads --since (default 0) and --until (default UINT64_MAX).  Returns 0, or
 * the exit status after an error message. */
int history_times(struct command_line *line, uint64_t now_ns,
                  uint64_t *out_since, uint64_t *out_until);

#endif
