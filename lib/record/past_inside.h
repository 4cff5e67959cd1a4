/* Functions that past.c, alarm.c and record.c share. */
#ifndef BIDE_RECORD_PAST_INSIDE_H
#define BIDE_RECORD_PAST_INSIDE_H

#include "live/live.h"
#include "past.h"

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

/* As past_each_interval.  Since the last recording, reads only the counts of
 * names that `wanted` returns true for (NULL: all): that takes long. */
typedef bool past_wanted_fn(void *arg, const char *name);
int past_each_wanted(struct past *p, const struct history_range *range,
                     past_wanted_fn *wanted, history_visit_fn *visit, void *arg,
                     struct history_known *out);

#endif
