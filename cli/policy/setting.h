/* Reads KEY=VALUE operands. */
#ifndef BIDE_CLI_SETTING_H
#define BIDE_CLI_SETTING_H

#include "admin/change.h"
#include "cli/command/command.h"

struct policy_text;

/* Splits "KEY=VALUE" operands in place, without the blanks around key and
 * value.  Returns 0, or the exit status after an error message. */
int setting_read(struct command_line *line, char **operands,
                 struct admin_setting *out);

/* Sets the operands in a policy and prints the faults.  Returns 0 or the exit
 * status. */
int setting_try(struct command_line *line, char **operands,
                struct policy_text *t);

#endif
