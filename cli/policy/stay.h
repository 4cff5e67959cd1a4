/* Warns of values that a temporary change set and a later change keeps: they
 * stay after the temporary change has ended. */
#ifndef BIDE_CLI_STAY_H
#define BIDE_CLI_STAY_H

#include <stdbool.h>

struct admin_results;

/* For each policy with such values, prints on stderr the values and the command
 * that undoes them.  Returns 0 or BIDE_ENOMEM. */
int stay_say(const struct admin_results *results, bool dry_run);

#endif
