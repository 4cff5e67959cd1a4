#include "paths.h"

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
               *state = geteuid() == 0 ? "/var/lib"
                                       : read_variable("XDG_STATE_HOME");

    if (dir) {
        return check_length(snprintf(buffer, size, "%s", dir), size);
    }
    if (state) {
        return check_length(snprintf(buffer, size, "%s/bide", state), size);
    }
    return write_home_path(buffer, size);
}

int
paths_live(char *buffer, size_t size)
{
    const char *runtime =
        geteuid() == 0 ? "/run" : read_variable("XDG_RUNTIME_DIR");

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

/* For root; /etc/group first: glibc's other look-ups crash without memory. */
static gid_t
find_group(void)
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

struct owner
paths_owner(const char *dir)
{
    struct owner o = {(uid_t)-1, (gid_t)-1};
    char path[PATH_MAX];
    struct stat st;

    snprintf(path, sizeof(path), "%s/" PATH_REGISTRY, dir);
    if (stat(path, &st)) {
        o.group = find_group();
    } else if (st.st_gid) {
        o.group = st.st_gid;
    }
    if (!stat(dir, &st)) {
        o.user = st.st_uid;
        o.group = o.group == (gid_t)-1 ? st.st_gid : o.group;
    }
    return o;
}

int
paths_make_live(const char *dir, const char *path)
{
    char copy[PATH_MAX];
    struct owner o;

    snprintf(copy, sizeof(copy), "%s", path); /* live_open refuses a longer */
    if (!access(dirname(copy), F_OK) || errno != ENOENT) {
        return 0;
    }
    o = paths_owner(dir);
    return safe_make_directory(copy, o.user || !o.group ? 0700 : 02770, o) &&
                   errno != EEXIST
               ? safe_code(errno)
               : 0;
}
