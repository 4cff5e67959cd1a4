/* Changes of keys, as bide set makes and reports them, for other commands. */
#ifndef BIDE_CLI_EDIT_H
#define BIDE_CLI_EDIT_H

#include <stddef.h>

#include "cli/command/command.h"

struct admin_setting;

/* Sets the keys in each of the policies, all or none, and says what that did.
 * The options of the command line hold: --note, --for, ...  0, or the exit
 * status, and said why. */
int edit_keys(struct command_line *line, const char *const *names,
              size_t name_count, const struct admin_setting *settings,
              size_t count);

/* The first operand that is no policy's name; NULL: all are. */
const char *edit_absent(struct command_line *line);

#endif
