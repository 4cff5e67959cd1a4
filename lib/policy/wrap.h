/* How a key and its value become lines of a file, none longer than
 * POLICY_LINE_MAX: a long value goes on, indented, on the next lines. */
#ifndef BIDE_POLICY_WRAP_H
#define BIDE_POLICY_WRAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/draft.h"

/* Whether a value can be written at all: it is broken at single blanks only. */
bool wrap_possible(const char *key, const char *value);

/* Adds "key = value\n".  The value can be wrapped. */
void wrap_write(struct draft *d, const char *key, const char *value);

/* Whether a text may begin a line that goes on with a value.  What looks like
 * a comment, a section or a key of its own may not: whoever wrote it there
 * most likely meant just that. */
bool wrap_goes_on(const char *text, size_t length);

#endif
