/* CRC-32C (Castagnoli), the checksum of everything on disk. */
#ifndef BIDE_CRC32C_H
#define BIDE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Returns the checksum of `length` more bytes.  `crc` is the checksum of the
 * bytes before them, 0 for none. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t length);

#endif
