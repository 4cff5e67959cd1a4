/* bide top: the policies of a host on a terminal, by ncurses (the only user).
 *
 *   top.c       the loop: keys, filter, prompts
 *   top_read.c  what is shown: rows, trends, and the output of commands
 *   top_draw.c  the screen
 *   top_act.c   actions: a command is run with --dry-run, shown, then run */
#ifndef BIDE_CLI_TOP_H
#define BIDE_CLI_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/draft.h"
#include "cli/live/list.h"
#include "cli/view/trend.h"

struct top_row {
    struct admin_cell cell; /* points to nothing */
    struct admin_guard worst;
    double rank;
    uint32_t version, waiting; /* 0: not defined */
    bool paused;
    int level; /* enum alarm_level */
    char why[ALARM_WORDS + 64], rules[128];
    uint64_t since_ns; /* of the level; 0: unknown */
};

struct top {
    const char *dir;
    enum now_figure sort;
    bool by_name;
    char filter[64];
    size_t count;
    struct top_row *rows; /* by rank, those that the filter chooses */
    struct trend trend;
    uint64_t read_ns, took_ns; /* CLOCK_MONOTONIC; of CPU time */
    char failure[160];         /* of the last reading; "": none */
    char unrecorded[160];      /* the recorder has stopped; "": it has not */
    char selected[BIDE_NAME_MAX + 1];
    size_t first;        /* row at the top of the screen */
    char *detail;        /* text about the selected policy; NULL: the list */
    size_t line, column; /* its first line and column on the screen */
    bool help;
};

/* ---- top_read.c ---- */

/* Reads all rows; on failure those of before stay. */
void top_read(struct top *t);
/* Returns ms until they are read again: 2 s, or so that it takes 2 % of a
 * core. */
int top_wait_ms(const struct top *t);
void top_sort(struct top *t);
struct top_row *top_selected(struct top *t); /* NULL: there are no rows */
/* Fills t->detail. */
void top_read_detail(struct top *t);
/* Appends what the command "bide --dir DIR WORDS" prints, safe for terminals.
 * Returns its exit status. */
int top_run(const struct top *t, const char *const *words, struct draft *out);

/* ---- top_draw.c ---- */

void top_draw(struct top *t);
/* Draws the text instead of the list, and `question` below it. */
void top_draw_text(const char *text, size_t line, size_t column,
                   const char *question);

/* ---- top_act.c ---- */

/* Asks, shows what would change, asks again and does it. */
void top_act(struct top *t, int key);
/* Lets the user edit a line.  Returns false if that was cancelled. */
bool top_ask(const char *question, char *text, size_t size);

#endif
