/* Values on disk with the checksum of their key and their bytes in front, so
 * that a value which was moved to another key is found as well. */
#ifndef BIDE_STORE_SEAL_H
#define BIDE_STORE_SEAL_H

#include <stddef.h>
#include <stdint.h>

enum { SEAL_SMALL_MAX = 4 + 4096 }; /* a live path is the longest value */

/* Adds the checksum: out has 4 + `length` bytes afterwards. */
size_t seal_write(const void *key, size_t key_length, const void *value,
                  size_t length, uint8_t *out);
/* NULL when the checksum does not hold; else the value within `bytes`. */
const uint8_t *seal_read(const void *key, size_t key_length, const void *bytes,
                         size_t length, size_t *out_length);

#endif
