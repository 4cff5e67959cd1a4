/* JSON, by jansson (the only user): objects are built, then printed on a line.
 * Counts are exact to 2^63, decimals are written as short as they are. */
#ifndef BIDE_CLI_JSON_H
#define BIDE_CLI_JSON_H

#include <stdint.h>
#include <stdio.h>

/* All of these take NULL for a value that could not be made, and do nothing
 * with it: a failure shows at json_out, once. */
struct json;

struct json *json_object_new(void);

/* A new object or array inside of it, that stays its own. */
struct json *json_in_object(struct json *j, const char *key);
struct json *json_in_array(struct json *j, const char *key);
struct json *json_add_object(struct json *array); /* at its end */
void json_add_text(struct json *array, const char *text);
void json_add_number(struct json *array, double number);

void json_put_text(struct json *j, const char *key, const char *text);
void json_put_count(struct json *j, const char *key, uint64_t count);
void json_put_number(struct json *j, const char *key, double number);
void json_put_ms(struct json *j, const char *key, uint64_t ns); /* as ms */
void json_put_s(struct json *j, const char *key, uint64_t ns);  /* as s, to the
                                                                   ms; also of
                                                                   times */
void json_put_truth(struct json *j, const char *key, int truth);
void json_put_null(struct json *j, const char *key);

/* Prints it as one line on standard output, and frees.  0 or BIDE_ENOMEM. */
int json_out(struct json *j);
void json_divert(FILE *out);    /* from now on to there; NULL: as before */
void json_free(struct json *j); /* unprinted; NULL: does nothing */

#endif
