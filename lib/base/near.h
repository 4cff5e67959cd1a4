/* What was probably meant: how far two names are from each other. */
#ifndef BIDE_NEAR_H
#define BIDE_NEAR_H

#include <stddef.h>

/* Edits from `a` to `b`; capitals count as equal. */
int near_distance(const char *a, const char *b);

/* The largest distance at which a misspelt name is worth a hint. */
int near_limit(const char *name);

/* The nearest of `names` to a misspelt one (distance at most 2), or NULL. */
const char *name_near(const char *name, const char *const *names, size_t count);

#endif
