/* What was probably meant: how far two names are from each other. */
#ifndef BIDE_POLICY_NEAR_H
#define BIDE_POLICY_NEAR_H

/* Edits from `a` to `b`; capitals count as equal. */
int near_distance(const char *a, const char *b);

/* The largest distance at which a misspelt name is worth a hint. */
int near_limit(const char *name);

/* What could have been meant by `text` as a name: small letters, "-" for what
 * no name can hold; "" when that is none either.  Needs BIDE_NAME_MAX + 1. */
void policy_name_near(const char *text, char *out);

#endif
