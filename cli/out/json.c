#include "json.h"

#include <stdbool.h>
#include <stdlib.h>

#include <jansson.h>

#include <bide.h>
#include "text.h"

/* A struct json * is a json_t * of jansson; the type is never defined.  A value
 * is freed with the object that owns it.  Any failure sets `failed`; json_out
 * and json_free clear it. */
static bool failed;
static FILE *diverted; /* NULL: standard output */
static const char *not_counted;

static struct json *
from_jansson(json_t *value)
{
    failed = failed || !value;
    return (struct json *)value;
}

static json_t *
to_jansson(struct json *j)
{
    return (json_t *)j;
}

/* Adds a member, or with `key` NULL an element; takes ownership of `value` also
 * on failure.  Returns it; NULL on failure. */
static struct json *
put_value(struct json *j, const char *key, json_t *value)
{
    int rc = key ? json_object_set_new(to_jansson(j), key, value)
                 : json_array_append_new(to_jansson(j), value);

    return from_jansson(rc == 0 ? value : NULL);
}

struct json *
json_object_new(void)
{
    return from_jansson(json_object());
}

struct json *
json_in_object(struct json *j, const char *key)
{
    return put_value(j, key, json_object());
}

struct json *
json_in_array(struct json *j, const char *key)
{
    return put_value(j, key, json_array());
}

struct json *
json_add_object(struct json *array)
{
    return put_value(array, NULL, json_object());
}

struct json *
json_insert_object(struct json *array, size_t at)
{
    json_t *to = (json_t *)array, *object = array ? json_object() : NULL;

    return object && json_array_insert_new(to, at, object) == 0
               ? (struct json *)object
               : NULL;
}

static json_t *
text_value(const char *text)
{
    json_t *value = text ? json_string(text) : json_null();

    if (!value) { /* not UTF-8: use the text that terminals get */
        char *safe = text_safe(text);

        value = safe ? json_string(safe) : NULL;
        free(safe);
    }
    return value;
}

void
json_put_text(struct json *j, const char *key, const char *text)
{
    put_value(j, key, text_value(text));
}

void
json_put_count(struct json *j, const char *key, uint64_t count)
{
    put_value(j, key,
              json_integer(count > INT64_MAX ? INT64_MAX : (json_int_t)count));
}

void
json_put_number(struct json *j, const char *key, double number)
{
    bool whole = number >= -9e15 && number <= 9e15 &&
                 (double)(json_int_t)number == number;

    put_value(j, key,
              whole ? json_integer((json_int_t)number) : json_real(number));
}

void
json_put_s(struct json *j, const char *key, uint64_t ns)
{
    json_put_number(j, key, (double)(ns / 1000000) / 1000);
}

void
json_put_time(struct json *j, const char *key, uint64_t ns)
{
    if (ns == 0) {
        json_put_null(j, key);
    } else {
        json_put_s(j, key, ns);
    }
}

void
json_put_ms(struct json *j, const char *key, uint64_t ns)
{
    if (ns % 1000000 == 0) {
        json_put_count(j, key, ns / 1000000);
    } else {
        json_put_number(j, key, (double)ns / 1e6);
    }
}

void
json_put_truth(struct json *j, const char *key, int truth)
{
    put_value(j, key, json_boolean(truth));
}

void
json_put_null(struct json *j, const char *key)
{
    put_value(j, key, json_null());
}

int
json_out(struct json *j)
{
    /* A double keeps 15 digits of any decimal number, so 0.1 stays 0.1. */
    size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(15);
    char *text;

    if (not_counted && !diverted) {
        json_put_text(j, "not_counted", not_counted);
    }
    text = failed || !j ? NULL : json_dumps(to_jansson(j), flags);
    json_free(j);
    if (!text) {
        return BIDE_ENOMEM;
    }
    fprintf(diverted ? diverted : stdout, "%s\n", text);
    free(text);
    return 0;
}

void
json_note(const char *text)
{
    not_counted = text;
}

void
json_divert(FILE *out)
{
    diverted = out;
}

void
json_free(struct json *j)
{
    json_decref(to_jansson(j));
    failed = false;
}
