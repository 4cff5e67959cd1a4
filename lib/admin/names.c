/* Looks in /etc/passwd and /etc/group first: glibc's other look-ups crash
 * without memory. */
#include "names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const struct passwd *
names_user(const char *name, uint32_t id)
{
    FILE *f = fopen("/etc/passwd", "re");
    const struct passwd *user = NULL;

    do {
        user = f ? fgetpwent(f) : NULL;
    } while (user && (name ? strcmp(user->pw_name, name) : user->pw_uid != id));
    if (!user && errno != ENOMEM) {
        user = name ? getpwnam(name) : getpwuid(id);
    }
    if (f) {
        fclose(f);
    }
    return user;
}

static const struct group *
find_group(const char *name, uint32_t id)
{
    FILE *f = fopen("/etc/group", "re");
    const struct group *g = NULL;
    int error;

    do {
        g = f ? fgetgrent(f) : NULL;
    } while (g && (name ? strcmp(g->gr_name, name) : g->gr_gid != id));
    error = errno;
    if (f) {
        fclose(f);
    }
    errno = error;
    return g;
}

const struct group *
names_group(const char *name, uint32_t id)
{
    const struct group *g = find_group(name, id);

    if (!g && errno != ENOMEM) {
        g = name ? getgrnam(name) : getgrgid(id);
    }
    return g;
}

const struct group *
names_local_group(const char *name)
{
    return find_group(name, 0);
}
