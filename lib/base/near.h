/* Suggests a name for a misspelt one. */
#ifndef BIDE_NEAR_H
#define BIDE_NEAR_H

#include <stdbool.h>

/* Returns the number of edits from `a` to `b`; 64 if one of them is longer than
 * 64 bytes.  Ignores case. */
int near_distance(const char *a, const char *b);

/* The candidate that needs the fewest edits, the first of several. */
struct near {
    const char *name, *best; /* NULL: none is near */
    int distance;
};
struct near near_begin(const char *name);
/* Reports whether `candidate` is the best one so far, and then keeps it. */
bool near_offer(struct near *n, const char *candidate);

#endif
