/* Work that a call could not do: put off, before its verdict is given. */
#ifndef BIDE_DEFER_H
#define BIDE_DEFER_H

#include "registry.h"

/* out->end becomes BIDE_DEFERRED with deferred_id, or BIDE_NOT_STORED with
 * defer_error. */
void defer_result(struct bide_policy *p, const struct defer_rules *rules,
                  const struct bide_work *work, struct bide_result *out);

/* In a forked child; and when the registry is closed. */
void defer_revive(struct bide *b);
void defer_close(struct bide *b);

#endif
