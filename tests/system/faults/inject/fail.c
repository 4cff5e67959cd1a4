/* fail.so, for LD_PRELOAD: makes the n-th call of a kind fail, as the file
 * named by FAIL_FILE says.  BIDE_TEST_WHERE=1 prints where that was. */
#include "fail.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct fail *fail;
static int where;

static const int errors[] = {
#define KIND(name, error) error,
    FAIL_KINDS(KIND)
#undef KIND
};

__attribute__((constructor)) static void
attach(void)
{
    const char *path = getenv(FAIL_FILE);
    int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR) : -1;
    void *map;

    if (fd < 0) {
        return;
    }
    map = (void *)syscall(SYS_mmap, NULL, sizeof(*fail), PROT_READ | PROT_WRITE,
                          MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (map == MAP_FAILED) {
        _exit(126);
    }
    if (getenv("BIDE_TEST_WHERE")) {
        void *here[1];

        where = backtrace(here, 1); /* loads what it needs */
    }
    fail = map;
}

static void
show_where(long call)
{
    void *here[40];
    char line[60];
    int length =
        snprintf(line, sizeof(line), "FAIL %d.%ld\n", fail->kind, call);

    syscall(SYS_write, 2, line, length);
    backtrace_symbols_fd(here, backtrace(here, 40), 2);
}

/* Reports whether this call fails, and sets errno. */
static int
fails(enum fail_kind kind)
{
    long call;

    if (!fail || fail->kind != (int)kind) {
        return 0;
    }
    call = atomic_fetch_add(&fail->calls, 1) + 1;
    if (!fail->nth || call < fail->nth || (call > fail->nth && !fail->later)) {
        return 0;
    }
    if (where) {
        where = 0;
        show_where(call);
    }
    errno = errors[kind];
    return 1;
}

/* ---- memory ---- */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

void *
malloc(size_t size)
{
    return fails(FAIL_memory) ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
    return fails(FAIL_memory) ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *old, size_t size)
{
    return fails(FAIL_memory) ? NULL : __libc_realloc(old, size);
}

void *
aligned_alloc(size_t alignment, size_t size)
{
    return fails(FAIL_memory) ? NULL : __libc_memalign(alignment, size);
}

int
posix_memalign(void **out, size_t alignment, size_t size)
{
    void *memory = fails(FAIL_memory) ? NULL : __libc_memalign(alignment, size);

    if (!memory) {
        return ENOMEM;
    }
    *out = memory;
    return 0;
}

/* ---- files ---- */

