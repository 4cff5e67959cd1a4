/* Says what keeps calls from being counted or recorded, so that no screen shows
 * a host without calls where nothing is counted. */
#ifndef BIDE_CLI_UNCOUNTED_H
#define BIDE_CLI_UNCOUNTED_H

#include <stdbool.h>
#include <stddef.h>

struct admin;

/* Writes "calls may not be counted: WHY", or only WHY if that is no fault; ""
 * if they are counted.  Returns whether it is a fault. */
bool uncounted_look(struct admin *registry, char *out, size_t size);
/* Writes "the recorder has stopped: nothing was recorded for 12m", and returns
 * true; else "", also where nobody ever started one. */
bool unrecorded_look(struct admin *registry, char *out, size_t size);

#endif
