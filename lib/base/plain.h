/* Plain text: UTF-8 without control characters. */
#ifndef BIDE_PLAIN_H
#define BIDE_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A short text as a value, so that a call that writes one can be an argument:
 * printf("%s", duration_round(ns).text). */
struct brief {
    char text[64];
};

/* Returns the length of the UTF-8 character at `bytes`, and stores its code in
 * *out; 0 for bytes that do not encode a character: overlong forms, surrogates,
 * values above U+10FFFF, or more than the `left` bytes. */
size_t plain_character(const char *bytes, size_t left, uint32_t *out);

/* Returns the number of bytes, from the start, that are plain text.  Tabs and
 * line ends (\n and \r\n) are plain; U+0080 to U+009F are not, because some
 * terminals obey them. */
size_t plain_length(const char *bytes, size_t length);

/* Reports whether a comma-separated list (NULL: none) has the word. */
bool plain_list_has(const char *list, const char *word);

/* Replaces control characters by `?`: they could affect a terminal.  NULL: does
 * nothing. */
void plain_hide_controls(char *text);

/* Copies `text` to `buffer`, for messages.  A longer text is cut to `size - 1`
 * bytes, between characters, and ends with "...".  Returns `buffer`. */
char *plain_excerpt(const char *text, size_t length, char *buffer, size_t size);

#endif
