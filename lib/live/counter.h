/* Counting, and reading what was counted. */
#ifndef BIDE_LIVE_COUNTER_H
#define BIDE_LIVE_COUNTER_H

#include <stdint.h>

#include <bide.h>
#include "layout.h"

struct live;

/* A cell's stripe, reserved and mapped.  NULL when there is no space: count
 * into live_scrap then.  Stays valid until live_close. */
struct stripe *cell_stripe(struct live *l, uint32_t index, uint32_t stripe);
struct stripe *live_scrap(struct live *l); /* private memory */

/* Where a cell's breaker and budget keep what does not fit into the cell.  NULL
 * when there is no space.  Stays valid until live_close. */
struct guard_rings *cell_guard(struct live *l, uint32_t index);
/* A copy of that, zeros where nothing was kept yet.  Takes no space. */
void cell_guard_read(struct live *l, uint32_t index, struct guard_rings *out);

/* Counts an outcome by its code in the cell's table of outcomes.  Without
 * space: does nothing. */
void cell_count_outcome(struct live *l, uint32_t index, struct bide_outcome o);

struct cell_outcome {
    char name[64]; /* "http.503" */
    uint64_t count;
};

/* A reading: all stripes added up. */
struct cell_reading {
    uint64_t counter[COUNTER_COUNT];
    uint64_t succeeded[HISTOGRAM_BUCKETS], failed[HISTOGRAM_BUCKETS];
    uint32_t outcome_count; /* sorted, most frequent first */
    struct cell_outcome outcome[CELL_OUTCOMES + 1]; /* the last: "other" */
    uint64_t unnamed; /* of "other": what may have a name later */
};

/* All zeros where nothing was counted.  Takes no space. */
void cell_read(struct live *l, uint32_t index, struct cell_reading *out);

/* Moves what was counted into one live state over to another; for when a
 * registry appears.  Each count is moved exactly once; what the target has no
 * space for stays where it is. */
void cell_fold(struct live *from, uint32_t from_index, struct live *to,
               uint32_t to_index);

#endif
