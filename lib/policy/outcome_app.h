/* The outcomes that programs name themselves (app.NAME).  Each name has a code,
 * which is valid in this process only.  Lock-free: a stopped thread blocks no
 * other. */
#ifndef BIDE_POLICY_OUTCOME_APP_H
#define BIDE_POLICY_OUTCOME_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    APP_NO_MEMORY = -1,
    APP_OTHER = 0,          /* app.other: a bad name, or too many names */
    APP_NAMES_CALLS = 1000, /* most names that bide_app() makes */
    APP_NAMES_MAX = 12000,  /* most names that reading policies makes */
};

/* Reports whether a name is [A-Za-z0-9._-]{1,48}. */
bool app_name_ok(const char *name, size_t length);

/* Returns the code of a name.  Makes one if the name is new and there are fewer
 * than `limit` names; else returns APP_OTHER, or APP_NO_MEMORY. */
int32_t app_code(const char *name, size_t length, uint32_t limit);

/* Returns the name of a code, "other" if it has none. */
const char *app_name(int32_t code);

/* Returns a hash of a name (FNV-1a), also for names of policies. */
static inline uint32_t
app_hash(const char *name, size_t length)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < length; i++) {
        h = (h ^ (unsigned char)name[i]) * 16777619u;
    }
    return h ^ h >> 15;
}

#endif
