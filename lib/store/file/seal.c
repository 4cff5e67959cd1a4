#include "seal.h"

#include "base/crc32c.h"

enum { CRC = 4 };

/* ---- small values ---- */

size_t
seal_write(const void *key, size_t key_length, const void *value, size_t length,
           uint8_t *out)
{
    uint32_t crc = crc32c(crc32c(0, key, key_length), value, length);

    memcpy(out, &crc, CRC);
    return (size_t)(key_append(out + CRC, value, length) - out);
}

const uint8_t *
seal_read(const void *key, size_t key_length, const void *bytes, size_t length,
          size_t *out_length)
{
    const uint8_t *value = (const uint8_t *)bytes + CRC;
    uint32_t crc;

    if (length < CRC) {
        return NULL;
    }
    memcpy(&crc, bytes, CRC);
    if (crc != crc32c(crc32c(0, key, key_length), value, length - CRC)) {
        return NULL;
    }
    *out_length = length - CRC;
    return value;
}

bool
seal_copy(const void *key, size_t key_length, const void *bytes, size_t length,
          void *out, size_t size)
{
    const uint8_t *value = seal_read(key, key_length, bytes, length, &length);

    if (!value || length != size) {
        return false;
    }
    memcpy(out, value, size);
    return true;
}
