#include "paths.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bide.h>

static int
check_length(int length, size_t size)
{
    return length > 0 && (size_t)length < size ? 0 : BIDE_EINVAL;
}

static const char *
read_variable(const char *name)
{
    const char *value = secure_getenv(name);

    return value && *value ? value : NULL;
}

static int
write_home_path(char *buffer, size_t size)
{
    const char *home = read_variable("HOME");
    char names[4096];
    struct passwd entry, *found = NULL;

    if (!home &&
        getpwuid_r(getuid(), &entry, names, sizeof(names), &found) == 0 &&
        found && *found->pw_dir) {
        home = found->pw_dir;
    }
    if (!home) {
        return BIDE_EINVAL;
    }
    /* The home of a user without one is "/". */
    return check_length(snprintf(buffer, size, "%s%s.local/state/bide", home,
                                 home[strlen(home) - 1] == '/' ? "" : "/"),
                        size);
}

int
paths_registry(char *buffer, size_t size)
{
    const char *dir = read_variable("BIDE_DIR"),
               *state = read_variable("XDG_STATE_HOME");

    if (dir) {
        return check_length(snprintf(buffer, size, "%s", dir), size);
    }
    if (geteuid() == 0) {
        return check_length(snprintf(buffer, size, "/var/lib/bide"), size);
    }
    if (state) {
        return check_length(snprintf(buffer, size, "%s/bide", state), size);
    }
    return write_home_path(buffer, size);
}

int
paths_live(char *buffer, size_t size)
{
    const char *runtime = read_variable("XDG_RUNTIME_DIR");

    if (geteuid() == 0) {
        return check_length(snprintf(buffer, size, "/run/bide"), size);
    }
    if (runtime) {
        return check_length(snprintf(buffer, size, "%s/bide", runtime), size);
    }
    return check_length(snprintf(buffer, size, "/dev/shm/bide-%u", geteuid()),
                        size);
}

char *
paths_absolute(const char *path)
{
    char *here, *all = NULL;

    if (path[0] == '/') {
        return strdup(path);
    }
    here = getcwd(NULL, 0);
    if (here && asprintf(&all, "%s/%s", here, path) < 0) {
        all = NULL;
    }
    free(here);
    return all;
}

/* Looks in /etc/group first: glibc's other look-ups crash without memory. */
gid_t
paths_group(void)
{
    char names[4096];
    struct group group, *found = NULL;
    FILE *f;

    if (geteuid()) {
        return (gid_t)-1;
    }
    f = fopen("/etc/group", "re");
    while (f && !fgetgrent_r(f, &group, names, sizeof(names), &found) &&
           strcmp(found->gr_name, "bide") != 0) {
    }
    if (!found && (f || errno != ENOMEM) &&
        getgrnam_r("bide", &group, names, sizeof(names), &found)) {
        found = NULL;
    }
    if (f) {
        fclose(f);
    }
    return found ? found->gr_gid : (gid_t)-1;
}
