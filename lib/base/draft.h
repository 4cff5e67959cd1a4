/* A text in the making.  An allocation that fails is remembered: add on, and
 * look once, at the end. */
#ifndef BIDE_POLICY_DRAFT_H
#define BIDE_POLICY_DRAFT_H

#include <stdbool.h>
#include <stddef.h>

struct draft {
    char *bytes; /* NUL-terminated once anything was added; or NULL */
    size_t used, room;
    bool failed;
};

void draft_add(struct draft *d, const char *bytes, size_t length);
void draft_text(struct draft *d, const char *text);
/* The next of a list: ", " between. */
void draft_item(struct draft *d, const char *text);
void draft_clear(struct draft *d); /* keeps the memory */

/* The text, the caller's from now on ("" when nothing was added); NULL when
 * memory ran out.  The draft is empty afterwards. */
char *draft_take(struct draft *d);
void draft_free(struct draft *d);

#endif
