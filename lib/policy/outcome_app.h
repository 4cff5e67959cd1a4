/* The outcomes that programs name themselves: a number for each name, for this
 * process only.  Lock-free: a thread that is stopped in here stops nobody. */
#ifndef BIDE_POLICY_OUTCOME_APP_H
#define BIDE_POLICY_OUTCOME_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    APP_NO_MEMORY = -1,
    APP_OTHER = 0,          /* app.other: no name, or no room for it */
    APP_NAMES_CALLS = 1000, /* after so many names, calls make no new ones */
    APP_NAMES_MAX = 12000,  /* policies make up to so many */
};

/* [A-Za-z0-9._-]{1,48} */
bool app_name_ok(const char *name, size_t length);

/* The code of a name, made when it has none yet and there are fewer than
 * `limit` names; else APP_OTHER, or APP_NO_MEMORY. */
int32_t app_code(const char *name, size_t length, uint32_t limit);

/* "other" for a code that nobody was given. */
const char *app_name(int32_t code);

#endif
