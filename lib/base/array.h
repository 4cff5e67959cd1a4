/* Lists that grow: the one way to append to an array. */
#ifndef BIDE_ARRAY_H
#define BIDE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>

/* Returns `list` with room for one more element after its `count` elements of
 * `size` bytes, or NULL if out of memory; `list` is valid and unchanged then.
 * NULL is an empty list.  The caller frees with free.  Room is doubled whenever
 * `count` is a power of two, so no capacity has to be kept.  Elements after the
 * first `count` are not initialised.  Only for a list that array_more itself
 * allocated. */
void *array_more(void *list, size_t count, size_t size);

/* Appends a zeroed element to such a list.  `list` points to the pointer to it.
 * Returns the element; NULL if out of memory, and changes nothing then. */
void *array_add(void *list, size_t *count, size_t size);
/* Appends a copy of an element, as array_add; false: out of memory. */
bool array_put(void *list, size_t *count, const void *element, size_t size);

#endif
