#include "paths.h"

#include <errno.h>
#include <libgen.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bide.h>
#include "safe.h"

struct file_path
path_of(const char *dir, const char *name)
{
    return path_print("%s%s%s", dir, *name ? "/" : "", name);
}

struct file_path
path_print(const char *format, ...)
{
    struct file_path path;
    va_list args;

    va_start(args, format);
    vsnprintf(path.text, sizeof(path.text), format, args);
    va_end(args);
    return path;
}

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
paths_own_registry(char *buffer, size_t size)
{
    const char *dir = read_variable("BIDE_DIR"),
               *state = read_variable("XDG_STATE_HOME");

    if (dir || geteuid() == 0) {
        return check_length(snprintf(buffer, size, "%s", dir ? dir : PATH_HOST),
                            size);
    }
    if (state) {
        return check_length(snprintf(buffer, size, "%s/bide", state), size);
    }
    return write_home_path(buffer, size);
}

/* Returns 0 if there is a registry in `dir`, else the errno. */
static int
look_for_registry(const char *dir)
{
    return access(path_of(dir, PATH_REGISTRY).text, F_OK) ? errno : 0;
}

int
paths_registry(char *buffer, size_t size)
{
    int rc = paths_own_registry(buffer, size), host;

    if (read_variable("BIDE_DIR") || (!rc && !look_for_registry(buffer))) {
        return rc;
    }
    host = look_for_registry(PATH_HOST);
    if (host != 0 && host != EACCES) { /* it may be closed to this user */
        return rc;
    }
    return check_length(snprintf(buffer, size, PATH_HOST), size);
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

bool
paths_private(const char *dir)
{
    struct stat st;

    return !stat(dir, &st) && !(st.st_mode & S_IRWXO);
}

int
paths_make_live(const char *dir, const char *path)
{
    char copy[PATH_MAX];
    struct stat of_dir, of_work;
    mode_t mode;

    snprintf(copy, sizeof(copy), "%s", path); /* live_open refuses a longer */
    if (!access(dirname(copy), F_OK) || errno != ENOENT) {
        return 0;
    }
    if (stat(dir, &of_dir) || stat(path_of(dir, PATH_QUEUE).text, &of_work)) {
        return safe_code(errno);
    }
    /* Registries with a group can share one directory. */
    mode = (of_work.st_mode & 02770) |
           ((of_work.st_mode & S_IWGRP ? 07 : of_dir.st_mode) & 01) * 011;
    return safe_make_parents(copy) ||
                   (safe_make_directory(
                        copy, mode,
                        (struct owner){of_work.st_uid, of_work.st_gid}) &&
                    errno != EEXIST)
               ? safe_code(errno)
               : 0;
}
