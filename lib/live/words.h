/* Text in shared memory: words that are read and written atomically, so that
 * whatever another process writes meanwhile, a copy has an end. */
#ifndef BIDE_LIVE_WORDS_H
#define BIDE_LIVE_WORDS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Cuts what is too long; fills up with NUL. */
void words_write(_Atomic uint64_t *words, size_t count, const char *text);

/* `text` needs count * 8 + 1 bytes; always ends with a NUL. */
void words_read(const _Atomic uint64_t *words, size_t count, char *text);

/* Puts `?` for bytes that would play with a terminal. */
void words_printable(char *text);

/* A hash of the bytes, well mixed in all its bits. */
uint64_t words_hash(const void *bytes, size_t length);

#endif
