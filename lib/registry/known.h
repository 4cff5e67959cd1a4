/* Structures that may grow: the caller passes one with the size that it knows.
 */
#ifndef BIDE_KNOWN_H
#define BIDE_KNOWN_H

#include <stddef.h>
#include <string.h>

/* The sizes of the first header, of which none is smaller. */
enum {
    KNOWN_OPTIONS = 48,
    KNOWN_HOOKS = 72,
    KNOWN_STATS = 200,
};

/* Copies the fields that both sides know from the caller's structure `from` to
 * `to`, and fills the rest of it with 0.  Returns -1, having written nothing,
 * if a byte of `from` that is not known here is not 0, or if it is smaller than
 * `least`. */
static inline int
known_copy(void *to, size_t to_size, const void *from, size_t from_size,
           size_t least)
{
    const unsigned char *bytes = (const unsigned char *)from;
    size_t both = from_size < to_size ? from_size : to_size;

    if (from_size < least) {
        return -1;
    }
    for (size_t i = to_size; i < from_size; i++) {
        if (bytes[i]) {
            return -1;
        }
    }
    memset(to, 0, to_size);
    memcpy(to, from, both);
    return 0;
}

/* Copies `from` to the caller's structure `to`, and fills what is not known
 * here with 0. */
static inline void
known_give(void *to, size_t to_size, const void *from, size_t from_size)
{
    memset(to, 0, to_size);
    memcpy(to, from, from_size < to_size ? from_size : to_size);
}

#endif
