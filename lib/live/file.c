/* Makes, checks and replaces the live file.
 *
 * A new file is complete before it has a name: it is made without one
 * (O_TMPFILE, so that a killed process leaves nothing) and then linked to its
 * name.  If several processes do this at once, one link succeeds and the others
 * open that file. */
#include "inside.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/boot.h"
#include "base/safe.h"

enum {
    ATTACH_TRIES = 10,
    LOCK_TRIES = 50,
    LOCK_PAUSE_NS = 5000000,
    STALE = LIVE_STALE, /* not a BIDE_E code: the file must be replaced */
};

struct file_draft {
    int fd;
    char name[PATH_MAX]; /* "": made without a name */
};

int
live_error(int error)
{
    return safe_refused(error) ? BIDE_EDAMAGED : safe_code(error);
}

/* ---- the header ---- */

static uint32_t
count_stripes(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_CONF);
    uint32_t stripes = 1;

    while (stripes < STRIPE_MAX && (long)stripes < cpus) {
        stripes *= 2;
    }
    return stripes;
}

void
file_header(const uint8_t id[16], struct live_header *out)
{
    memset(out, 0, sizeof(*out));
    out->magic = LIVE_MAGIC;
    out->format = LIVE_FORMAT;
    out->header_size = sizeof(struct live_header);
    out->cell_size = sizeof(struct cell);
    out->body_size = BODY_SIZE;
    out->cell_max = CELL_MAX;
    out->directory_words = DIRECTORY_WORDS;
    out->sleeper_slots = SLEEPER_SLOTS;
    out->stripes = count_stripes();
    memcpy(out->registry_id, id, 16);
    boot_id(out->boot_id);
    out->tick_mult = clock_measure().mult;
    out->begun_ns = clock_realtime_ns();
}

static bool
has_our_sizes(const struct live_header *h)
{
    return h->header_size == sizeof(struct live_header) &&
           h->cell_size == sizeof(struct cell) && h->body_size == BODY_SIZE &&
           h->cell_max == CELL_MAX && h->directory_words == DIRECTORY_WORDS &&
           h->sleeper_slots == SLEEPER_SLOTS && h->stripes >= 1 &&
           h->stripes <= STRIPE_MAX && !(h->stripes & (h->stripes - 1));
}

/* Reports whether the file is of an earlier boot.  On tmpfs it is not, although
 * the ids may differ: a container may have one of its own, under which a
 * process with another /proc, such as a confined unit, sees the host's.  The
 * two would replace the file again and again, as would a process that cannot
 * read it. */
static bool
is_earlier_boot(const struct live_header *h, int fd)
{
    static const uint8_t unknown[16];
    uint8_t boot[16];
    struct statfs fs;

    boot_id(boot);
    return memcmp(boot, unknown, 16) && memcmp(boot, h->boot_id, 16) &&
           (fstatfs(fd, &fs) ||
            (fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC));
}

/* Returns 0, STALE or a BIDE_E code. */
static int
check_header(const struct live_header *h, int fd, uint64_t size,
             const uint8_t id[16])
{
    if (h->magic != LIVE_MAGIC) {
        return STALE;
    }
    if (memcmp(h->registry_id, id, 16)) {
        return BIDE_EDAMAGED; /* of another registry: never replaced by us */
    }
    if (is_earlier_boot(h, fd)) {
        return STALE;
    }
    if (h->format > LIVE_FORMAT) {
        return BIDE_EFORMAT; /* in use by newer programs: not replaced */
    }
    return h->format == LIVE_FORMAT && has_our_sizes(h) && size == LIVE_SIZE
               ? 0
               : STALE;
}

static int
check_file(int fd, const uint8_t id[16], struct live_header *out,
           uint64_t *out_inode)
{
    struct stat st;
    ssize_t n = pread(fd, out, sizeof(*out), 0);

    if (n < 0 || fstat(fd, &st)) {
        return live_error(errno);
    }
    *out_inode = st.st_ino;
    return n == sizeof(*out) ? check_header(out, fd, (uint64_t)st.st_size, id)
                             : STALE;
}

