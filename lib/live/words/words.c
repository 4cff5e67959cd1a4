#include "words.h"

#include <stdio.h>
#include <string.h>

#include "base/plain.h"

void
words_write(_Atomic uint64_t *words, size_t count, const char *text)
{
    size_t left = strnlen(text, count * sizeof(uint64_t));

    for (size_t i = 0; i < count; i++) {
        size_t part = left < sizeof(uint64_t) ? left : sizeof(uint64_t);
        uint64_t word = 0;

        memcpy(&word, text, part);
        atomic_store_explicit(&words[i], word, memory_order_release);
        text += part;
        left -= part;
    }
}

void
words_read(const _Atomic uint64_t *words, size_t count, char *text)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t word = atomic_load_explicit(&words[i], memory_order_acquire);

        memcpy(text + i * sizeof(word), &word, sizeof(word));
    }
    text[count * sizeof(uint64_t)] = '\0';
}

void
words_show(const _Atomic uint64_t *words, size_t count, char *out, size_t size)
{
    char text[8 * 8 + 1];

    words_read(words, count, text);
    plain_hide_controls(text);
    snprintf(out, size, "%.*s", (int)size - 1, text);
}

uint64_t
words_hash(const void *bytes, size_t length)
{
    const unsigned char *p = bytes;
    uint64_t hash = 0xcbf29ce484222325ull; /* FNV-1a */

    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ p[i]) * 0x100000001b3ull;
    }
    /* FNV leaves the high bits of short names alike: mix them (murmur3). */
    hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdull;
    hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53ull;
    return hash ^ hash >> 33;
}
