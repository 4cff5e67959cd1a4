/* Snapshots of cells: what a cell had counted at some time in about the last
 * minute.  The figures of "now" are the difference between its counters and a
 * snapshot, so they need no recorder. */
#ifndef BIDE_LIVE_SNAPSHOT_H
#define BIDE_LIVE_SNAPSHOT_H

#include <stdint.h>

#include "counter.h"

/* Takes a snapshot if nobody has taken one for about 10 s.  Needs memory or
 * space on the filesystem; without them does nothing. */
void cell_snapshot(struct live *l, uint32_t index, uint64_t now_ns);

/* Reads the counters of a cell, and what they grew by within the time that it
 * returns, in ns: about a minute, or as long as the cell exists (whole).  It is
 * longer if calls rest, as they take the snapshots, and up to 10 s if they
 * resume.  Of failed attempts `window` has the number, all in the first bucket.
 */
uint64_t cell_read_window(struct live *l, uint32_t index, uint64_t now_ns,
                          struct cell_reading *total,
                          struct cell_reading *window, bool *out_whole);

#endif
