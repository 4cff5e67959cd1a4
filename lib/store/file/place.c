/* registry.lock holds one line, "815 1234567890 bide apply\n": pid, begin in
 * nanoseconds of CLOCK_MONOTONIC, command.  It is words only; the lock is the
 * kernel's (flock), so it ends with its holder.
 *
 * registry.checked, little-endian, 48 bytes:
 *    0 magic u32 "bchk" | 4 crc u32 of what follows | 8 device u64 |
 *   16 inode u64 | 24 size u64 | 32 changed_ns u64 | 40 txn u64 */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <bide.h>
#include "base/clock.h"
#include "base/crc32c.h"

enum {
    POLL_MS = 10,
    COMMAND_MAX = 64,
    ROOM_LEAST = 1 << 20,
    MAGIC = 0x6b686362, /* "bchk" */
};

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

static _Thread_local char why[1024];

/* ---- words ---- */

const char *
place_why(void)
{
    return why;
}

int
place_say(int rc, const char *format, ...)
{
    char words[sizeof(why)]; /* an argument may be the old words */
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    memcpy(why, words, strlen(words) + 1);
    return rc;
}

int
place_failed(const char *path, int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return place_say(BIDE_EMISSING, "%s: %s\nbide init makes a registry",
                         path, strerror(error));
    case EACCES:
    case EPERM:
    case EROFS:
        return place_say(BIDE_EPERM,
                         "%s: %s\nonly who may write there can change policies",
                         path, strerror(error));
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return place_say(BIDE_EFULL, "%s: %s\nmake room there and try again",
                         path, strerror(error));
    case ENOMEM:
        return place_say(BIDE_ENOMEM, "%s", strerror(error));
    default:
        return place_say(BIDE_ESYS, "%s: %s", path, strerror(error));
    }
}

/* ---- directory and files ---- */

bool
place_full(const char *dir)
{
    struct statvfs fs;

    return !statvfs(dir, &fs) && fs.f_frsize &&
           fs.f_bavail < ROOM_LEAST / fs.f_frsize + 1;
}

char *
place_path(const char *dir, const char *name)
{
    char *path;

    return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

/* The group of services, or -1: leave it as it is. */
static gid_t
services_group(void)
{
    char names[4096];
    struct group group, *found = NULL;

    if (geteuid() || getgrnam_r("bide", &group, names, sizeof(names), &found) ||
        !found) {
        return (gid_t)-1;
    }
    return found->gr_gid;
}

int
place_own(const char *path, mode_t mode)
{
    gid_t group = services_group();

    if (group != (gid_t)-1 && chown(path, (uid_t)-1, group)) {
        return place_failed(path, errno);
    }
    /* After chown, which may take the set-group-id bit away. */
    return chmod(path, mode) ? place_failed(path, errno) : 0;
}

static int
make_parents(char *path)
{
    char *slash;

    for (slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        int made;

        *slash = '\0';
        made = mkdir(path, 0755);
        if (made && errno != EEXIST) {
            int error = errno;
            struct stat st;

            /* On a read-only or foreign parent that is there, mkdir says why
             * it would not make it. */
            if (stat(path, &st) || !S_ISDIR(st.st_mode)) {
                return place_failed(path, error);
            }
        }
        *slash = '/';
    }
    return 0;
}

int
place_make(const char *dir)
{
    struct stat st;
    char *path;
    int rc;

    if (!stat(dir, &st)) {
        return S_ISDIR(st.st_mode)
                   ? 0
                   : place_say(BIDE_ESYS, "%s is no directory", dir);
    }
    path = strdup(dir);
    if (!path) {
        return place_failed(dir, ENOMEM);
    }
    rc = *path ? make_parents(path) : place_failed(dir, ENOENT);
    free(path);
    if (rc) {
        return rc;
    }
    /* With a slash at the end it has just been made as a parent. */
    if (mkdir(dir, 0750) && errno != EEXIST) {
        return place_failed(dir, errno);
    }
    return place_own(dir, 02750);
}

int
place_sync(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

    /* Some file systems cannot sync a directory, and say EINVAL. */
    if (fd < 0 || (fsync(fd) && errno != EINVAL)) {
        rc = place_failed(dir, errno);
    }
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

int
place_install(const char *dir, const char *fresh, const char *path, int rc)
{
    if (!rc && rename(fresh, path)) {
        rc = place_failed(path, errno);
    }
    if (rc) {
        unlink(fresh);
    }
    return rc ? rc : place_sync(dir);
}

int
place_reserve(const char *path, size_t size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int error;

    if (fd < 0) {
        return place_failed(path, errno);
    }
    do {
        error = posix_fallocate(fd, 0, (off_t)size);
    } while (error == EINTR);
    close(fd);
    return error && error != EINVAL && error != EOPNOTSUPP
               ? place_failed(path, error)
               : 0;
}

/* ---- the lock ---- */

static void
sign(int fd, const char *command)
{
    char line[COMMAND_MAX + 64];
    int length = snprintf(line, sizeof(line), "%ld %llu %.*s\n", (long)getpid(),
                          (unsigned long long)clock_monotonic_ns(), COMMAND_MAX,
                          command ? command : "?");
    char *p;

    for (p = line; p < line + length - 1; p++) {
        if ((unsigned char)*p < ' ' || *p == 127) {
            *p = '?';
        }
    }
    /* Words only: without them others still wait. */
    if (pwrite(fd, line, (size_t)length, 0) == length &&
        ftruncate(fd, length)) {
        return;
    }
}

static int
locked(int fd, unsigned wait_ms)
{
    char line[COMMAND_MAX + 64] = "", command[COMMAND_MAX + 1] = "", gave[48];
    unsigned long long since = 0, now = clock_monotonic_ns();
    long pid = 0;

    if (wait_ms < 1000) {
        snprintf(gave, sizeof(gave), "gave up after %u ms", wait_ms);
    } else {
        snprintf(gave, sizeof(gave), "gave up after %u s", wait_ms / 1000);
    }
    if (pread(fd, line, sizeof(line) - 1, 0) <= 0 ||
        sscanf(line, "%ld %llu %64[^\n]", &pid, &since, command) != 3) {
        return place_say(BIDE_ELOCKED, "being written by another process: %s",
                         gave);
    }
    return place_say(
        BIDE_ELOCKED, "being written by pid %ld (%s, for %llu s): %s", pid,
        command, since < now ? (now - since) / (unsigned long long)NS_PER_S : 0,
        gave);
}

/* Somebody may have removed the file while we waited: then the lock is one
 * that nobody else will see. */
static bool
still_there(int fd, const char *path)
{
    struct stat ours, there;

    return !fstat(fd, &ours) && !stat(path, &there) &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/* 0: it is ours; 1: the file is another one by now. */
static int
wait_for(int fd, const char *path, unsigned wait_ms, uint64_t until)
{
    const struct timespec pause = {0, POLL_MS * NS_PER_MS};

    while (flock(fd, LOCK_EX | LOCK_NB)) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return place_failed(path, errno);
        }
        if (clock_monotonic_ns() >= until) {
            return locked(fd, wait_ms);
        }
        nanosleep(&pause, NULL);
    }
    return still_there(fd, path) ? 0 : 1;
}

int
place_lock(const char *dir, const char *command, unsigned wait_ms, int *out_fd)
{
    uint64_t until = clock_monotonic_ns() + wait_ms * NS_PER_MS;
    char *path = place_path(dir, "registry.lock");
    int fd, rc;

    if (!path) {
        return place_failed(dir, ENOMEM);
    }
    do {
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0) {
            rc = place_failed(path, errno);
            break;
        }
        rc = wait_for(fd, path, wait_ms, until);
        if (rc) {
            close(fd);
        }
    } while (rc > 0);
    free(path);
    if (!rc) {
        sign(fd, command);
        *out_fd = fd;
    }
    return rc;
}