static mode_t
mode_of(int flags, va_list args)
{
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

/* `at`: the directory; the rest: the parameters before the flags. */
#define OPEN(name, at, ...)                                           \
    int name(__VA_ARGS__, int flags, ...)                             \
    {                                                                 \
        mode_t mode;                                                  \
        va_list args;                                                 \
                                                                      \
        va_start(args, flags);                                        \
        mode = mode_of(flags, args);                                  \
        va_end(args);                                                 \
        return fails(FAIL_open)                                       \
                   ? -1                                               \
                   : (int)syscall(SYS_openat, at, path, flags, mode); \
    }
OPEN(open, AT_FDCWD, const char *path)
OPEN(open64, AT_FDCWD, const char *path)
OPEN(openat, dir, int dir, const char *path)
OPEN(openat64, dir, int dir, const char *path)

/* Calls the next function `name`, unless this call fails with `failure`. */
#define NEXT(kind, type, failure, name, parameters, ...) \
    type name parameters                                 \
    {                                                    \
        static type(*next) parameters;                   \
                                                         \
        if (fails(FAIL_##kind)) {                        \
            return failure;                              \
        }                                                \
        if (!next) {                                     \
            *(void **)&next = dlsym(RTLD_NEXT, #name);   \
        }                                                \
        return next(__VA_ARGS__);                        \
    }

NEXT(open, FILE *, NULL, fopen, (const char *path, const char *mode), path,
     mode)
NEXT(open, FILE *, NULL, fopen64, (const char *path, const char *mode), path,
     mode)
NEXT(read, ssize_t, -1, read, (int fd, void *to, size_t size), fd, to, size)
NEXT(read, ssize_t, -1, pread, (int fd, void *to, size_t size, off_t at), fd,
     to, size, at)
NEXT(read, ssize_t, -1, pread64, (int fd, void *to, size_t size, off_t at), fd,
     to, size, at)
NEXT(read, ssize_t, -1, preadv,
     (int fd, const struct iovec *to, int count, off_t at), fd, to, count, at)
NEXT(write, ssize_t, -1, write, (int fd, const void *from, size_t size), fd,
     from, size)
NEXT(write, ssize_t, -1, pwrite,
     (int fd, const void *from, size_t size, off_t at), fd, from, size, at)
NEXT(write, ssize_t, -1, pwrite64,
     (int fd, const void *from, size_t size, off_t at), fd, from, size, at)
NEXT(write, ssize_t, -1, writev, (int fd, const struct iovec *from, int count),
     fd, from, count)
NEXT(write, ssize_t, -1, pwritev,
     (int fd, const struct iovec *from, int count, off_t at), fd, from, count,
     at)
NEXT(write, ssize_t, -1, pwritev64,
     (int fd, const struct iovec *from, int count, off_t at), fd, from, count,
     at)
NEXT(sync, int, -1, fsync, (int fd), fd)
NEXT(sync, int, -1, fdatasync, (int fd), fd)
NEXT(sync, int, -1, msync, (void *at, size_t size, int flags), at, size, flags)
NEXT(map, void *, MAP_FAILED, mmap,
     (void *at, size_t size, int prot, int flags, int fd, off_t offset), at,
     size, prot, flags, fd, offset)
NEXT(map, void *, MAP_FAILED, mmap64,
     (void *at, size_t size, int prot, int flags, int fd, off_t offset), at,
     size, prot, flags, fd, offset)
NEXT(truncate, int, -1, ftruncate, (int fd, off_t size), fd, size)
NEXT(truncate, int, -1, ftruncate64, (int fd, off_t size), fd, size)
NEXT(truncate, int, -1, fallocate, (int fd, int mode, off_t at, off_t size), fd,
     mode, at, size)
NEXT(truncate, int, -1, fallocate64, (int fd, int mode, off_t at, off_t size),
     fd, mode, at, size)
NEXT(truncate, int, ENOSPC, posix_fallocate, (int fd, off_t at, off_t size), fd,
     at, size)
NEXT(truncate, int, ENOSPC, posix_fallocate64, (int fd, off_t at, off_t size),
     fd, at, size)
NEXT(rename, int, -1, rename, (const char *from, const char *to), from, to)
NEXT(link, int, -1, link, (const char *from, const char *to), from, to)
NEXT(link, int, -1, linkat,
     (int fd, const char *from, int dir, const char *to, int flags), fd, from,
     dir, to, flags)
NEXT(unlink, int, -1, unlink, (const char *path), path)
NEXT(unlink, int, -1, unlinkat, (int dir, const char *path, int flags), dir,
     path, flags)
NEXT(stat, int, -1, stat, (const char *path, struct stat *out), path, out)
NEXT(stat, int, -1, lstat, (const char *path, struct stat *out), path, out)
NEXT(stat, int, -1, fstat, (int fd, struct stat *out), fd, out)
NEXT(stat, int, -1, fstatat,
     (int dir, const char *path, struct stat *out, int flags), dir, path, out,
     flags)
NEXT(stat, int, -1, stat64, (const char *path, struct stat64 *out), path, out)
NEXT(stat, int, -1, lstat64, (const char *path, struct stat64 *out), path, out)
NEXT(stat, int, -1, fstat64, (int fd, struct stat64 *out), fd, out)
NEXT(stat, int, -1, statx,
     (int dir, const char *path, int flags, unsigned mask, struct statx *out),
     dir, path, flags, mask, out)
NEXT(lock, int, -1, flock, (int fd, int how), fd, how)
NEXT(directory, DIR *, NULL, opendir, (const char *path), path)
NEXT(directory, DIR *, NULL, fdopendir, (int fd), fd)
NEXT(directory, struct dirent *, NULL, readdir, (DIR * d), d)
NEXT(directory, struct dirent64 *, NULL, readdir64, (DIR * d), d)

int
fcntl(int fd, int what, ...)
{
    bool locks = what == F_SETLK || what == F_SETLKW || what == F_OFD_SETLK;
    va_list args;
    void *arg;

    va_start(args, what);
    arg = va_arg(args, void *);
    va_end(args);
    return locks && fails(FAIL_lock) ? -1
                                     : (int)syscall(SYS_fcntl, fd, what, arg);
}
