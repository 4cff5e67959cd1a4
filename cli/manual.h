/* Text about keys, made from their table. */
#ifndef BIDE_CLI_MANUAL_H
#define BIDE_CLI_MANUAL_H

#include <stddef.h>

struct key;

/* Returns the type of a key as a word: "duration". */
const char *manual_type(const struct key *key);

/* Writes the values that a key accepts, such as "one of: none fixed linear".
 * Returns `buffer`, which needs 256 bytes. */
char *manual_values(const struct key *key, char *buffer, size_t size);

/* Writes the words that a key accepts, with blanks between them: "yes no"; ""
 * if there are none.  Returns `buffer`, which needs 256 bytes. */
char *manual_words(const struct key *key, char *buffer, size_t size);

#endif
