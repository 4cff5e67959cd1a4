/* Finds the author of a change.
 *
 * Every user can set the environment, so it counts only where it agrees with
 * the kernel: SUDO_USER, because "root" identifies no person, for a process of
 * root only, if it is the name of SUDO_UID and of the user who logged in
 * (/proc/self/loginuid, if set).  In a user namespace everybody can be root;
 * there the user outside is the author. */
#include "change.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/names.h"

enum { NOBODY = 65534 };

/* Reads up to 3 numbers; those that are missing stay as they are. */
static void
read_numbers(const char *path, uint32_t n[3])
{
    FILE *f = fopen(path, "re");

    if (f) {
        (void)!fscanf(f, "%u %u %u", &n[0], &n[1], &n[2]);
        fclose(f);
    }
}

/* Returns the user who called sudo; NULL if that is not certain. */
static const struct passwd *
find_sudo_user(void)
{
    const char *name = getenv("SUDO_USER"), *number = getenv("SUDO_UID");
    const struct passwd *user = name && number ? names_user(name, 0) : NULL;
    uint32_t login[3] = {UINT32_MAX};
    char uid[16];

    if (user) {
        read_numbers("/proc/self/loginuid", login);
        snprintf(uid, sizeof(uid), "%u", user->pw_uid);
    }
    return user && strcmp(uid, number) == 0 &&
                   (login[0] == UINT32_MAX || login[0] == user->pw_uid)
               ? user
               : NULL;
}

uint32_t
author_find(char *name, size_t size)
{
    const struct passwd *user = NULL;
    char number[16];
    uint32_t uid = getuid(), map[3] = {0, 0, 0}; /* inside, outside, count */

    read_numbers("/proc/self/uid_map", map);
    if (map[2] == UINT32_MAX && uid == 0) {
        user = find_sudo_user();
    } else if (map[2] && map[2] != UINT32_MAX) {
        /* A namespace within another one knows only that one's numbers. */
        uid = uid - map[0] < map[2] ? uid - map[0] + map[1] : 0;
        uid = uid ? uid : NOBODY;
    }
    user = user ? user : names_user(NULL, uid);
    snprintf(number, sizeof(number), "%u", uid);
    snprintf(name, size, "%s", user ? user->pw_name : number);
    return uid;
}
