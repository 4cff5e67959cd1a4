/* Judges by owners, groups and modes who may do what with a registry. */
#ifndef BIDE_ADMIN_ROLE_H
#define BIDE_ADMIN_ROLE_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

enum { ROLES = 5, ROLE_GROUPS = 256 };
extern const char *const role_words[ROLES]; /* "change policies" */

struct role_user {
    char name[64]; /* "": it has only a number */
    uid_t uid;
    int count;
    gid_t groups[ROLE_GROUPS];
};

/* Finds a user by name or number; NULL: the caller, with this process's groups.
 * Returns false if the host has no such user. */
bool role_user(const char *name, struct role_user *out);

/* Reports whether a user with these groups has the rights `wanted` (4 read, 2
 * write, 1 pass) to what `st` is of. */
bool role_may(uid_t user, const gid_t *groups, size_t count,
              const struct stat *st, unsigned wanted);

struct role_answer {
    bool unknown;   /* the caller cannot see it */
    const char *to; /* `why` is what to be for that; NULL: it is a sentence */
    char why[600];  /* why the user may not; "": it may */
    char run[600];  /* a command that mends it; "": none is known */
};

/* Judges a role in the registry `dir`, with its live file ("": unknown). */
void role_ask(const char *dir, const char *live, int role,
              const struct role_user *user, struct role_answer *out);
/* Judges what the caller misses to use a file of the registry `dir`: "" if that
 * is unknown, then no command mends a live file. */
void role_missing(const char *dir, const char *path, struct role_answer *out);

#endif
