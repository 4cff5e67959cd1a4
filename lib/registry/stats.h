/* From a reading of a cell to the figures people ask for. */
#ifndef BIDE_STATS_H
#define BIDE_STATS_H

#include "live/live.h"

void stats_from(const struct cell_reading *r, uint32_t version,
                struct bide_stats *out);

#endif
