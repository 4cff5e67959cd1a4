/* Shows layers: the temporary changes over the base of a policy. */
#ifndef BIDE_CLI_LAYER_H
#define BIDE_CLI_LAYER_H

#include <stddef.h>
#include <stdint.h>

struct admin;
struct json;
struct record;
struct record_part;

/* Describes the layer whose parts begin at *at, and moves *at behind it:
 * "attempts is 9, wait_max is not set until TIME (version 2 of base, ann)".
 * `of` is the policy, NULL: not named; `now_ns` 0: the time is complete.
 * malloc'ed; without memory "?" or NULL. */
char *layer_line(const struct record_part *parts, size_t count, const char *of,
                 uint64_t now_ns, size_t *at);

/* Stores in `out`, of RECORD_PARTS_MAX, the parts of layers that `r` has and
 * `other` has not.  Returns their number. */
size_t layer_only(const struct record *r, const struct record *other,
                  struct record_part *out);

/* Visits the layers of `r`, if it has any, and those that it inherits from each
 * policy that it extends: `of` is NULL for its own.  Stops if `visit` does not
 * return 0, and returns that, or BIDE_ENOMEM. */
typedef int layer_visit_fn(void *arg, const char *of,
                           const struct record_part *parts, size_t count);
int layer_each(struct admin *registry, const struct record *r,
               layer_visit_fn *visit, void *arg);

/* Adds layers to an array. */
layer_visit_fn layer_put;

#endif
