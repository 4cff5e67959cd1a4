/* Declarations shared by the files of this room. */
#ifndef BIDE_ADMIN_INSIDE_H
#define BIDE_ADMIN_INSIDE_H

#include <bide.h>
#include "record/past.h"

struct deferred;
struct policy_text;

/* A text that admin_find() has given out. */
struct found_text {
    struct found_text *next;
    struct policy_text *text;
};

struct admin {
    struct past past; /* its directory, reader, live state and history */
    struct deferred *deferred; /* NULL until it is needed */
    struct found_text *found;
    char near[BIDE_NAME_MAX + 1];
};

#endif
