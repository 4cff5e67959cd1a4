/* Decides whether LMDB may open deferred.mdb: all pages verified, enough disk
 * space.
 *
 * deferred.checked, little-endian, 72 bytes: the state of deferred.mdb
 * that was found whole.  Every user who can write it can write deferred.mdb
 * too.
 *
 *    0 magic u32 "dchk" | 4 crc u32 of what follows | 8 device u64 |
 *   16 inode u64 | 24 size u64 | 32 changed_ns u64 | 40 txn u64 |
 *   48 boot u64 | 56 in_flight u64: 1: the commit after it is whole too
 *   64 next u64: all ids below it were given to work, so the queue notices
 *      that a journal with newer work is gone
 *
 * States of d->check:
 *
 *            deferred_check             deferred_check_commit
 *   UNKNOWN ----------------> WHOLE -----------------------> COMMITTING
 *      ^                        ^                                |
 *      |                        +--------------------------------+
 *      |                          deferred_check_committed, deferred_check
 *      `-- deferred_check_close, from each state */
#include "check.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/paths.h"
#include "base/safe.h"
#include "store/file/place.h"
#include "file.h"

enum {
    MAGIC = 0x6b686364, /* "dchk" */
    RESERVE_STEP = 1 << 20,
};

struct checked {
    uint32_t magic, crc;
    struct pages_stamp stamp;
    uint64_t boot, in_flight, next;
};
_Static_assert(offsetof(struct checked, stamp) == 8, "stamp");
_Static_assert(offsetof(struct checked, boot) == 48, "boot");
_Static_assert(sizeof(struct checked) == 72, "nothing follows");

/* ---- files beside deferred.mdb ---- */

/* Compares with statx, which asks for no times: after fstat, Linux (6.13)
 * records the time of the next write in ns, and each sync takes 1.5 times as
 * long. */
bool
deferred_is_file(int fd, const char *path, uint64_t device, uint64_t inode)
{
    struct statx st;

    return !statx(fd, path, *path ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH,
                  STATX_TYPE | STATX_INO, &st) &&
           st.stx_ino == inode &&
           makedev(st.stx_dev_major, st.stx_dev_minor) == device;
}

/* A service that has given up its rights may be unable to look up the name
 * (EACCES); the open file is still right.  Else other processes will use
 * another file. */
bool
deferred_has_beside(const struct beside *b)
{
    errno = 0;
    return b->fd >= 0 && deferred_is_file(b->fd, "", b->device, b->inode) &&
           (deferred_is_file(AT_FDCWD, b->path, b->device, b->inode) ||
            errno == EACCES);
}

void
deferred_close_beside(struct beside *b)
{
    if (b->fd >= 0 && deferred_is_file(b->fd, "", b->device, b->inode)) {
        close(b->fd);
    }
    b->fd = -1;
}

