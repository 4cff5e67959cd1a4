/* The directory of a registry and the files beside registry.mdb, for writers:
 *
 *   registry.lock      the writers' lock; holds its holder and since when
 *   registry.checked   the stamp of the registry.mdb that was checked
 *
 * Only operators may open the lock file, because a process that can open a file
 * can lock it.  Functions that return int return 0 or a BIDE_E code, and keep a
 * message (place_why) with the code, unless they say otherwise. */
#ifndef BIDE_STORE_PLACE_H
#define BIDE_STORE_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#include "store/pages/pages.h"

/* Keeps a message for place_why of this thread and returns `rc`.  A second line
 * of it says what to do. */
int place_say(int rc, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Maps `error`, an errno about `path`, to a BIDE_E code; keeps its message. */
int place_failed(const char *path, int error);
/* Returns the message of this thread's last failure, "" if there was none. */
const char *place_why(void);

/* Reports whether the file system of `dir` has less than about 1 MiB free. */
bool place_full(const char *dir);

/* Returns "DIR/NAME", malloc'ed; NULL if out of memory, without a message. */
char *place_path(const char *dir, const char *name);

/* Makes the directory, its parents and the directories in it, unless they
 * exist, for the owner alone to write. */
int place_make(const char *dir);

/* A file to make.  The functions return 0 or a BIDE_E code with its message. */
struct place_new {
    const char *dir, *path;                            /* `path` is in `dir` */
    int (*fill)(void *arg, const char *fresh, int fd); /* writes its content */
    int (*before)(void *arg); /* NULL, or called before the file is renamed */
    void *arg;
};
/* Makes n->path durably, under "n->path.new" first; replaces a file that has
 * the name.  Removes the new file on failure.  Call under a lock that keeps
 * other makers out. */
int place_make_file(const struct place_new *n);
/* Makes the name of `path` durable. */
int place_sync(const char *path);

/* Takes the writers' lock of `dir`; `command` is shown to processes that wait.
 * Fails with BIDE_ELOCKED after wait_ms, with a message that names the holder.
 */
int place_lock(const char *dir, const char *command, unsigned wait_ms,
               int *out_fd);
void place_unlock(int fd);
/* Takes the lock of the directory of `path`, as place_lock. */
int place_lock_directory(const char *path, int *out_fd);
/* Opens or makes the file `name` in `dir` and takes its lock.  BIDE_ELOCKED
 * after wait_ms: without a message; *out_fd is the file, which the caller
 * closes. */
int place_wait(const char *dir, const char *name, unsigned wait_ms,
               int *out_fd);

/* Allocates disk space for the first `size` bytes of the open file. */
int place_reserve(int fd, const char *path, size_t size);

/* Opens the LMDB file `path` and checks it (pages_check or more), because LMDB
 * trusts the file it opens.  Skips the check if the file `name` in `dir` has
 * the present stamp, which means that only writers have changed it since the
 * last check.  If `check` is NULL returns BIDE_ELOCKED instead.  If *out is not
 * NULL after a failure, the caller closes it too.  The message is pages_why. */
int place_open_checked(const char *dir, const char *path, const char *name,
                       int (*check)(struct pages *f), struct pages **out);
/* Reports whether the file `path`, which need not be writable, says that this
 * state was checked. */
bool place_was_checked(const char *path, const struct pages_stamp *stamp);
/* Stores the present stamp of a file as checked, after a commit.  A failure is
 * ignored: the next writer checks again. */
void place_set_checked(const char *dir, const char *name, struct pages *f);

#endif