int
file_reserve(int fd, uint64_t offset, uint64_t size)
{
    int rc, tries = 0;

    do { /* on tmpfs, any signal interrupts it */
        rc = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size);
    } while (rc && errno == EINTR && ++tries < 1000);
    return rc ? live_error(errno) : 0;
}

static int
write_number(int fd, size_t offset, uint64_t number)
{
    return pwrite(fd, &number, sizeof(number), (off_t)offset) == sizeof(number)
               ? 0
               : BIDE_ESYS;
}

/* Reserves everything before LIVE_CELLS, which is mapped at once, and records
 * the inode number as proof.  It is needed again for a copy of the file, which
 * may have holes.  Reserving at each start would take a quarter of the time
 * until the first decision of a process. */
static int
reserve_front(int fd, uint64_t inode)
{
    int rc = file_reserve(fd, 0, LIVE_CELLS);

    return rc ? rc
              : write_number(fd, offsetof(struct live_header, inode), inode);
}

/* Opens and checks the file.  Returns 0, STALE, BIDE_EMISSING or another BIDE_E
 * code. */
static int
open_checked(const char *path, const uint8_t id[16], struct live_header *out,
             int *out_fd)
{
    int rc, fd = safe_open(path);
    uint64_t inode;

    if (fd < 0) {
        return live_error(errno);
    }
    rc = check_file(fd, id, out, &inode);
    if (rc == 0 && out->inode != inode) {
        rc = reserve_front(fd, inode);
    }
    if (rc) {
        close(fd);
    } else {
        *out_fd = fd;
    }
    return rc;
}

int
file_look(const char *path, const uint8_t id[16], struct live_header *out,
          int *out_fd)
{
    struct stat st;
    uint64_t inode;
    int fd, rc = stat(path, &st) ? live_error(errno) : 0;

    if (rc || !S_ISREG(st.st_mode)) { /* opening a device can have an effect */
        return rc ? rc : BIDE_EDAMAGED;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return live_error(errno);
    }
    rc = check_file(fd, id, out, &inode);
    if (rc) {
        close(fd);
    } else {
        *out_fd = fd;
    }
    return rc;
}

int
live_look(const char *path, const uint8_t id[16], struct live_header *out)
{
    int fd, rc = file_look(path, id, out, &fd);

    if (!rc) {
        close(fd);
    }
    return rc;
}

/* ---- a new file ---- */

static int
write_draft(int fd, const char *path, const uint8_t id[16], mode_t mask)
{
    struct live_header h;
    struct stat st;
    int rc;

    if (safe_inherit(fd, path, mask) || ftruncate(fd, (off_t)LIVE_SIZE)) {
        return live_error(errno);
    }
    file_header(id, &h);
    h.magic = 0;
    if (pwrite(fd, &h, sizeof(h), 0) != sizeof(h)) {
        return live_error(errno);
    }
    rc = fstat(fd, &st) ? live_error(errno) : reserve_front(fd, st.st_ino);
    return rc ? rc : write_number(fd, 0, LIVE_MAGIC);
}

static int
open_draft(const char *path, const char *directory, struct file_draft *d)
{
    d->name[0] = '\0';
    /* Linking a file without a name requires /proc. */
    if (!access("/proc/self/fd", X_OK)) {
        d->fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0660);
        if (d->fd >= 0) {
            return 0;
        }
        if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) {
            return live_error(errno);
        }
    }
    if (snprintf(d->name, sizeof(d->name), "%s.XXXXXX", path) >=
        (int)sizeof(d->name)) {
        return BIDE_EINVAL;
    }
    d->fd = mkostemp(d->name, O_CLOEXEC);
    return d->fd < 0 ? live_error(errno) : 0;
}

