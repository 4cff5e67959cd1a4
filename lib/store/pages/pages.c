/* The file and its two meta pages, and why pages_end can tell that a snapshot
 * was not overwritten.
 *
 * Commit N writes its data first and then meta page N & 1.  LMDB 0.9.24 without
 * registered readers (mdb_page_alloc, mdb_find_oldest) lets transaction T use
 * pages that transactions up to T - 2 freed.  The pages of commit S are freed
 * by S + 1 at the earliest, so S + 3 is the first that can overwrite one, and
 * it begins after the meta page of S + 2 is written.
 *
 * So while the meta pages, read after everything else, show at most S + 1, no
 * page of S has been overwritten, even if writers were killed.  The meta page
 * of S still exists then, unless S + 2 has begun to overwrite it.  pages_end
 * therefore requires it to be unchanged; this also detects a meta page that was
 * half written when the snapshot began. */
#include "pages_view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <bide.h>
#include "base/failure.h"
#include "base/paths.h"
#include "base/safe.h"

enum {
    PAGE_USUAL = 4096,
    META_TRIES = 8, /* a meta page may be read while it is written */
    META_PAUSE_NS = 100 * 1000,
};

static _Thread_local char why[256];
static _Thread_local bool is_newer; /* `why` is of a file of a newer bide */

const char *
pages_why(void)
{
    return why;
}

int
pages_format(const char *path, unsigned found, unsigned known)
{
    if (found == known) {
        return 0;
    }
    pages_damaged("%s has format %u, and this bide knows %u\n%s: use that one",
                  path, found, known,
                  found > known ? "a newer bide wrote it"
                                : "an older bide wrote it");
    is_newer = found > known;
    return BIDE_EFORMAT;
}

bool
pages_newer(void)
{
    return is_newer;
}

int
pages_damaged(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    is_newer = false;
    return BIDE_EDAMAGED;
}

int
pages_failed(const char *path, int error)
{
    snprintf(why, sizeof(why), "%s: %s", path, strerror(error));
    is_newer = false;
    failure_deny(path);
    return error == ELOOP ? pages_damaged("%s: a loop of symbolic links", path)
                          : safe_code(error);
}

int
pages_read(const struct pages *f, uint64_t offset, void *out, size_t length)
{
    uint8_t *to = out;

    while (length) {
        ssize_t n = offset > INT64_MAX - length
                        ? 0
                        : pread(f->fd, to, length, (off_t)offset);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return pages_failed(f->path, errno);
        }
        if (n == 0) {
            return pages_damaged("%s is cut off: nothing at byte %llu", f->path,
                                 (unsigned long long)offset);
        }
        to += n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
    return 0;
}

/* ---- meta pages ---- */

/* Returns the fault of both meta pages together, or NULL and the newer one in
 * *out. */
static const char *
metas_fault(const struct meta metas[2], const struct meta **out)
{
    const struct meta *newer = &metas[metas[0].txn < metas[1].txn];
    uint64_t older = metas[newer == &metas[0]].txn;
    const char *fault;

    if (metas[0].free.page_size != metas[1].free.page_size) {
        return "they disagree on the page size";
    }
    /* A new file has 0 and 0.  LMDB itself uses the meta page with the higher
     * number, so if one is damaged it may use an outdated tree. */
    if (newer->txn != older &&
        (newer->txn != older + 1 || (newer == &metas[1]) != (newer->txn & 1))) {
        return "their transactions do not follow each other";
    }
    if (newer->txn == older && newer->txn) {
        return "they claim the same transaction";
    }
    if (newer->last_page < 1 ||
        newer->last_page > (uint64_t)INT64_MAX / newer->free.page_size - 1) {
        return "the last page is impossible";
    }
    fault = page_tree_fault(&newer->main, newer->last_page);
    fault = fault ? fault : page_tree_fault(&newer->free, newer->last_page);
    *out = newer;
    return fault;
}

static int
parse_meta(const struct pages *f, int slot, const uint8_t *bytes,
           struct meta *out)
{
    const char *fault = page_meta(bytes, (uint64_t)slot, out);
    int rc;

    if (!fault) {
        return 0;
    }
    rc = pages_damaged("%s: page %d: %s", f->path, slot, fault);
    return fault == page_other_version ? BIDE_EFORMAT : rc;
}

/* Reads both meta pages: with one system call if the page size is known to be
 * the usual one, because pages_look does this each time. */
static int
read_metas_once(const struct pages *f, struct meta metas[2])
{
    uint8_t bytes[PAGE_USUAL + PAGE_META_SIZE], *second = bytes + PAGE_USUAL;
    bool together = f->page_size == PAGE_USUAL;
    int rc, one, two;

    rc = pages_read(f, 0, bytes, together ? sizeof(bytes) : PAGE_META_SIZE);
    if (rc) {
        return rc;
    }
    one = parse_meta(f, 0, bytes, &metas[0]);
    if (one && one != BIDE_EFORMAT) {
        return one;
    }
    if (!together) {
        rc = pages_read(f, metas[0].free.page_size, second, PAGE_META_SIZE);
        if (rc) {
            return rc;
        }
    }
    two = parse_meta(f, 1, second, &metas[1]);
    /* If only one of them has another version, that page is damaged. */
    return one == two ? one : BIDE_EDAMAGED;
}

