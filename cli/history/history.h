/* What was recorded, in rows: stats --since. */
#ifndef BIDE_CLI_HISTORY_H
#define BIDE_CLI_HISTORY_H

#include <bide.h>
#include "cli/command/command.h"
#include "record/past.h"

struct figures;

enum history_by { BY_POLICY, BY_SCOPE, BY_VERSION, BY_MINUTE, BY_HOUR };

struct history_outcome_count {
    char name[64];
    uint64_t count;
};

/* What is added up, of the first interval's begin to the last one's end. */
struct history_row {
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];
    uint32_t version; /* 0 where several may be in it */
    uint64_t slot_ns; /* BY_MINUTE, BY_HOUR: its end */
    uint64_t begin_ns, end_ns;
    uint64_t force_ns; /* BY_VERSION: how long it was in force */
    struct bide_stats stats;
    size_t outcome_count; /* most frequent first */
    struct history_outcome_count *outcomes;
    struct figures *figures; /* NULL once stats holds them */
    char *who, *note;        /* BY_VERSION; may be NULL */
    uint64_t when_ns;        /* BY_VERSION: when it was made */
};

enum { HISTORY_BINS = 60 };

enum history_amount {
    AMOUNT_CALLS,
    AMOUNT_RETRIES,
    AMOUNT_GIVEN_UP,
    AMOUNT_REFUSED,
    HISTORY_AMOUNTS,
};

/* What happened when, for the plots.  What is known of a long time only is
 * spread over it. */
struct history_bins {
    uint64_t step_ns, first_ns; /* the first bin's begin */
    size_t count;
    struct figures *bin[HISTORY_BINS]; /* all that touches it; NULL: nothing */
    double amount[HISTORY_AMOUNTS][HISTORY_BINS];
};

struct history_rows {
    const char *name; /* NULL: all policies */
    enum history_by by;
    bool beside; /* versions: beside each other, not one below the other */
    uint64_t since_ns, until_ns, now_ns;
    uint64_t begin_ns, end_ns; /* covered by what was found */
    size_t count;
    struct history_row *list;
    struct history_bins bins;
    struct past_known past;
};

/* 0 or the exit status, and said why.  history_free in any case. */
int history_read_rows(struct command_line *line, struct history_rows *out);
void history_free(struct history_rows *rows);
uint64_t history_step_ns(enum history_by by); /* 0: not by time */

/* history_version.c: fills in who, note, when and force_ns. */
int history_versions(struct command_line *line, struct history_rows *rows);

/* 0 or BIDE_ENOMEM. */
int history_json(const struct history_rows *rows);
void history_csv(const struct history_rows *rows);
int history_print(const struct history_rows *rows);
void history_plot(const struct history_rows *rows); /* history_plot.c */

/* On stderr, where something could not be read. */
void history_say_damaged(const struct past_known *past, uint64_t count);

/* Whether this command line asks for the past, and does what it asks for. */
bool history_asked(const struct command_line *line);
int history_command(struct command_line *line);

/* Reads --since and --until.  0 or the exit status. */
int history_times(struct command_line *line, uint64_t now_ns,
                  uint64_t *out_since, uint64_t *out_until);

#endif
