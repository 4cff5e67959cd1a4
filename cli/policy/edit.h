/* Changes keys like bide set, for other commands. */
#ifndef BIDE_CLI_EDIT_H
#define BIDE_CLI_EDIT_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/command/command.h"

struct admin_results;
struct admin_setting;
struct change;
struct faults;

/* Sets the keys (NULL: deletes) in all policies, the first operands, or, after
 * an error, in none, and prints the result.  Applies --note, --for and the
 * other options of the command line. `undo` ends the forcing by the one key,
 * which has no value.  Returns 0, or the exit status after an error message. */
int edit_keys(struct command_line *line, size_t names,
              const struct admin_setting *settings, size_t count, bool undo);

/* Prints the result of a change of the first operand or, if `rc` is not 0, why
 * it failed; frees the results and faults.  Returns the exit status. */
int edit_end(struct command_line *line, struct change *c, int rc,
             struct admin_results *results, struct faults *faults);

/* Prints the result of a change, and frees the results.  `faults` NULL, or the
 * warnings that are added to the JSON. */
int edit_report(struct command_line *line, struct change *c,
                struct admin_results *results, const struct faults *faults);

#endif
