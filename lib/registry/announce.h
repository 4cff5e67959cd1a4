/* Announces a committed change of policies to all processes: writes the gates
 * of the cells, moves their generations, wakes waiting calls, and rings the
 * bell of event loops.  Not thread-safe for one `l` and `r`. */
#ifndef BIDE_ANNOUNCE_H
#define BIDE_ANNOUNCE_H

#include "live/live.h"
#include "policy/group.h"
#include "store/policies/reader.h"
#include "name_list.h"

/* Announces commit `txn` to the cells of the touched policies, in all scopes,
 * and of undefined names if `default` is touched; then marks `txn` as
 * announced. `touched` is sorted; NULL: any policy may have changed (a writer
 * was killed before it announced).  Returns the number of threads that were
 * woken. */
uint32_t announce(struct live *l, struct reader *r, const struct names *touched,
                  uint64_t txn);

/* Switches off the budgets of groups that are not in `used`, so that they start
 * full when a policy joins them again. */
void announce_groups(struct live *l, struct reader *r,
                     const struct groups *used, uint64_t txn);

/* Returns the last commit that was announced. */
uint64_t announced(struct live *l);

/* Reports that the registry is older than one that calls followed, or was, and
 * no recording has noted it. */
bool announce_is_older(struct live *l, struct reader *r);

/* Returns the number of cells whose gate is not the one that the registry
 * demands, so that calls do not follow their policy; `first` is the policy of
 * one of them. */
uint32_t announce_wrong_gates(struct live *l, struct reader *r,
                              char first[BIDE_NAME_MAX + 1]);
/* Announces the last commit to all cells, if nobody did or a gate is wrong. */
void announce_repair(struct live *l, struct reader *r);

#endif
