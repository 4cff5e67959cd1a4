/* Texts for other programs, made from the tables: man, and bash. */
#ifndef BIDE_CLI_MANUAL_H
#define BIDE_CLI_MANUAL_H

#include <stddef.h>

#include "cli/command/command.h"

struct key;

/* What may stand behind a key: "one of none, fixed, linear".  Returns the
 * buffer, which needs 256 bytes. */
char *manual_values(const struct key *key, char *buffer, size_t size);

/* The table of keys for bide.5, those of commands and options for bide.1, in
 * roff. */
void manual_keys(void);
void manual_commands(void);

/* cli/dist/bide.bash. */
void manual_completion(void);

#endif
