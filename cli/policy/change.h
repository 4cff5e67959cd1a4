/* What a version changed about what was in force, for log and audit. */
#ifndef BIDE_CLI_CHANGE_H
#define BIDE_CLI_CHANGE_H

struct admin;
struct record;

/* "created", "deleted", or what is different; "" for nothing but the end, if it
 * has one.  malloc'ed.  0 or a BIDE_E code. */
int change_words(struct admin *registry, const struct record *r, char **out);

#endif
