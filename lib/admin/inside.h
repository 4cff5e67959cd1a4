/* What the files of admin share. */
#ifndef BIDE_ADMIN_INSIDE_H
#define BIDE_ADMIN_INSIDE_H

#include "base/failure.h"
#include "live/live.h"
#include "store/policies/reader.h"
#include "admin.h"

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
