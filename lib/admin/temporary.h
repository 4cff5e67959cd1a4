/* Temporary changes: their end, the version in force after it, and the values
 * that outlast it. */
#ifndef BIDE_ADMIN_TEMPORARY_H
#define BIDE_ADMIN_TEMPORARY_H

#include "edit.h"

/* Reports whether the values asked for, which are in force now, stay in force
 * when the temporary changes in force now have ended. */
int temporary_remains(struct edit *e, const struct admin_result *r,
                      const struct edit_old *old, bool *out);
/* Fills until_ns and back_to.  `same`: only the end changes. */
int temporary_set_end(struct edit *e, struct admin_result *r,
                      const struct edit_old *old, bool same);
/* Fills temporary, temporary_until_ns and without: the values of a temporary
 * change that outlast its end. */
int temporary_find_stay(struct edit *e, struct admin_result *r,
                        const struct edit_old *old);

#endif
