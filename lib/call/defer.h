/* Deferred work: what a call stores before its verdict is given, and what the
 * command stores and takes. */
#ifndef BIDE_DEFER_H
#define BIDE_DEFER_H

#include <stdbool.h>

#include <bide.h>
#include "store/queue/queue.h"

/* Sets out->end to BIDE_DEFERRED with deferred_id, or to BIDE_NOT_STORED with
 * defer_error. */
struct defer_rules;
void defer_result(struct bide_policy *p, const struct defer_rules *rules,
                  const struct bide_work *work, struct bide_result *out);

/* Does what bide_defer_work does.  *out_found reports that work of that key was
 * there already and was left as it is. */
int defer_put(struct bide_policy *p, const struct bide_work *work,
              uint64_t *out_id, bool *out_found);

/* Takes one piece of that kind if it is due now, as bide_deferred_take does. */
int defer_take_now(struct bide_policy *p, struct deferred_kind *kind,
                   struct bide_deferred *out);

#endif
