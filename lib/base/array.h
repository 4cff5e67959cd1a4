/* Growing arrays, the one way to append to a list. */
#ifndef BIDE_ARRAY_H
#define BIDE_ARRAY_H

#include <stddef.h>

/* Returns `list` with room for one more element after its `count` elements of
 * `size` bytes, or NULL without memory; `list` is valid and unchanged then.
 * NULL is an empty list.  The caller frees with free.  Room is doubled whenever
 * `count` is a power of two, so no capacity has to be kept: all elements but
 * the first `count` may be anything.  For a list that only array_more
 * allocates. */
void *array_more(void *list, size_t count, size_t size);

#endif
