/* Checks that the policies are valid before the commit.  Faults are added to
 * the list of the change; other failures are returned. */
#ifndef BIDE_ADMIN_CHECK_H
#define BIDE_ADMIN_CHECK_H

#include "edit.h"

/* Compiles a text of `file`. */
int check_text(struct edit *e, const struct policy_text *t, const char *file);
/* Compiles the version in force of a policy, unless it is deleted. */
int check_name(struct edit *e, const char *name);
/* Adds every policy that extends a touched one, at any depth, to those touched,
 * and compiles it. */
int check_descendants(struct edit *e);
/* Adds a fault where policies that share a budget give it different sizes. Call
 * it after the functions above. */
int check_groups(struct edit *e);

#endif
