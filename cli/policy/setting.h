/* KEY=VALUE operands, and what is common to all commands that change. */
#ifndef BIDE_CLI_SETTING_H
#define BIDE_CLI_SETTING_H

#include <stdint.h>

#include "admin/change.h"
#include "cli/command/command.h"
#include "cli/view/count.h"
#include "store/policies/record.h"

struct policy_text;

/* Takes "KEY=VALUE" operands apart, in place; blanks around either are not
 * part of it.  0, or the exit status, and said why. */
int setting_read(struct command_line *line, char **operands,
                 struct admin_setting *out);

/* Sets them in a policy; says the faults.  0 or the exit status. */
int setting_try(struct command_line *line, char **operands,
                struct policy_text *t);

#endif
