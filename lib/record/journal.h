/* Writes changes and alarms to systemd's journal with fields, or without it to
 * syslog: where `bide init --journal` asked for that. */
#ifndef BIDE_RECORD_JOURNAL_H
#define BIDE_RECORD_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

/* The MESSAGE_ID of each kind of entry, documented in bide(7). */
#define JOURNAL_CHANGE "6d2f0c1b3a5e4f0c9b7e41d85a90c3f2"
#define JOURNAL_LEVEL "b81f5e7709d94a4f8a3c26e1d4705b6c"
#define JOURNAL_BREAKER "3e9a47d0c2b84d6ea15f70cb9826d4ef"

/* Writes an entry with a message, a priority of syslog and fields: names and
 * values in turn, with NULL at the end.  A value may have any bytes.  Returns
 * false if nobody takes the entry within 0.1 s; then write no others. */
bool journal_write(const char *id, int priority, const char *message,
                   const char *const *fields);
#define JOURNAL_FIELDS(...) ((const char *const[]){__VA_ARGS__, NULL})

#endif
