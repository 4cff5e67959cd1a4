/* What counts as text: UTF-8 without control characters. */
#ifndef BIDE_POLICY_PLAIN_H
#define BIDE_POLICY_PLAIN_H

#include <stddef.h>

/* How many bytes, from the start, are plain text.  Tabs and line ends (\n and
 * \r\n) count as plain. */
size_t plain_length(const char *bytes, size_t length);

/* `text` cut to `size - 1` bytes, between characters, with "..." at the end of
 * what was cut.  For messages. */
char *plain_excerpt(const char *text, size_t length, char *buffer, size_t size);

#endif
