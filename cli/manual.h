/* Text for man and bash, made from the tables of commands, options and keys. */
#ifndef BIDE_CLI_MANUAL_H
#define BIDE_CLI_MANUAL_H

#include <stddef.h>

#include "cli/command/command.h"

struct key;

/* Returns the type of a key as a word: "duration". */
const char *manual_type(const struct key *key);

/* Writes the values that a key accepts, such as "one of: none fixed linear".
 * Returns `buffer`, which needs 256 bytes. */
char *manual_values(const struct key *key, char *buffer, size_t size);

/* Writes the words that a key accepts, with blanks between them: "yes no"; ""
 * if there are none.  Returns `buffer`, which needs 256 bytes. */
char *manual_words(const struct key *key, char *buffer, size_t size);

/* Print roff: manual_keys the table of keys of bide.5, manual_commands the
 * commands and options of bide.1. */
void manual_keys(void);
void manual_commands(void);

/* Prints the tables of cli/dist/bide.bash. */
void manual_completion(void);

#endif
