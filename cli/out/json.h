/* JSON, by jansson (the only user): objects are built, then printed as a line.
 * Counts are exact up to 2^63; numbers have as few digits as they need. */
#ifndef BIDE_CLI_JSON_H
#define BIDE_CLI_JSON_H

#include <stdint.h>
#include <stdio.h>

/* A value that cannot be allocated is NULL.  All functions accept NULL and then
 * do nothing, so only the result of json_out needs a check. */
struct json;

struct json *json_object_new(void);

/* Add a new object or array as a member, or at the end of `array`.  The parent
 * owns it. */
struct json *json_in_object(struct json *j, const char *key);
struct json *json_in_array(struct json *j, const char *key);
struct json *json_add_object(struct json *array);
struct json *json_insert_object(struct json *array, size_t at);
/* Add a member; with `key` NULL, an element at the end of an array.  A text
 * of NULL is null. */
void json_put_text(struct json *j, const char *key, const char *text);
void json_put_count(struct json *j, const char *key, uint64_t count);
void json_put_number(struct json *j, const char *key, double number);
/* In ms; in s with three decimals, for times since 1970. */
void json_put_ms(struct json *j, const char *key, uint64_t ns);
void json_put_s(struct json *j, const char *key, uint64_t ns);
void json_put_time(struct json *j, const char *key, uint64_t ns); /* 0: null */
void json_put_truth(struct json *j, const char *key, int truth);
void json_put_null(struct json *j, const char *key);

/* Prints the value as a line on standard output and frees it.  Returns 0 or
 * BIDE_ENOMEM. */
int json_out(struct json *j);
void json_divert(FILE *out); /* later output goes there; NULL: to stdout */
/* Adds "not_counted" to every object printed on standard output; NULL: none. */
void json_note(const char *text);
void json_free(struct json *j); /* frees without printing */

#endif