/* Reads both meta pages and points *out to the newer one. */
static int
read_metas(const struct pages *f, struct meta metas[2], const struct meta **out)
{
    struct timespec pause = {0, META_PAUSE_NS};
    const char *fault;
    int rc = 0;

    for (int tries = 0; tries < META_TRIES; tries++) {
        if (tries) {
            nanosleep(&pause, NULL);
        }
        rc = read_metas_once(f, metas);
        if (rc == BIDE_EDAMAGED || rc == BIDE_EFORMAT) {
            continue;
        }
        if (rc) {
            return rc;
        }
        fault = metas_fault(metas, out);
        if (!fault && f->page_size && (*out)->free.page_size != f->page_size) {
            fault = "the page size has changed";
        }
        if (!fault) {
            return 0;
        }
        rc = pages_damaged("%s: meta pages: %s", f->path, fault);
    }
    return rc;
}

/* ---- opening ---- */

/* Reports whether f->fd is still our file.  A program that becomes a daemon
 * closes all descriptors, and may have opened another file with that number. */
static bool
fd_is_ours(const struct pages *f)
{
    struct stat st;

    return !fstat(f->fd, &st) && st.st_dev == f->device &&
           st.st_ino == f->inode;
}

static int
open_pages_file(struct pages *f)
{
    struct meta metas[2];
    const struct meta *newer;
    struct stat st;
    int rc;

    /* O_NONBLOCK: opening a pipe in its place must not block. */
    f->fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (f->fd < 0 || fstat(f->fd, &st)) {
        return pages_failed(f->path, errno);
    }
    f->device = st.st_dev;
    f->inode = st.st_ino;
    if (!S_ISREG(st.st_mode)) {
        return pages_damaged("%s is %s, not a file", f->path,
                             S_ISDIR(st.st_mode) ? "a directory"
                                                 : "a device or pipe");
    }
    if (!st.st_size) {
        return pages_damaged("%s is empty", f->path);
    }
    rc = read_metas(f, metas, &newer);
    if (!rc) {
        f->page_size = newer->free.page_size;
    }
    return rc;
}

int
pages_open(const char *path, struct pages **out)
{
    struct pages *f = calloc(1, sizeof(*f));
    int rc;

    why[0] = '\0'; /* no words of an earlier failure */
    if (!f) {
        return BIDE_ENOMEM;
    }
    f->fd = -1;
    f->path = paths_absolute(path);
    if (!f->path) {
        rc = pages_failed(path, errno);
    } else {
        rc = open_pages_file(f);
    }
    if (rc) {
        pages_close(f);
        return rc;
    }
    *out = f;
    return 0;
}

void
pages_close(struct pages *f)
{
    if (!f) {
        return;
    }
    if (f->fd >= 0 && fd_is_ours(f)) {
        close(f->fd);
    }
    if (f->kept) {
        pages_view_reset(f->kept);
    }
    free(f->kept);
    free(f->path);
    free(f);
}

void
pages_keep(struct pages *f)
{
    f->kept = f->kept ? f->kept : calloc(1, sizeof(*f->kept));
}

/* ---- looking and reading ---- */

int
pages_look(struct pages *f, struct pages_stamp *out)
{
    struct meta metas[2];
    const struct meta *newer;
    struct stat st;
    int rc;

    if (stat(f->path, &st)) {
        /* A service that dropped its privileges may no longer reach the file
         * by name, but its open descriptor is still valid. */
        if (errno != EACCES) {
            return pages_failed(f->path, errno);
        }
        if (fstat(f->fd, &st)) {
            return pages_failed(f->path, errno);
        }
    }
    if (st.st_dev != f->device || st.st_ino != f->inode || !st.st_nlink ||
        !fd_is_ours(f)) {
        return pages_failed(f->path, ENOENT);
    }
    rc = read_metas(f, metas, &newer);
    if (rc) {
        return rc;
    }
    out->device = f->device;
    out->inode = f->inode;
    out->size = (uint64_t)st.st_size;
    out->changed_ns =
        (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
    out->txn = newer->txn;
    return 0;
}

int
pages_begin(struct pages *f, struct snapshot *out)
{
    struct meta metas[2];
    const struct meta *newer;
    int rc = read_metas(f, metas, &newer);

    if (!rc) {
        *out = (struct snapshot){.file = f, .meta = *newer};
    }
    return rc;
}

int
pages_end(const struct snapshot *s)
{
    struct meta metas[2];
    const struct meta *newer, *ours = &metas[s->meta.txn & 1];
    int rc = read_metas(s->file, metas, &newer);

    if (rc) {
        return rc;
    }
    return newer->txn > s->meta.txn + 1 || memcmp(ours, &s->meta, sizeof(*ours))
               ? PAGES_AGAIN
               : 0;
}

/* Lets a snapshot use the pages that were kept of the same commit. */
static void
use_kept(struct pages_view *v, struct snapshot *s)
{
    if (memcmp(&v->snapshot.meta, &s->meta, sizeof(s->meta)) != 0) {
        pages_view_reset(v);
        v->snapshot.meta = s->meta;
    }
    s->cache = &v->trees;
    s->pages = &v->pages;
}

int
pages_try(struct pages *f, pages_body_fn *body, void *arg, int tries)
{
    for (int i = 0; i < tries; i++) {
        struct tree_cache cache = {0};
        struct pages_view *kept = f->kept;
        struct snapshot s;
        int rc = pages_begin(f, &s), end;

        if (rc) {
            return rc;
        }
        s.cache = &cache;
        if (kept) {
            use_kept(kept, &s);
            f->kept = NULL; /* `body` may begin to read another commit */
        }
        rc = body(arg, &s);
        if (kept) {
            f->kept = kept;
        }
        /* Also after an error: pages that are being overwritten look damaged.
         */
        end = pages_end(&s);
        if (kept && end) {
            pages_view_reset(kept);
        }
        if (end != PAGES_AGAIN) {
            return end ? end : rc;
        }
    }
    return BIDE_ELOCKED;
}
