/* Layers: the temporary changes of a policy. */
#ifndef BIDE_ADMIN_LAYERS_H
#define BIDE_ADMIN_LAYERS_H

#include "edit.h"

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
/* Reports whether two values of a key are equal; NULL: not set. */
bool layers_same(const char *a, const char *b);
/* Reports whether the rules differ, now or later. */
bool layers_differ(const struct edit_old *old, const struct edit_new *n);
/* Fills in the rules that the result shows, the end of a layer, and the layers
 * that cover a changed base.  Takes the texts that it shows. */
int layers_fill_result(struct edit *e, struct edit_old *old, struct edit_new *n,
                       struct admin_result *r);

#endif