/* Gives the draft its name.  Fails with BIDE_EEXIST if that name exists. */
static int
link_draft(const struct file_draft *d, const char *to)
{
    char from[64];

    snprintf(from, sizeof(from), "/proc/self/fd/%d", d->fd);
    return linkat(AT_FDCWD, *d->name ? d->name : from, AT_FDCWD, to,
                  *d->name ? 0 : AT_SYMLINK_FOLLOW)
               ? live_error(errno)
               : 0;
}

/* Replaces the file `to` by the draft.  The caller holds the lock, so one
 * temporary name is enough.  If a process is killed here, the next one removes
 * the temporary file. */
static int
rename_draft(const struct file_draft *d, const char *to)
{
    char between[PATH_MAX];
    int rc;

    if (snprintf(between, sizeof(between), "%s.new", to) >=
        (int)sizeof(between)) {
        return BIDE_EINVAL;
    }
    unlink(between);
    rc = link_draft(d, between);
    if (rc == 0 && rename(between, to)) {
        rc = live_error(errno);
        unlink(between);
    }
    return rc;
}

typedef int publish_fn(const struct file_draft *d, const char *to);

static int
make_file(const char *path, const char *directory, const uint8_t id[16],
          mode_t mask, publish_fn *publish, struct live_header *out,
          int *out_fd)
{
    struct file_draft d;
    uint64_t inode;
    int rc = open_draft(path, directory, &d);

    if (rc) {
        return rc;
    }
    rc = write_draft(d.fd, path, id, mask);
    rc = rc ? rc : publish(&d, path);
    if (d.name[0]) {
        unlink(d.name);
    }
    if (rc == 0 && check_file(d.fd, id, out, &inode)) {
        rc = BIDE_ESYS;
    }
    if (rc) {
        close(d.fd);
    } else {
        *out_fd = d.fd;
    }
    return rc;
}

/* ---- the directory ---- */

/* Locks the directory.  Fails with BIDE_ELOCKED after a quarter of a second,
 * because the process that holds the lock may be stopped. */
static int
lock_directory(const char *directory, int *out)
{
    const struct timespec pause = {0, LOCK_PAUSE_NS};
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        return live_error(errno);
    }
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (!flock(fd, LOCK_EX | LOCK_NB)) {
            *out = fd;
            return 0;
        }
        nanosleep(&pause, NULL);
    }
    close(fd);
    return BIDE_ELOCKED;
}

/* Replaces the file, unless another process has replaced it before this one got
 * the lock. */
static int
replace_file(const char *path, const char *directory, const uint8_t id[16],
             mode_t mask, struct live_header *out, int *out_fd)
{
    int lock = -1, rc = lock_directory(directory, &lock);

    if (rc) {
        return rc;
    }
    rc = open_checked(path, id, out, out_fd);
    if (rc == STALE) {
        rc = make_file(path, directory, id, mask, rename_draft, out, out_fd);
    }
    flock(lock, LOCK_UN); /* a child process may still have it open */
    close(lock);
    return rc;
}

int
file_attach(const char *path, const uint8_t id[16], mode_t mask,
            struct live_header *out, int *out_fd)
{
    char copy[PATH_MAX];
    const char *directory;
    int rc = BIDE_ESYS;

    if (strlen(path) >= sizeof(copy) - 16) {
        return BIDE_EINVAL;
    }
    strcpy(copy, path);
    directory = dirname(copy);
    if (safe_directory(directory) && errno != ENOENT) {
        return live_error(errno);
    }
    for (int i = 0; i < ATTACH_TRIES; i++) {
        rc = open_checked(path, id, out, out_fd);
        if (rc == BIDE_EMISSING) {
            rc = make_file(path, directory, id, mask, link_draft, out, out_fd);
        } else if (rc == STALE) {
            rc = replace_file(path, directory, id, mask, out, out_fd);
        } else {
            return rc;
        }
        /* Another process made or removed the file first: try again. */
        if (rc != BIDE_EEXIST && rc != BIDE_EMISSING) {
            return rc;
        }
    }
    return BIDE_ESYS;
}
