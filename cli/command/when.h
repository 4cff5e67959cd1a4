/* Writes and reads times in the local time zone.  All times are ns of
 * CLOCK_REALTIME. */
#ifndef BIDE_CLI_WHEN_H
#define BIDE_CLI_WHEN_H

#include <stddef.h>
#include <stdint.h>

/* Writes "today 14:02:11", "yesterday 13:42:00" or "2026-01-31 08:00:00".  The
 * writing functions need 64 bytes and return the buffer. */
char *when_write(uint64_t when_ns, uint64_t now_ns, char *buffer, size_t size);

/* Always writes "2026-01-31 08:00:00". */
char *when_write_iso(uint64_t when_ns, char *buffer, size_t size);

/* Writes a future time: "14:05 (in 12m)", "tomorrow 08:00 (in 10h)". */
char *when_write_until(uint64_t when_ns, uint64_t now_ns, char *buffer,
                       size_t size);

/* Reads "2026-01-31", "2026-01-31 08:00[:00]" (or with a T and then perhaps
 * with Z or +01:00), "08:00", "today", "yesterday 08:00", "now"; and "-2h",
 * "2h" and "2h ago", which mean the same.  Returns 0; -1 if `text` has none of
 * these forms. */
int when_read(const char *text, uint64_t now_ns, uint64_t *out);

#endif
