#include "document.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <bide.h>
#include "base/plain.h"

static uint64_t
get_number(const struct field *f, const char *at)
{
    uint64_t number;
    uint32_t small;

    if (f->size == sizeof(number)) {
        memcpy(&number, at, sizeof(number));
        return number;
    }
    memcpy(&small, at, sizeof(small));
    return small;
}

static json_t *
write_field(const struct field *f, const char *at)
{
    switch (f->kind) {
    case FIELD_TEXT:
        return *at ? json_string(at) : NULL;
    case FIELD_NUMBER:
        return get_number(f, at) ? json_integer((json_int_t)get_number(f, at))
                                 : NULL;
    default:
        return *(const bool *)at ? json_true() : NULL;
    }
}

char *
document_write(const struct field *fields, const void *from)
{
    json_t *j = json_pack("{s:i}", "format", DOCUMENT_FORMAT);
    char *text;

    for (const struct field *f = fields; f->name; f++) {
        json_t *value = write_field(f, (const char *)from + f->offset);

        if (value) {
            json_object_set_new(j, f->name, value);
        }
    }
    text = json_dumps(j, JSON_COMPACT);
    json_decref(j);
    return text;
}

/* Stores a value.  Returns why it is wrong; NULL: it is right. */
static const char *
read_field(const struct field *f, const json_t *value, char *to)
{
    const char *text = json_string_value(value);
    size_t length = json_string_length(value);
    uint64_t number = (uint64_t)json_integer_value(value);
    uint32_t small = (uint32_t)number;

    switch (f->kind) {
    case FIELD_TEXT:
        if (!text || length >= f->size ||
            plain_length(text, length) != length || strpbrk(text, "\t\r\n")) {
            return text && length >= f->size ? "is too long"
                                             : "is not a line of text";
        }
        memcpy(to, text, length);
        return NULL;
    case FIELD_NUMBER:
        if (!json_is_integer(value) || json_integer_value(value) < 0 ||
            (f->size == sizeof(small) && number > UINT32_MAX)) {
            return "is not a number from 0 on";
        }
        memcpy(to, f->size == sizeof(small) ? (void *)&small : (void *)&number,
               f->size);
        return NULL;
    default:
        *(bool *)to = json_is_true(value);
        return json_is_boolean(value) ? NULL : "is not true or false";
    }
}

static int
read_members(const struct field *fields, const json_t *j, char *to, char *why)
{
    const json_t *format = json_object_get(j, "format");

    if (!json_is_integer(format)) {
        snprintf(why, DOCUMENT_WHY, "it is not a document of bide");
        return BIDE_EINPUT;
    }
    if (json_integer_value(format) > DOCUMENT_FORMAT) {
        snprintf(why, DOCUMENT_WHY, "it needs a newer bide (format %lld)",
                 (long long)json_integer_value(format));
        return BIDE_EINPUT;
    }
    for (const struct field *f = fields; f->name; f++) {
        const json_t *value = json_object_get(j, f->name);
        const char *wrong = value ? read_field(f, value, to + f->offset) : NULL;

        if (wrong) {
            snprintf(why, DOCUMENT_WHY, "%s %s", f->name, wrong);
            return BIDE_EINPUT;
        }
    }
    return 0;
}

int
document_read(const struct field *fields, const char *bytes, size_t length,
              void *out, size_t size, char *why)
{
    json_t *j = json_loadb(bytes, length, 0, NULL);
    char *fresh = calloc(1, size);
    int rc = fresh ? read_members(fields, j, fresh, why) : BIDE_ENOMEM;

    if (rc == 0) {
        memcpy(out, fresh, size);
    }
    free(fresh);
    json_decref(j);
    return rc;
}
