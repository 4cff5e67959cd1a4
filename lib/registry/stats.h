/* Statistics of bide.h from the counters of a cell. */
#ifndef BIDE_STATS_H
#define BIDE_STATS_H

#include "live/live.h"

/* Fills *out.  `version`: the one in force, 0: not defined. */
void stats_from(const struct cell_reading *r, uint32_t version,
                struct bide_stats *out);

#endif
