/* Checks that the policies are valid before the commit.  Faults are added to
 * the list of the change; other failures are returned. */
#ifndef BIDE_ADMIN_CHECK_H
#define BIDE_ADMIN_CHECK_H

#include "edit.h"

/* Checks that the rules of a policy are valid now and after each end of a layer
 * of it or of a parent.  A fault that layers make names them.  `base` has the
 * lines of a file; NULL: the base that is stored.  Does nothing for a deleted
 * policy. */
int check_policy(struct edit *e, const char *name,
                 const struct policy_text *base, const char *file);
/* Reports whether a base, with what it inherits, overrides no rules by this key
 * (paused = yes, breaker = open or closed) and has the value that is wanted;
 * `ended`, NULL: any other. */
bool check_undone(struct edit *e, const struct policy_text *base,
                  const struct admin_setting *wanted, bool ended);
/* Adds every policy that extends a touched one, at any depth, to those touched,
 * and compiles it. */
int check_descendants(struct edit *e);
/* Adds a fault where policies that share a budget give it different sizes. Call
 * it after the functions above. */
int check_groups(struct edit *e);

#endif
