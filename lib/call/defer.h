/* Deferred work: stores the work of a call before its verdict is returned, and
 * implements the functions of bide.h with the details that the command needs.
 * Thread-safe. */
#ifndef BIDE_DEFER_H
#define BIDE_DEFER_H

#include <stdbool.h>

#include <bide.h>
#include "store/queue/queue.h"

struct defer_rules;

/* Stores `work` under `rules`.  Sets out->end to BIDE_END_DEFERRED and
 * deferred_id, or to BIDE_END_NOT_STORED and defer_error. */
void defer_call_work(struct bide_policy *p, const struct defer_rules *rules,
                     const struct bide_work *work, struct bide_result *out);

/* Makes a copy of `work` and all that it points to; the caller frees *out with
 * free.  BIDE_EINVAL, BIDE_ENOMEM. */
int defer_copy_work(const struct bide_work *work, struct bide_work **out);

/* As bide_defer.  Sets *out_found to true if work with the same key
 * existed already: nothing was stored then, and *out_id is the id of that work.
 */
int defer_put(struct bide_policy *p, const struct bide_work *work,
              uint64_t *out_id, bool *out_found);

/* As bide_deferred_nack.  Unless the work was `tried`, its attempt does not
 * count. */
int defer_give_back(struct bide_policy *p, const struct bide_deferred *d,
                    bool tried, const char *reason);

/* As bide_deferred_take without waiting, for one piece of that kind. */
int defer_take_now(struct bide_policy *p, struct deferred_kind *kind,
                   struct bide_deferred **out);

#endif