void
place_unlock(int fd)
{
    if (ftruncate(fd, 0)) {
        /* An old line stays; who waits reads it only while it is locked. */
    }
    /* Explicitly: a child that we forked may hold the same open file. */
    flock(fd, LOCK_UN);
    close(fd);
}

/* ---- what has been checked ---- */

struct checked {
    uint32_t magic, crc;
    struct pages_stamp stamp;
};

#define AT(field, offset) \
    _Static_assert(offsetof(struct checked, field) == (offset), #field)
AT(magic, 0);
AT(crc, 4);
AT(stamp.device, 8);
AT(stamp.inode, 16);
AT(stamp.size, 24);
AT(stamp.changed_ns, 32);
AT(stamp.txn, 40);
_Static_assert(sizeof(struct checked) == 48, "nothing follows");

bool
place_checked(const char *dir, const struct pages_stamp *stamp)
{
    return place_checked_as(dir, "registry.checked", stamp);
}

void
place_set_checked(const char *dir, const struct pages_stamp *stamp)
{
    place_set_checked_as(dir, "registry.checked", stamp);
}

bool
place_checked_as(const char *dir, const char *name,
                 const struct pages_stamp *stamp)
{
    char *path = place_path(dir, name);
    struct checked c;
    bool same = false;
    int fd;

    if (!path) {
        return false;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0) {
        same = read(fd, &c, sizeof(c)) == sizeof(c) && c.magic == MAGIC &&
               c.crc == crc32c(0, &c.stamp, sizeof(c.stamp)) &&
               !memcmp(&c.stamp, stamp, sizeof(*stamp));
        close(fd);
    }
    free(path);
    return same;
}

void
place_set_checked_as(const char *dir, const char *name,
                     const struct pages_stamp *stamp)
{
    struct checked c = {MAGIC, crc32c(0, stamp, sizeof(*stamp)), *stamp};
    char *path = place_path(dir, name), *fresh = NULL;
    bool ok = false;
    int fd;

    if (asprintf(&fresh, "%s/%s.new", dir, name) < 0) {
        fresh = NULL;
    }
    if (path && fresh) {
        fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                  0600);
        if (fd >= 0) {
            ok = write(fd, &c, sizeof(c)) == sizeof(c);
            ok = !close(fd) && ok;
        }
        if (!ok || rename(fresh, path)) {
            unlink(fresh);
            unlink(path);
        }
    }
    free(path);
    free(fresh);
}
