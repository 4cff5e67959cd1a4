/* The small JSON documents of a fleet: a table of fields describes how each of
 * them is written from a struct and read into one.  What is empty or 0 is left
 * out.  Unknown members are ignored; "format" above ours is refused. */
#ifndef BIDE_FLEET_DOCUMENT_H
#define BIDE_FLEET_DOCUMENT_H

#include <stddef.h>

enum { DOCUMENT_FORMAT = 1, DOCUMENT_WHY = 256 };

enum field_kind {
    FIELD_TEXT,   /* an array of char, one line of plain text */
    FIELD_NUMBER, /* uint32_t or uint64_t */
    FIELD_TRUTH,  /* bool */
};
struct field {
    const char *name; /* NULL: the end of the table */
    enum field_kind kind;
    size_t offset, size;
};
#define FIELD(kind, type, member)                                          \
    {                                                                      \
#member, kind, offsetof(type, member), sizeof(((type *)0)->member) \
    }

/* Returns the document as malloc'ed JSON; NULL without memory. */
char *document_write(const struct field *fields, const void *from);
/* Fills *out, `size` bytes, with zeros where a member is missing.  Returns 0,
 * BIDE_ENOMEM, or BIDE_EINPUT with the reason in `why` (DOCUMENT_WHY bytes). */
int document_read(const struct field *fields, const char *bytes, size_t length,
                  void *out, size_t size, char *why);

#endif
