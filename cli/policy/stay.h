/* Warns of values that a temporary change set and a later change keeps: they
 * outlast the end of the temporary one. */
#ifndef BIDE_CLI_STAY_H
#define BIDE_CLI_STAY_H

#include <stdbool.h>

struct admin_results;

/* Says on stderr, for each policy with such values, which they are and what to
 * do.  0 or BIDE_ENOMEM. */
int stay_say(const struct admin_results *results, bool dry_run);

#endif
