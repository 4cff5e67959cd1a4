/* The directory of a registry: its files, its lock, and the stamps of files
 * that were checked.
 *
 * registry.lock holds one line, "815 4026531836 1234567890 bide apply\n": pid,
 * its PID namespace, begin in nanoseconds of CLOCK_MONOTONIC, command.  The
 * line is only for messages; the lock is flock(2), so the kernel releases it
 * when its holder ends.
 *
 * registry.checked, little-endian, 48 bytes:
 *    0 magic u32 "bchk" | 4 crc u32 of what follows | 8 device u64 |
 *   16 inode u64 | 24 size u64 | 32 changed_ns u64 | 40 txn u64 */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <bide.h>
#include "base/boot.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/failure.h"
#include "base/paths.h"
#include "base/plain.h"
#include "base/safe.h"
#include "store/pages/pages_file.h"

enum {
    POLL_MS = 10,
    COMMAND_MAX = 64,
    FREE_LEAST = 1 << 20, /* bytes */
    MAGIC = 0x6b686362,   /* "bchk" */
};

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

static _Thread_local char why[1024];

/* ---- messages ---- */

const char *
place_why(void)
{
    return why;
}

int
place_say(int rc, const char *format, ...)
{
    char text[sizeof(why)]; /* an argument may be the old message */
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    memcpy(why, text, strlen(text) + 1);
    return rc;
}

int
place_failed(const char *path, int error)
{
    failure_deny(path);
    switch (safe_code(error)) {
    case BIDE_EMISSING:
        return place_say(BIDE_EMISSING, "%s: %s\nbide init makes a registry",
                         path, strerror(error));
    case BIDE_EFULL:
        return place_say(BIDE_EFULL, "%s: %s\nmake room there and try again",
                         path, strerror(error));
    case BIDE_ENOMEM:
        return place_say(BIDE_ENOMEM, "%s", strerror(error));
    case BIDE_EPERM:
        return place_say(BIDE_EPERM, "%s: %s", path, strerror(error));
    default:
        return place_say(safe_refused(error) ? BIDE_EPERM : BIDE_ESYS, "%s: %s",
                         path, safe_why(error));
    }
}

/* ---- directory and files ---- */

bool
place_full(const char *dir)
{
    struct statvfs fs;

    return !statvfs(dir, &fs) && fs.f_frsize &&
           fs.f_bavail < FREE_LEAST / fs.f_frsize + 1;
}

char *
place_path(const char *dir, const char *name)
{
    char *path;

    return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

int
place_make(const char *dir)
{
    static const struct {
        const char *name;
        mode_t mode;
    } parts[] = {{"", 0755},
                 {PATH_POLICIES, 0755},
                 {PATH_HISTORIES, 0755},
                 {PATH_QUEUE, 0700}};
    struct stat st = {.st_uid = geteuid(), .st_gid = getegid()};
    int rc = 0;

    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts) && !rc; i++) {
        struct file_path copy = path_of(dir, parts[i].name);
        char *path = copy.text;

        for (char *end = path + strlen(path);
             end > path + 1 && end[-1] == '/';) {
            *--end = '\0';
        }
        rc = !*dir ? place_failed(dir, ENOENT)
             : safe_make_parents(path) ||
                     (safe_make_directory(
                          path, parts[i].mode,
                          (struct owner){st.st_uid, st.st_gid}) &&
                      errno != EEXIST)
                 ? place_failed(path, errno)
             : i == 0 && (stat(path, &st) || !S_ISDIR(st.st_mode))
                 ? place_say(BIDE_ESYS, "%s is not a directory", path)
                 : 0;
    }
    return rc;
}

