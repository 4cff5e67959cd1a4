/* What past.c, alarm.c and record.c share. */
#ifndef BIDE_RECORD_PAST_INSIDE_H
#define BIDE_RECORD_PAST_INSIDE_H

#include "live/live.h"
#include "past.h"

/* What a cell has counted; `outcome` gives the number of an outcome's name. */
void past_total(const struct cell_reading *reading, struct guard_rings *rings,
                uint32_t (*outcome)(void *arg, const char *name), void *arg,
                struct figures *out);

/* Whether a cell is recorded, and under which name: groups of budgets are
 * too, as @group. */
bool past_cell_name(const struct cell *c, char name[BIDE_NAME_MAX + 1],
                    char scope[BIDE_NAME_MAX + 1]);

#endif
