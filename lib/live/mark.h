/* Versions of policies and the counts of their cells.  A cell that has counted
 * under one version leaves a mark, a copy of its totals, before it counts for
 * another one.  So each count belongs to one version, whenever it is read. */
#ifndef BIDE_LIVE_MARK_H
#define BIDE_LIVE_MARK_H

#include <stdbool.h>
#include <stdint.h>

#include "counter.h"

/* Makes `version` (0: not defined) the one that a cell counts for, from the
 * commit `txn` on.  Does nothing if the gate of the cell is from a later commit
 * or of another incarnation than `gate`.  Call it before the gate is set. */
void cell_count_for(struct live *l, uint32_t index, uint64_t txn, uint32_t gate,
                    uint32_t version);

/* Reports whether a cell has marks, as far as they are not overwritten. */
bool cell_has_marks(const struct cell *c);

/* The totals of a cell when `version` ended; the last: now. */
struct cell_part {
    uint32_t version;
    bool last;
    bool cut; /* earlier marks are lost: what they had counted is in this one */
    uint64_t counting; /* of the cell, for cell_forget_marks */
    struct cell_reading reading;
};

/* Visits the parts of a cell, in order of time.  Totals never decrease from
 * part to part; marks of which that is not true are left out.  Visits return 0
 * to continue.  Returns the result of the last one, or BIDE_ENOMEM. */
int cell_each_part(struct live *l, uint32_t index,
                   int (*visit)(void *arg, const struct cell_part *part),
                   void *arg);

/* Forgets the marks of a cell, unless it has others than under `counting`. */
void cell_forget_marks(struct cell *c, uint64_t counting);

#endif