/* Opens the directory of `path`. */
static int
open_directory(const char *path)
{
    char copy[PATH_MAX];

    snprintf(copy, sizeof(copy), "%s", path);
    return open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int
place_sync(const char *path)
{
    int fd = open_directory(path), rc = 0;

    /* Some file systems cannot sync a directory; they return EINVAL. */
    if (fd < 0 || (fsync(fd) && errno != EINVAL)) {
        rc = place_failed(path, errno);
    }
    safe_close(fd);
    return rc;
}

int
place_make_file(const struct place_new *n)
{
    const struct file_path fresh = path_print("%s.new", n->path);
    int rc, fd = safe_make_anew(fresh.text);

    if (fd < 0) {
        return place_failed(fresh.text, errno);
    }
    rc = n->fill(n->arg, fresh.text, fd);
    if (!rc && safe_inherit(fd, n->path, SAFE_FILE)) {
        rc = place_failed(n->path, errno);
    }
    close(fd);
    if (!rc && n->before) {
        rc = n->before(n->arg);
    }
    if (!rc && rename(fresh.text, n->path)) {
        rc = place_failed(n->path, errno);
    }
    if (rc) {
        unlink(fresh.text);
    }
    return rc ? rc : place_sync(n->path);
}

int
place_reserve(int fd, const char *path, size_t size)
{
    int error;

    do {
        error = posix_fallocate(fd, 0, (off_t)size);
    } while (error == EINTR);
    return error && error != EINVAL && error != EOPNOTSUPP
               ? place_failed(path, error)
               : 0;
}

/* ---- the lock ---- */

static void
write_lock_line(int fd, const char *command)
{
    char line[COMMAND_MAX + 64];
    struct process self = process_self();
    int length = snprintf(line, sizeof(line), "%u %u %" PRIu64 " %.*s",
                          self.pid, self.space, clock_monotonic_ns(),
                          COMMAND_MAX, command ? command : "?");

    plain_hide_controls(line);
    line[length++] = '\n';
    /* A failure is ignored: the lock holds without its line. */
    if (pwrite(fd, line, (size_t)length, 0) == length &&
        ftruncate(fd, length)) {
        return;
    }
}

/* Returns BIDE_ELOCKED with a message that names the holder, if its line can be
 * read. */
static int
refuse_locked(int fd, unsigned wait_ms)
{
    char line[COMMAND_MAX + 64] = "", command[COMMAND_MAX + 1] = "", gave[48];
    uint64_t since = 0, now = clock_monotonic_ns();
    uint32_t pid = 0, space = 0;

    if (wait_ms < 1000) {
        snprintf(gave, sizeof(gave), "gave up after %u ms", wait_ms);
    } else {
        snprintf(gave, sizeof(gave), "gave up after %u s", wait_ms / 1000);
    }
    if (pread(fd, line, sizeof(line) - 1, 0) <= 0 ||
        sscanf(line, "%" SCNu32 " %" SCNu32 " %" SCNu64 " %64[^\n]", &pid,
               &space, &since, command) != 4) {
        return place_say(BIDE_ELOCKED, "being written by another process: %s",
                         gave);
    }
    return place_say(BIDE_ELOCKED,
                     "being written by pid %u%s (%s, for %" PRIu64 " s): %s",
                     pid, process_is_elsewhere(space) ? PROCESS_ELSEWHERE : "",
                     command, since < now ? (now - since) / NS_PER_S : 0, gave);
}

/* Waits until `until` (CLOCK_MONOTONIC, ns) for the lock on `fd`.  Returns 0 or
 * a BIDE_E code; BIDE_ELOCKED without a message. */
static int
wait_for_lock(int fd, const char *path, uint64_t until)
{
    const struct timespec pause = {0, POLL_MS * NS_PER_MS};

    while (flock(fd, LOCK_EX | LOCK_NB)) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return place_failed(path, errno);
        }
        if (clock_monotonic_ns() >= until) {
            return BIDE_ELOCKED;
        }
        nanosleep(&pause, NULL);
    }
    return 0;
}

int
place_lock_directory(const char *path, int *out_fd)
{
    int fd = open_directory(path);
    int rc =
        fd < 0 ? place_failed(path, errno)
               : wait_for_lock(fd, path,
                               clock_monotonic_ns() + LOCK_WAIT_MS * NS_PER_MS);

    if (rc == BIDE_ELOCKED) {
        refuse_locked(fd, LOCK_WAIT_MS);
    }
    if (!rc) {
        *out_fd = fd;
    } else {
        safe_close(fd);
    }
    return rc;
}

