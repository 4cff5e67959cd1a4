/* Writes a key and its value as lines of a file, none longer than
 * POLICY_LINE_MAX: a long value continues, indented, on the next lines. */
#ifndef BIDE_POLICY_WRAP_H
#define BIDE_POLICY_WRAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/draft.h"

/* Reports whether a value can be written.  It is broken only where one space
 * stands alone. */
bool wrap_possible(const char *key, const char *value);

/* Appends "key = value\n" to `d`.  wrap_possible() must be true. */
void wrap_write(struct draft *d, const char *key, const char *value);

/* Reports whether a line that continues a value may begin with `text`.  A text
 * that looks like a comment, a section or a key may not, because the author
 * most likely meant it as one. */
bool wrap_continues(const char *text, size_t length);

#endif
