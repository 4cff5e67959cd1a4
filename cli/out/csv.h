/* Comma-separated values, RFC 4180. */
#ifndef BIDE_CLI_CSV_H
#define BIDE_CLI_CSV_H

#include <stdint.h>

/* In quotes; what a spreadsheet would take for a formula gets one more before
 * it, and what is no text becomes a space. */
void csv_text(const char *text);
void csv_time(uint64_t ns); /* UTC: 2026-01-31T14:02:11Z */

#endif
