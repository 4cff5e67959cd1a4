/* Counts in cells, and reads the counters. */
#ifndef BIDE_LIVE_COUNTER_H
#define BIDE_LIVE_COUNTER_H

#include <stdint.h>

#include <bide.h>
#include "layout.h"
#include "live/words/who.h"

struct live;

/* Returns a stripe of a cell, reserved and mapped, valid until live_close. NULL
 * if there is no space: count in live_scrap then. */
struct stripe *cell_stripe(struct live *l, uint32_t index, uint32_t stripe);

/* Returns a stripe in private memory, which nobody reads. */
struct stripe *live_scrap(struct live *l);

/* Return the windows of a cell's breaker and budget, and its counts of whole
 * calls, valid until live_close.  NULL if there is no space. */
struct guard_rings *cell_guard(struct live *l, uint32_t index);
struct whole_calls *cell_calls(struct live *l, uint32_t index);

/* Copies the windows, zeros if there are none.  Takes no space. */
void cell_guard_read(struct live *l, uint32_t index, struct guard_rings *out);

/* Counts an outcome by its code in the cell's table of outcomes.  Does nothing
 * if there is no space. */
void cell_count_outcome(struct live *l, uint32_t index, struct bide_outcome o);

struct cell_outcome {
    char name[64]; /* "http.503" */
    uint64_t count;
};
int cell_outcome_order(const void *a, const void *b); /* by frequency */

/* Totals of the breaker and the budget, in the order of struct guard_rings. */
enum guard_total {
    TOTAL_TURNED,
    TOTAL_OPENED,
    TOTAL_CLOSED,
    TOTAL_HALF_OPENED,
    TOTAL_BUDGET_REFUSED,
    GUARD_TOTALS,
};

struct cell_reading {
    uint64_t counter[COUNTER_COUNT];
    uint64_t succeeded[HISTOGRAM_BUCKETS], failed[HISTOGRAM_BUCKETS];
    struct call_counts calls;
    uint32_t outcome_count; /* sorted, most frequent first */
    struct cell_outcome outcome[CELL_OUTCOMES + 1]; /* the last: "other" */
    uint64_t unnamed; /* part of "other": their names are not written yet */
    uint64_t guard[GUARD_TOTALS];
};

/* Reads the counters of a cell, zeros if it has none.  Takes no space. */
void cell_read(struct live *l, uint32_t index, struct cell_reading *out);

/* The rules that a program declares for a name without a policy, as text of a
 * policy file: its section, then those that it extends. */
struct cell_declared {
    struct who by;
    uint64_t when_ns; /* CLOCK_REALTIME */
    uint64_t rank;    /* the highest is shown: may run, then the newest */
    char text[DECLARED_WORDS * 8 + 1]; /* may hold any bytes */
};
/* Writes such rules of this process, cut at the size of the text, if there is
 * space and no other process that runs (`again`: may run) has written its. */
void cell_declare(struct live *l, uint32_t index, const char *text, bool again);
/* Reads the last ones; false: there are none.  Takes no space. */
bool cell_declared(struct live *l, uint32_t index, struct cell_declared *out);
void cell_reading_add(struct cell_reading *sum, const struct cell_reading *r);

/* Sets all of a cell's body to 0, for another name. */
void cell_clear(struct live *l, uint32_t index);

/* Fill in the totals of a breaker and of a budget, from the guarded counters
 * that `read` returns. */
typedef uint64_t counter_read(void *arg, enum counter which);
void tally_of_breaker(counter_read *read, void *arg, struct tally *out);
void tally_of_budget(counter_read *read, void *arg, struct tally *out);

/* Moves the counts of a cell, each once, to one of another live state, when a
 * registry appears.  Counts for which there is no space stay. */
void cell_fold(struct live *from, uint32_t from_index, struct live *to,
               uint32_t to_index);

#endif
