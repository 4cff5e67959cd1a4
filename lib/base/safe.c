#include "safe.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bide.h>

/* No times are asked for: after that, Linux (6.13) records the time of the next
 * write in nanoseconds, and each sync takes longer. */
#define WANTED \
    (STATX_TYPE | STATX_MODE | STATX_NLINK | STATX_UID | STATX_GID | STATX_INO)

enum { OPEN_TRIES = 8 };

static int
refuse(int error)
{
    errno = error;
    return -1;
}

/* Reads the properties of the directory of `path`. */
static int
stat_directory(const char *path, struct statx *out)
{
    char copy[PATH_MAX];

    if (strlen(path) >= sizeof(copy)) {
        return refuse(ENAMETOOLONG);
    }
    strcpy(copy, path);
    return statx(AT_FDCWD, dirname(copy), 0, WANTED, out);
}

/* Reports whether no stranger can have made `path`, which belongs to `owner`.
 * For root the directory is given, whoever owns it. */
static bool
is_trusted_directory(const char *path, uid_t owner)
{
    struct statx parent;

    return owner == 0 || owner == geteuid() || geteuid() == 0 ||
           (!stat_directory(path, &parent) && !(parent.stx_mode & S_IWOTH));
}

static bool
has_trusted_owner(const struct statx *st, const char *path)
{
    char copy[PATH_MAX];
    struct statx dir;

    if (st->stx_uid == 0 || st->stx_uid == geteuid()) {
        return true;
    }
    if (stat_directory(path, &dir)) {
        return false;
    }
    strcpy(copy, path);
    return (st->stx_uid == dir.stx_uid &&
            is_trusted_directory(dirname(copy), dir.stx_uid)) ||
           (st->stx_gid == dir.stx_gid && dir.stx_mode & S_IWGRP &&
            !(dir.stx_mode & S_IWOTH));
}

static int
judge(const struct statx *st, const char *path)
{
    if (S_ISLNK(st->stx_mode)) {
        return refuse(ELOOP);
    }
    if (!S_ISREG(st->stx_mode)) {
        return refuse(S_ISDIR(st->stx_mode) ? EISDIR : ENXIO);
    }
    if (!has_trusted_owner(st, path)) {
        return refuse(SAFE_STRANGER);
    }
    return st->stx_nlink > 1 ? refuse(EMLINK) : 0;
}

/* ---- files ---- */

int
safe_look(const char *path)
{
    struct statx st;

    return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, WANTED, &st)
               ? -1
               : judge(&st, path);
}

void
safe_close(int fd)
{
    int error = errno;

    if (fd >= 0) {
        close(fd);
    }
    errno = error;
}

int
safe_open(const char *path)
{
    const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    struct statx st;
    int fd;

    /* First, because opening a device can have an effect. */
    if (safe_look(path)) {
        return -1;
    }
    fd = open(path, flags);
    if (fd >= 0 &&
        (statx(fd, "", AT_EMPTY_PATH, WANTED, &st) || judge(&st, path))) {
        safe_close(fd);
        return -1;
    }
    return fd;
}

int
safe_make(const char *path)
{
    return open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

int
safe_open_or_make(const char *path, mode_t mask)
{
    int fd = -1;

    for (int i = 0; i < OPEN_TRIES && fd < 0; i++) {
        fd = safe_open(path);
        if (fd >= 0 || errno != ENOENT) {
            return fd;
        }
        fd = safe_make(path);
        if (fd >= 0 && safe_inherit(fd, path, mask)) {
            safe_close(fd);
            return -1;
        }
        if (fd < 0 && errno != EEXIST) {
            return fd;
        }
    }
    return fd;
}

int
safe_make_anew(const char *path)
{
    return unlink(path) && errno != ENOENT ? -1 : safe_make(path);
}

int
safe_check(int fd, const char *path)
{
    struct statx open_file, there;

    if (statx(fd, "", AT_EMPTY_PATH, WANTED, &open_file) ||
        statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, WANTED, &there) ||
        judge(&there, path)) {
        return -1;
    }
    return open_file.stx_ino == there.stx_ino &&
                   open_file.stx_dev_major == there.stx_dev_major &&
                   open_file.stx_dev_minor == there.stx_dev_minor
               ? 0
               : refuse(ENOENT);
}

