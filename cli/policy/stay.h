/* What a temporary change set, and a later one keeps: said, for people think
 * that it ends. */
#ifndef BIDE_CLI_STAY_H
#define BIDE_CLI_STAY_H

#include <stdbool.h>

struct admin_results;

/* On stderr, of each policy of which that is so: what stays, and what to do.
 * 0 or BIDE_ENOMEM. */
int stay_say(const struct admin_results *results, bool dry_run);

#endif
