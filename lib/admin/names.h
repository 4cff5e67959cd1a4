/* Names of users and groups.  The result is valid until the next call; NULL:
 * there is none. */
#ifndef BIDE_ADMIN_NAMES_H
#define BIDE_ADMIN_NAMES_H

#include <grp.h>
#include <pwd.h>
#include <stdint.h>

/* Finds a user by name, or by id if that is NULL. */
const struct passwd *names_user(const char *name, uint32_t id);
/* Finds a group by name, or by id if that is NULL. */
const struct group *names_group(const char *name, uint32_t id);
/* Finds a group by name in /etc/group only. */
const struct group *names_local_group(const char *name);

#endif
