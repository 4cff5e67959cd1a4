/* Finds the name that was probably meant by a misspelt one. */
#ifndef BIDE_NEAR_H
#define BIDE_NEAR_H

#include <stddef.h>

/* Returns the number of edits from `a` to `b`.  Ignores case. */
int near_distance(const char *a, const char *b);

/* Returns the largest distance at which another name is suggested for `name`.
 */
int near_limit(const char *name);

/* Returns the nearest of `names`, or NULL if none is within the limit. */
const char *name_near(const char *name, const char *const *names, size_t count);

#endif
