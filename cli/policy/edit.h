/* Changes keys like bide set, for other commands. */
#ifndef BIDE_CLI_EDIT_H
#define BIDE_CLI_EDIT_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/command/command.h"

struct admin_setting;

/* Sets the keys (NULL: deletes) in all policies or, after an error, in none,
 * and prints the result.  Applies --note, --for and the other options of the
 * command line. `undo` ends an override by these keys (struct admin_change).
 * Returns 0, or the exit status after an error message. */
int edit_keys(struct command_line *line, const char *const *names,
              size_t name_count, const struct admin_setting *settings,
              size_t count, bool undo);

#endif