int
safe_replaceable(const char *path)
{
    return safe_look(path) && errno != ENOENT && errno != EMLINK ? -1 : 0;
}

/* Gives a new file or directory to an owner, as far as the caller may.  Another
 * group than that one gets the rights that all have. */
static int
give_to(int fd, mode_t mode, struct owner o)
{
    struct statx st;

    if ((geteuid() || fchown(fd, o.user, o.group)) &&
        fchown(fd, (uid_t)-1, o.group) &&
        (statx(fd, "", AT_EMPTY_PATH, WANTED, &st) || st.stx_gid != o.group)) {
        mode = (mode & 0700) | (mode & 07) * 011;
    }
    /* After fchown, which may clear the set-group-id bit. */
    return fchmod(fd, mode);
}

mode_t
safe_mode_in(mode_t directory, mode_t mask)
{
    return (directory | (directory & 011) << 2) & mask;
}

int
safe_inherit(int fd, const char *path, mode_t mask)
{
    struct statx st;

    return stat_directory(path, &st)
               ? -1
               : give_to(fd, safe_mode_in(st.stx_mode, mask),
                         (struct owner){st.stx_uid, st.stx_gid});
}

/* ---- directories ---- */

int
safe_make_parents(const char *path)
{
    char copy[PATH_MAX];
    struct stat st;

    if (strlen(path) >= sizeof(copy)) {
        return refuse(ENAMETOOLONG);
    }
    strcpy(copy, path);
    for (char *slash = strchr(copy + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, 0755) && errno != EEXIST) {
            int error = errno;

            /* For an existing parent on a read-only file system or in a
             * directory of others, mkdir fails with EROFS or EACCES. */
            if (stat(copy, &st) || !S_ISDIR(st.st_mode)) {
                return refuse(error);
            }
        }
        *slash = '/';
    }
    return 0;
}

int
safe_make_directory(const char *path, mode_t mode, struct owner o)
{
    struct statx st;
    int fd, rc;

    if (mkdir(path, mode & 0700)) {
        return -1;
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    rc = statx(fd, "", AT_EMPTY_PATH, WANTED, &st) ? -1
         : st.stx_uid != geteuid()                 ? refuse(SAFE_STRANGER)
                                                   : give_to(fd, mode, o);
    safe_close(fd);
    return rc;
}

int
safe_directory(const char *path)
{
    struct statx st;

    if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, WANTED, &st)) {
        return -1;
    }
    if (!S_ISDIR(st.stx_mode)) {
        return refuse(S_ISLNK(st.stx_mode) ? ELOOP : ENOTDIR);
    }
    return is_trusted_directory(path, st.stx_uid) ? 0 : refuse(SAFE_STRANGER);
}

/* ---- words ---- */

bool
safe_refused(int error)
{
    return error == ELOOP || error == EISDIR || error == ENXIO ||
           error == EMLINK || error == SAFE_STRANGER;
}

int
safe_code(int error)
{
    switch (error) {
    case ENOMEM:
        return BIDE_ENOMEM;
    case ENOENT:
    case ENOTDIR:
        return BIDE_EMISSING;
    case EACCES:
    case EPERM:
    case EROFS:
        return BIDE_EPERM;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return BIDE_EFULL;
    case EEXIST:
        return BIDE_EEXIST;
    default:
        return BIDE_ESYS;
    }
}

const char *
safe_why(int error)
{
    switch (error) {
    case ELOOP:
        return "this is a symbolic link, and nothing is written through one\n"
               "remove the link, or put the file itself in its place";
    case EISDIR:
        return "this is a directory, not a file\nremove it or move it away";
    case ENXIO:
        return "this is a device, pipe or socket, not a file\n"
               "remove it or move it away";
    case EMLINK:
        return "the file has a second name (a hard link), so another file "
               "would change too\nmove it away, or copy it to a new file";
    case SAFE_STRANGER:
        return "it belongs to another user, who is neither root nor the owner "
               "of the directory\nchange its owner, or move it away";
    default:
        return strerror(error);
    }
}
