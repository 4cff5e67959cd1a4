/* Shows layers: the temporary changes over the base of a policy. */
#ifndef BIDE_CLI_LAYER_H
#define BIDE_CLI_LAYER_H

#include <stddef.h>

struct json;
struct record;

/* Describes the layer whose parts begin at *at (1 for the first), and moves *at
 * behind it: "attempts is 9, wait_max is not set".  malloc'ed; NULL without
 * memory. */
char *layer_words(const struct record *r, size_t *at);

/* Adds "layers", an array of the layers of `r`. */
void layer_put_all(struct json *j, const struct record *r);

#endif
