/* Sealed values: bytes on disk after a checksum (CRC-32C, 4 bytes) over their
 * key and themselves.  A value that was moved to another key is detected too.
 */
#ifndef BIDE_STORE_SEAL_H
#define BIDE_STORE_SEAL_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { SEAL_SMALL_MAX = 4 + 4096 }; /* a live path is the longest value */

/* Writes the checksum and then the value to `out`.  Returns 4 + `length`. */
size_t seal_write(const void *key, size_t key_length, const void *value,
                  size_t length, uint8_t *out);
/* Returns the value within `bytes`, or NULL if the checksum is wrong;
 * `out_length` is unchanged then. */
const uint8_t *seal_read(const void *key, size_t key_length, const void *bytes,
                         size_t length, size_t *out_length);
/* Copies the value to `out`.  Returns false, and leaves `out` as it is, if the
 * checksum is wrong or the value does not have `size` bytes. */
bool seal_copy(const void *key, size_t key_length, const void *bytes,
               size_t length, void *out, size_t size);

/* ---- keys, and strings without a NUL ---- */

/* Writes a number of `size` bytes, the highest byte first, as LMDB orders keys
 * by their bytes.  Returns the end. */
static inline uint8_t *
key_put(uint8_t *to, uint64_t number, size_t size)
{
    number = htobe64(number << (64 - 8 * size));
    memcpy(to, &number, size);
    return to + size;
}

static inline uint64_t
key_get(const void *from, size_t size)
{
    uint64_t number = 0;

    memcpy(&number, from, size);
    return be64toh(number) >> (64 - 8 * size);
}

/* Appends bytes at `to`, and returns the end. */
static inline uint8_t *
key_append(uint8_t *to, const void *bytes, size_t length)
{
    if (length) {
        memcpy(to, bytes, length);
    }
    return to + length;
}

/* Copies `length` bytes to a string, and returns the end of the bytes. */
static inline const uint8_t *
key_text(const uint8_t *from, char *to, size_t length)
{
    memcpy(to, from, length);
    to[length] = '\0';
    return from + length;
}

#endif
