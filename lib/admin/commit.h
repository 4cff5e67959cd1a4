/* Stores policies in a change, and ends it. */
#ifndef BIDE_ADMIN_COMMIT_H
#define BIDE_ADMIN_COMMIT_H

#include "edit.h"

/* Stores `now` (NULL: a deletion) where it differs from the old policy, and
 * adds the result.  Takes over old->text and `now`, also when it fails. */
int commit_replace(struct edit *e, const char *name, struct edit_old *old,
                   struct policy_text *now);

/* Ends the change.  With rc 0 it checks, commits, announces and moves the
 * results to `out`; otherwise nothing is changed.  Returns rc or a BIDE_E
 * code. */
int commit_end(struct edit *e, int rc, struct admin_results *out);

#endif
