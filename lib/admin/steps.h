/* The steps of a change, from the top down (edit.h). */
#ifndef BIDE_ADMIN_STEPS_H
#define BIDE_ADMIN_STEPS_H

#include "edit.h"

/* ---- commit.c ---- */

/* Stores `n` where it differs from the old policy, and adds the result; not if
 * `rc` is a failure, which it returns.  Frees `old` and `n` in any case. */
int commit_replace(struct edit *e, int rc, const char *name,
                   struct edit_old *old, struct edit_new *n);

/* Ends the change.  With rc 0 it checks, commits, announces and moves the
 * results to `out`; otherwise nothing is changed.  Returns rc or a BIDE_E
 * code. */
int commit_end(struct edit *e, int rc, struct admin_results *out);

/* ---- check.c: adds faults to the list of the change, and returns other
 * failures ---- */

/* Checks that the rules of a policy are valid now and after each end of a layer
 * of it or of a parent.  A fault that layers make names them.  `base` has the
 * lines of a file; NULL: the base that is stored.  Does nothing for a deleted
 * policy. */
int check_policy(struct edit *e, const char *name,
                 const struct policy_text *base, const char *file);
/* Sets the key of an undo in `wanted` to the value that would be in force if
 * nobody had forced it; sets e->forced and e->detached. */
int check_undo(struct edit *e, const struct edit_old *old,
               struct policy_text *wanted);
/* Adds every policy that extends a touched one, at any depth, to those touched,
 * and compiles it. */
int check_descendants(struct edit *e);
/* Adds a fault where policies that share a budget give it different sizes. Call
 * it after the functions above. */
int check_groups(struct edit *e);

/* ---- layers.c ---- */

/* Reports whether the change ends a part of the layers of `r`: by
 * change->layer, or by change->undo. */
bool layers_end(const struct edit *e, const struct record *r);
/* Keeps the other parts.  BIDE_ENOMEM. */
int layers_keep(const struct edit *e, const struct record *r,
                struct edit_new *n);
/* Adds the layer of a change with an end: the keys of e->settings, else those
 * in which `wanted` (NULL: a deletion) differs from the policy.  `wanted` keeps
 * the values.  BIDE_EINPUT, with a fault: this cannot be for a time. */
int layers_add(struct edit *e, const char *name, const struct edit_old *old,
               const struct policy_text *wanted, struct edit_new *n);
/* Sets a key of a text; NULL: unsets it.  Returns as policy_text_set(). */
int layers_set(struct edit *e, struct policy_text *t, const char *key,
               const char *value);
/* Reports whether two values of a key are equal; NULL: not set. */
bool layers_same(const char *a, const char *b);
/* Reports whether the rules differ, now or later. */
bool layers_differ(const struct edit_old *old, const struct edit_new *n);
/* Fills in the rules that the result shows, the end of a layer, and the layers
 * that cover a changed base.  Takes the texts that it shows. */
int layers_fill_result(struct edit *e, struct edit_old *old, struct edit_new *n,
                       struct admin_result *r);

#endif
