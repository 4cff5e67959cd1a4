/* Plain text: UTF-8 without control characters. */
#ifndef BIDE_PLAIN_H
#define BIDE_PLAIN_H

#include <stddef.h>

/* Returns the number of bytes, from the start, that are plain text.  Tabs and
 * line ends (\n and \r\n) are plain. */
size_t plain_length(const char *bytes, size_t length);

/* Copies `text` to `buffer`, for messages.  A longer text is cut to `size - 1`
 * bytes, between characters, and ends with "...".  Returns `buffer`. */
char *plain_excerpt(const char *text, size_t length, char *buffer, size_t size);

#endif
