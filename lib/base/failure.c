#include "failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <bide.h>

static _Thread_local char why[1024], what_to_do[512];

const char *
failure_why(void)
{
    return why;
}

const char *
failure_what_to_do(void)
{
    return what_to_do;
}

int
failure_say(int rc, const char *todo, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    snprintf(what_to_do, sizeof(what_to_do), "%s", todo ? todo : "");
    return rc;
}

/* Returns what to do about an error if the store gave no advice; may be NULL.
 */
static const char *
usual_remedy(int rc)
{
    switch (rc) {
    case BIDE_EMISSING:
        return "make one with bide init, or name another with --dir";
    case BIDE_EPERM:
        return "try again as root, or as a member of the group that owns it";
    case BIDE_EDAMAGED:
        return "services keep their last good rules; move it away, then run "
               "bide init and bide apply";
    case BIDE_EFORMAT:
        return "it was made by another version of bide: use that one";
    case BIDE_EFULL:
        return "free some space there and try again: nothing was changed";
    case BIDE_ELOCKED:
        return "try again when it is done";
    default:
        return NULL;
    }
}

int
failure_of_store(int rc, const char *dir, const char *words)
{
    const char *todo = strchr(words, '\n');
    int length = (int)(todo ? (size_t)(todo - words) : strlen(words));

    if (rc == 0) {
        return 0;
    }
    todo = todo ? todo + 1 : usual_remedy(rc);
    if (!*words) {
        return failure_say(rc, todo, "%s: %s", dir, bide_strerror(rc));
    }
    /* Words that begin with a path already name the place. */
    return *words == '/' || strncmp(words, dir, strlen(dir)) == 0
               ? failure_say(rc, todo, "%.*s", length, words)
               : failure_say(rc, todo, "%s: %.*s", dir, length, words);
}
