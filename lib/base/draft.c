#include "draft.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
reserve_bytes(struct draft *d, size_t length)
{
    size_t room = d->room ? d->room : 32;
    char *grown;

    if (d->failed) {
        return false;
    }
    if (length < d->room - d->used) {
        return true;
    }
    while (room - d->used <= length) {
        room *= 2;
    }
    grown = realloc(d->bytes, room);
    if (!grown) {
        d->failed = true;
        return false;
    }
    d->bytes = grown;
    d->room = room;
    return true;
}

void
draft_add(struct draft *d, const char *bytes, size_t length)
{
    if (reserve_bytes(d, length)) {
        memcpy(d->bytes + d->used, bytes, length);
        d->used += length;
        d->bytes[d->used] = '\0';
    }
}

void
draft_text(struct draft *d, const char *text)
{
    draft_add(d, text, strlen(text));
}

void
draft_print(struct draft *d, const char *format, ...)
{
    va_list args, again;
    int length;

    va_start(args, format);
    va_copy(again, args);
    length = vsnprintf(NULL, 0, format, args);
    if (length >= 0 && reserve_bytes(d, (size_t)length)) {
        vsnprintf(d->bytes + d->used, (size_t)length + 1, format, again);
        d->used += (size_t)length;
    }
    va_end(again);
    va_end(args);
}

void
draft_item(struct draft *d, const char *text)
{
    if (d->used) {
        draft_add(d, ", ", 2);
    }
    draft_text(d, text);
}

void
draft_clear(struct draft *d)
{
    d->used = 0;
    d->failed = false;
    if (d->bytes) {
        d->bytes[0] = '\0';
    }
}

char *
draft_take(struct draft *d)
{
    char *text;

    draft_add(d, "", 0);
    if (d->failed) {
        draft_free(d);
        return NULL;
    }
    text = d->bytes;
    *d = (struct draft){0};
    return text;
}

void
draft_free(struct draft *d)
{
    free(d->bytes);
    *d = (struct draft){0};
}
