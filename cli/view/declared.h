/* Rules that programs declare for names that the registry does not define. */
#ifndef BIDE_CLI_DECLARED_H
#define BIDE_CLI_DECLARED_H

struct cell_declared;
struct command_line;
struct policy;

/* Compiles declared rules.  *out is NULL if their text is not valid or does not
 * belong to `name`, because another program wrote into the live file.  Returns
 * 0 or BIDE_ENOMEM. */
int declared_compile(const struct cell_declared *d, const char *name,
                     struct policy **out);

/* Prints the declared rules of the first operand.  Returns the exit status. */
int declared_show(struct command_line *line);

#endif
