/* Sealed values: bytes on disk after a checksum (CRC-32C, 4 bytes) over their
 * key and themselves.  A value that was moved to another key is detected too.
 */
#ifndef BIDE_STORE_SEAL_H
#define BIDE_STORE_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

#endif
