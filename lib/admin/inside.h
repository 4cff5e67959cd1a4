/* What the files of admin share. */
#ifndef BIDE_ADMIN_INSIDE_H
#define BIDE_ADMIN_INSIDE_H

#include "admin/admin.h"
#include "live/live.h"
#include "store/reader.h"

struct found_text {
    struct found_text *next;
    struct policy_text *text;
};

struct admin {
    char *dir;
    struct reader *reader;
    struct live *live; /* NULL until it is needed */
    struct deferred *deferred; /* the same */
    struct found_text *found;
    char near[BIDE_NAME_MAX + 1];
    struct history *history; /* NULL: nothing was recorded, or not looked yet */
    char **unnamed;          /* outcomes that the history has no names for */
    size_t unnamed_count;
};

/* Keeps why it failed and what to do; returns rc. */
int admin_fail(int rc, const char *what_to_do, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* For failures of the store: its own words where it has some. */
int admin_fail_store(int rc, const char *dir, const char *why);

/* The live state, attached on first use; NULL when that fails, and, unless
 * `create`, when there is none. */
struct live *admin_live(struct admin *a, bool create);

#endif
