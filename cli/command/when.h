/* Writes and reads times in the local time zone.  All times are ns of
 * CLOCK_REALTIME. */
#ifndef BIDE_CLI_WHEN_H
#define BIDE_CLI_WHEN_H

#include <stdint.h>

#include "base/plain.h"

/* Writes "today 14:02:11", "yesterday 13:42:00" or "2026-01-31 08:00:00". */
struct brief when_write(uint64_t when_ns, uint64_t now_ns);

/* Always writes "2026-01-31 08:00:00". */
struct brief when_write_iso(uint64_t when_ns);

/* Writes a future time: "14:05 (in 12m)", "tomorrow 08:00 (in 10h)". */
struct brief when_write_until(uint64_t when_ns, uint64_t now_ns);

/* Reads "2026-01-31", "2026-01-31 08:00[:00]" (or with a T and then perhaps
 * with Z or +01:00), "08:00", "today", "yesterday 08:00", "now"; and "-2h",
 * "2h" and "2h ago", which mean the same.  Returns 0; -1 if `text` has none of
 * these forms. */
int when_read(const char *text, uint64_t now_ns, uint64_t *out);

#endif
