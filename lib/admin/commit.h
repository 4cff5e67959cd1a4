/* Stores policies in a change, and ends it. */
#ifndef BIDE_ADMIN_COMMIT_H
#define BIDE_ADMIN_COMMIT_H

#include "edit.h"

/* Stores `n` where it differs from the old policy, and adds the result; not if
 * `rc` is a failure, which it returns.  Frees `old` and `n` in any case. */
int commit_replace(struct edit *e, int rc, const char *name,
                   struct edit_old *old, struct edit_new *n);

/* Ends the change.  With rc 0 it checks, commits, announces and moves the
 * results to `out`; otherwise nothing is changed.  Returns rc or a BIDE_E
 * code. */
int commit_end(struct edit *e, int rc, struct admin_results *out);

#endif
