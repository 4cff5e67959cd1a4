/* Functions that past.c, alarm.c and record.c share. */
#ifndef BIDE_RECORD_PAST_INSIDE_H
#define BIDE_RECORD_PAST_INSIDE_H

#include "live/live.h"
#include "past.h"

/* Keeps a failure to read history.mdb.  Returns rc. */
int past_fail_history(struct past *p, int rc);

/* Fills *out with the totals of a cell.  `outcome` returns the number of an
 * outcome's name; 0: it has none. */
void past_total(const struct cell_reading *reading,
                uint32_t (*outcome)(void *arg, const char *name), void *arg,
                struct figures *out);

/* Returns a cell if it is recorded, with its name and scope; else NULL.  Budget
 * groups are recorded too, as "@group".  A cell that its names do not lead to
 * is not: it is being freed, and another may have these names. */
struct cell *past_cell(struct live *l, uint32_t index,
                       char name[BIDE_NAME_MAX + 1],
                       char scope[BIDE_NAME_MAX + 1]);

#endif
