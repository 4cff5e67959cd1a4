/* KEY=VALUE operands. */
#ifndef BIDE_CLI_SETTING_H
#define BIDE_CLI_SETTING_H

#include <stdint.h>

#include "admin/change.h"
#include "cli/command/command.h"
#include "cli/view/count.h"
#include "store/policies/record.h"

struct policy_text;

/* Splits "KEY=VALUE" operands in place, without the blanks around either part.
 * Returns 0, or the exit status after it has said why. */
int setting_read(struct command_line *line, char **operands,
                 struct admin_setting *out);

/* Sets them in a policy and reports the faults.  0 or the exit status. */
int setting_try(struct command_line *line, char **operands,
                struct policy_text *t);

#endif
