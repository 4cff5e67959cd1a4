/* Notes of what hooks were called with. */
#ifndef TESTS_CALL_DIARY_H
#define TESTS_CALL_DIARY_H

#include "unit/registry/scene.h"

struct diary {
    char text[1024];
    size_t length;
};

static void
note(struct diary *d, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    d->length += (size_t)vsnprintf(d->text + d->length,
                                   sizeof(d->text) - d->length, format, args);
    va_end(args);
}

#endif
