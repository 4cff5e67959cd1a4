/* Suggests a name for a misspelt one. */
#ifndef BIDE_NEAR_H
#define BIDE_NEAR_H

#include <stddef.h>

/* Returns the number of edits from `a` to `b`; 64 if one of them is longer than
 * 64 bytes.  Ignores case. */
int near_distance(const char *a, const char *b);

/* Returns the largest number of edits from `name` to a suggestion for it.
 */
int near_limit(const char *name);

/* Returns the name in `names` that needs the fewest edits, or NULL if all of
 * them exceed near_limit(name). */
const char *near_name(const char *name, const char *const *names, size_t count);

#endif