int
deferred_open_beside(const struct deferred *d, struct beside *b,
                     int (*make)(const char *dir))
{
    struct stat st;

    if (deferred_has_beside(b)) {
        return 0;
    }
    deferred_close_beside(b);
    b->fd = d->reading ? open(b->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
                       : safe_open(b->path);
    if (b->fd < 0 && errno == ENOENT) {
        if (d->reading || make(d->dir)) {
            return 0;
        }
        b->fd = safe_open(b->path);
    }
    if (b->fd < 0) {
        return errno;
    }
    if (fstat(b->fd, &st)) {
        close(b->fd);
        b->fd = -1;
        return MDB_INVALID;
    }
    b->device = st.st_dev;
    b->inode = st.st_ino;
    return 0;
}

/* ---- the verified state ---- */

int
deferred_make_checked(const char *dir)
{
    const struct file_path path = path_of(dir, PATH_DEFERRED_CHECKED);
    int fd = safe_open_or_make(path.text, SAFE_FILE);
    int rc = fd < 0 ? place_failed(path.text, errno)
                    : place_reserve(fd, path.text, sizeof(struct checked));

    safe_close(fd);
    return rc;
}

static bool
is_same_state(const struct pages_stamp *a, const struct pages_stamp *b,
              bool or_next)
{
    if (!memcmp(a, b, sizeof(*a))) {
        return true;
    }
    /* A process was killed during a commit.  LMDB wrote the pages, so they are
     * whole. */
    return or_next && a->device == b->device && a->inode == b->inode &&
           b->size >= a->size && b->txn - a->txn <= 1;
}

void
deferred_check_close(struct deferred *d)
{
    deferred_close_beside(&d->check.file);
    d->check.state = CHECK_UNKNOWN;
}

static bool
open_checked(struct deferred *d)
{
    return !deferred_open_beside(d, &d->check.file, deferred_make_checked) &&
           d->check.file.fd >= 0;
}

static bool
read_checked(struct deferred *d, struct checked *out)
{
    return open_checked(d) &&
           pread(d->check.file.fd, out, sizeof(*out), 0) == sizeof(*out) &&
           out->magic == MAGIC &&
           out->crc == crc32c(0, &out->stamp, sizeof(*out) - 8);
}

static bool
was_checked_before(struct deferred *d, const struct pages_stamp *now)
{
    struct checked c;

    if (d->check.state != CHECK_UNKNOWN &&
        is_same_state(&d->check.stamp, now,
                      d->check.state == CHECK_COMMITTING)) {
        return true;
    }
    return read_checked(d, &c) && c.boot == d->boot &&
           is_same_state(&c.stamp, now, c.in_flight == 1);
}

static void
set_checked(struct deferred *d, enum check_state state)
{
    struct checked c = {
        MAGIC,        0, d->check.stamp, d->boot, state == CHECK_COMMITTING,
        d->check.next};

    assert(state != CHECK_UNKNOWN);
    d->check.state = state;
    c.crc = crc32c(0, &c.stamp, sizeof(c) - 8);
    /* If this fails, the next process verifies the pages again. */
    if (open_checked(d) &&
        pwrite(d->check.file.fd, &c, sizeof(c), 0) != sizeof(c)) {
        errno = 0;
    }
}

void
deferred_check_commit(struct deferred *d)
{
    assert(d->check.state != CHECK_UNKNOWN);
    set_checked(d, CHECK_COMMITTING);
}

void
deferred_check_committed(struct deferred *d)
{
    struct pages_stamp now;

    if (d->file.pages && !pages_look(d->file.pages, &now)) {
        d->check.stamp = now;
        set_checked(d, CHECK_WHOLE);
    }
}

void
deferred_check_touched(struct deferred *d)
{
    bool current =
        !memcmp(&d->journal.base, &d->check.stamp, sizeof(d->check.stamp));

    deferred_check_committed(d);
    if (current) {
        d->journal.base = d->check.stamp;
    }
}

/* ---- ids that were given ---- */

void
deferred_read_next(struct deferred *d, bool intact)
{
    struct checked c;

    d->check.next =
        read_checked(d, &c) && (c.boot == d->boot || !intact) ? c.next : 0;
}

void
deferred_write_next(struct deferred *d, uint64_t next)
{
    if (next > d->check.next) {
        d->check.next = next;
        set_checked(d, d->check.state);
    }
}

/* ---- checking ---- */

/* LMDB trusts each page that it reads: see pages_check. */
int
deferred_check(struct deferred *d)
{
    struct pages_stamp now;
    int rc = pages_look(d->file.pages, &now);

    if (!rc && !was_checked_before(d, &now)) {
        rc = pages_check(d->file.pages);
        d->check.unread |= !rc;
    }
    if (!rc) {
        d->check.stamp = now;
        d->check.state = CHECK_WHOLE;
    }
    return rc;
}

void
deferred_check_read(struct deferred *d)
{
    d->check.unread = false;
    set_checked(d, CHECK_WHOLE);
}

int
deferred_begin(struct deferred *d, MDB_txn **out)
{
    struct pages_stamp now;

    if (pages_look(d->file.pages, &now) ||
        memcmp(&now, &d->check.stamp, sizeof(now))) {
        return MDB_CORRUPTED;
    }
    return mdb_txn_begin(d->file.env, NULL, 0, out);
}

/* ---- reading without LMDB ---- */

int
deferred_from_pages(int rc)
{
    switch (rc) {
    case 0:
        return 0;
    case BIDE_ENOPOLICY:
        return MDB_NOTFOUND;
    case BIDE_EDAMAGED:
    case BIDE_EFORMAT:
        return MDB_CORRUPTED;
    default:
        return rc == BIDE_ENOMEM ? ENOMEM : EIO;
    }
}

int
deferred_view(struct deferred *d)
{
    return deferred_from_pages(
        pages_view(&d->view, d->file.pages, &d->check.stamp));
}

int
deferred_view_get(struct deferred *d, const MDB_val *key, MDB_val *out)
{
    size_t length;
    void *value;
    int rc = pages_get(&d->view.snapshot, "work", key->mv_data, key->mv_size,
                       &value, &length);

    if (!rc) {
        free(d->view.value);
        d->view.value = value;
        *out = lmdb_val(value, length);
    }
    return deferred_from_pages(rc);
}

/* ---- disk space ---- */

/* Allocates disk blocks beyond the end of the file; its length stays. */
static int
allocate_blocks(struct deferred *d, uint64_t from, uint64_t to)
{
    int fd, rc = mdb_env_get_fd(d->file.env, &fd);

    if (rc) {
        return rc;
    }
    do {
        rc = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from))
                 ? errno
                 : 0;
    } while (rc == EINTR);
    deferred_check_touched(d);
    if (!rc) {
        d->file.reserved = to;
    } else if (rc == EOPNOTSUPP || rc == ENOSYS || rc == EINVAL) {
        d->file.reserved = UINT64_MAX; /* this file system cannot */
        rc = 0;
    }
    return rc;
}

/* Reports whether the file may have `to` bytes.  Writing beyond RLIMIT_FSIZE
 * would raise SIGXFSZ. */
static bool
is_size_allowed(uint64_t to)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_FSIZE, &limit) || limit.rlim_cur >= to;
}

/* Returns the size of the part of the file that is in use; 0 if it cannot be
 * read. */
static uint64_t
used_bytes(struct deferred *d)
{
    const struct snapshot *s = &d->view.snapshot;

    return deferred_view(d) ? 0 : (s->meta.last_page + 1) * s->file->page_size;
}

bool
deferred_may_grow(struct deferred *d, size_t bytes)
{
    uint64_t used = used_bytes(d);

    return used && is_size_allowed(used + bytes);
}

int
deferred_reserve(struct deferred *d, size_t bytes)
{
    uint64_t end = used_bytes(d), need, unused;
    int rc;

    if (!end) {
        return deferred_from_lmdb(d, deferred_view(d));
    }
    need = end + bytes + (bytes ? DEFERRED_KEPT : DEFERRED_KEPT / 2);
    if (!is_size_allowed(need)) {
        return place_failed(d->path, EFBIG);
    }
    if (!bytes || need <= d->file.reserved) {
        return 0;
    }
    rc = allocate_blocks(d, end, need + RESERVE_STEP);
    if (rc == ENOSPC || rc == EDQUOT || rc == EFBIG) {
        rc = allocate_blocks(d, end, need);
    }
    if (rc) {
        lmdb_free_pages(d->file.env, &unused);
        if (unused * d->file.pages->page_size >= 2 * (uint64_t)bytes) {
            return 0;
        }
    }
    return rc ? place_failed(d->path, rc) : 0;
}