int
place_wait(const char *dir, const char *name, unsigned wait_ms, int *out_fd)
{
    uint64_t until = clock_monotonic_ns() + wait_ms * NS_PER_MS;
    const struct file_path path = path_of(dir, name);
    int rc = EAGAIN;

    while (rc == EAGAIN) {
        int fd = safe_open_or_make(path.text, SAFE_LOCK);

        rc = fd < 0 ? place_failed(path.text, errno)
                    : wait_for_lock(fd, path.text, until);
        /* A file that was removed while we waited would be a lock that no
         * other process sees. */
        if (!rc && safe_check(fd, path.text)) {
            rc = errno == ENOENT ? EAGAIN : place_failed(path.text, errno);
        }
        if (!rc || rc == BIDE_ELOCKED) {
            *out_fd = fd;
        } else {
            safe_close(fd);
        }
    }
    return rc;
}

int
place_lock(const char *dir, const char *command, unsigned wait_ms, int *out_fd)
{
    int fd, rc = place_wait(dir, PATH_REGISTRY_LOCK, wait_ms, &fd);

    if (!rc) {
        write_lock_line(fd, command);
        *out_fd = fd;
    } else if (rc == BIDE_ELOCKED) {
        refuse_locked(fd, wait_ms);
        close(fd);
    }
    return rc;
}

void
place_unlock(int fd)
{
    if (ftruncate(fd, 0)) {
        /* The old line stays; it is read only while the file is locked. */
    }
    /* Explicitly: a child that we forked may hold the same open file. */
    flock(fd, LOCK_UN);
    close(fd);
}

/* ---- stamps of files that were checked ---- */

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

/* Reports whether the file `fd` holds this stamp, and closes it. */
static bool
holds_stamp(int fd, const struct pages_stamp *stamp)
{
    struct checked c;
    bool same = fd >= 0 && read(fd, &c, sizeof(c)) == sizeof(c) &&
                c.magic == MAGIC &&
                c.crc == crc32c(0, &c.stamp, sizeof(c.stamp)) &&
                !memcmp(&c.stamp, stamp, sizeof(*stamp));

    safe_close(fd);
    return same;
}

bool
place_was_checked(const char *path, const struct pages_stamp *stamp)
{
    return holds_stamp(open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK),
                       stamp);
}

static void
write_stamp(const char *dir, const char *name, const struct pages_stamp *stamp)
{
    struct checked c = {MAGIC, crc32c(0, stamp, sizeof(*stamp)), *stamp};
    const struct file_path path = path_of(dir, name);
    const struct file_path fresh = path_print("%s.new", path.text);
    int fd = safe_replaceable(path.text) ? -1 : safe_make_anew(fresh.text);
    bool ok;

    if (fd >= 0) {
        ok = write(fd, &c, sizeof(c)) == sizeof(c) &&
             !safe_inherit(fd, path.text, SAFE_FILE);
        ok = !close(fd) && ok;
        if (!ok || rename(fresh.text, path.text)) {
            unlink(fresh.text);
            unlink(path.text);
        }
    }
}

int
place_open_checked(const char *dir, const char *path, const char *name,
                   int (*check)(struct pages *f), struct pages **out)
{
    struct pages_stamp stamp;
    int rc = pages_open(path, out);

    rc = rc ? rc : pages_look(*out, &stamp);
    if (rc) {
        return rc;
    }
    /* No stranger can have written it: safe_open. */
    if (holds_stamp(safe_open(path_of(dir, name).text), &stamp)) {
        return 0;
    }
    rc = check ? check(*out) : BIDE_ELOCKED;
    if (!rc) {
        write_stamp(dir, name, &stamp);
    }
    return rc;
}

void
place_set_checked(const char *dir, const char *name, struct pages *f)
{
    struct pages_stamp stamp;

    if (!pages_look(f, &stamp)) {
        write_stamp(dir, name, &stamp);
    }
}
