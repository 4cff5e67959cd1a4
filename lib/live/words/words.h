/* Text in shared memory is stored in words that are read and written
 * atomically. A copy always ends, even if another process writes the text
 * meanwhile. */
#ifndef BIDE_LIVE_WORDS_H
#define BIDE_LIVE_WORDS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Writes `text`, truncated to the words or filled up with NUL. */
void words_write(_Atomic uint64_t *words, size_t count, const char *text);

/* Reads into `text`, of count * 8 + 1 bytes; it always ends with NUL. */
void words_read(const _Atomic uint64_t *words, size_t count, char *text);

/* Reads at most 8 words into `out`, cut to its size.  Control characters, which
 * could affect a terminal, are replaced by `?`. */
void words_show(const _Atomic uint64_t *words, size_t count, char *out,
                size_t size);

/* Returns a hash of the bytes, well mixed in all its bits. */
uint64_t words_hash(const void *bytes, size_t length);

#endif
