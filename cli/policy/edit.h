/* Changes keys as bide set does, for other commands. */
#ifndef BIDE_CLI_EDIT_H
#define BIDE_CLI_EDIT_H

#include <stddef.h>

#include "cli/command/command.h"

struct admin_setting;

/* Sets the keys in every policy, or in none, and prints the result.  The
 * options of the command line apply: --note, --for, ...  Returns 0, or the exit
 * status after it has said why. */
int edit_keys(struct command_line *line, const char *const *names,
              size_t name_count, const struct admin_setting *settings,
              size_t count);

/* Returns the first operand that is not the name of a policy; NULL: all are. */
const char *edit_absent(struct command_line *line);

#endif
