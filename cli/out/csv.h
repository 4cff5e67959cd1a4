/* Comma-separated values, RFC 4180. */
#ifndef BIDE_CLI_CSV_H
#define BIDE_CLI_CSV_H

#include <stdint.h>

#include "base/plain.h"

/* Prints a comma and a text (NULL: "") on standard output.  Text is quoted; a
 * control character becomes a space, and an apostrophe keeps a spreadsheet from
 * reading text that begins with = + - @ as a formula. */
void csv_text(const char *text);
/* Prints two values: the author (NULL: none) and the uid. */
void csv_author(const char *who, uint32_t uid);
struct brief csv_time(uint64_t ns); /* in UTC: 2026-01-31T14:02:11Z */

#endif
