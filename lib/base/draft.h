/* Builds a text piece by piece.  A failed allocation is remembered, so callers
 * check once, at the end. */
#ifndef BIDE_DRAFT_H
#define BIDE_DRAFT_H

#include <stdbool.h>
#include <stddef.h>

struct draft {
    char *bytes; /* NUL-terminated once anything was added; or NULL */
    size_t used, room;
    bool failed;
};

/* Append `length` bytes, or a NUL-terminated text. */
void draft_add(struct draft *d, const char *bytes, size_t length);
void draft_text(struct draft *d, const char *text);
/* Appends a text as printf writes it. */
void draft_print(struct draft *d, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Appends an item of a list: ", " before all but the first. */
void draft_item(struct draft *d, const char *text);
void draft_clear(struct draft *d); /* empties it, keeps the memory */

/* Returns the text ("" if nothing was added), which the caller frees; NULL if
 * out of memory.  The draft is empty afterwards. */
char *draft_take(struct draft *d);
void draft_free(struct draft *d);

#endif
