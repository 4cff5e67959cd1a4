/* Finds the author of a change.
 *
 * Every user can set the environment, so it counts only where it agrees with
 * the kernel: SUDO_USER, because "root" identifies no person, for a process of
 * root only, if it is the name of SUDO_UID and of the user who logged in
 * (/proc/self/loginuid, if set).  In a user namespace everybody can be root;
 * there the user outside is the author. */
#include "author.h"

#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NO_UID UINT32_MAX
#define NOBODY 65534

/* Finds a user by name, or by id if that is NULL; returns NULL if there is
 * none.  Looks in /etc/passwd first: glibc's other look-ups crash without
 * memory. */
static const struct passwd *
find_user(const char *name, uint32_t id)
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

/* Returns the real uid, as the host knows it.  *out_root: it is the host's
 * root. */
static uint32_t
find_uid(bool *out_root)
{
    uint32_t uid = getuid(), inside, outside, count;
    FILE *f = fopen("/proc/self/uid_map", "re");
    bool host = false, found = false;

    while (f && !found &&
           fscanf(f, "%u %u %u", &inside, &outside, &count) == 3) {
        host = outside == 0 && count == UINT32_MAX;
        found = uid >= inside && uid - inside < count;
    }
    *out_root = host && uid == 0;
    if (f) {
        fclose(f);
    }
    /* A namespace within another one only knows that one's numbers. */
    return !found || host                ? uid
           : outside == 0 && inside == 0 ? NOBODY
                                         : outside + (uid - inside);
}

/* Returns the user who logged in; NO_UID if that is not known. */
static uint32_t
find_login(void)
{
    FILE *f = fopen("/proc/self/loginuid", "re");
    uint32_t uid;

    uid = f && fscanf(f, "%u", &uid) == 1 ? uid : NO_UID;
    if (f) {
        fclose(f);
    }
    return uid;
}

/* Returns the user who called sudo; NULL if that is not certain. */
static const struct passwd *
find_sudo_user(void)
{
    const char *name = getenv("SUDO_USER"), *number = getenv("SUDO_UID");
    const struct passwd *user = name && number ? find_user(name, 0) : NULL;
    uint32_t login = find_login();
    char uid[16];

    if (!user || (login != NO_UID && login != user->pw_uid)) {
        return NULL;
    }
    snprintf(uid, sizeof(uid), "%u", user->pw_uid);
    return strcmp(uid, number) == 0 ? user : NULL;
}

uint32_t
author_find(char *name, size_t size)
{
    bool root;
    uint32_t uid = find_uid(&root);
    const struct passwd *user = root ? find_sudo_user() : NULL;

    user = user ? user : find_user(NULL, uid);
    if (user) {
        snprintf(name, size, "%s", user->pw_name);
    } else {
        snprintf(name, size, "%u", uid);
    }
    return uid;
}
