/* The files around registry.mdb, for writers:
 *
 *   registry.lock      0600  whose turn it is to write, and since when
 *   registry.checked   0600  which state of registry.mdb was found whole
 *
 * Nobody but operators may open the lock: who can open a file can lock it. */
#ifndef BIDE_STORE_PLACE_H
#define BIDE_STORE_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "store/pages/pages.h"

/* Keeps the words for writer_why, and gives rc. */
int place_say(int rc, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The words for an errno about `path`, and its BIDE_E code. */
int place_failed(const char *path, int error);
const char *place_why(void);

/* Whether the file system has no room worth the name. */
bool place_full(const char *dir);

/* "DIR/NAME", malloc'ed; NULL without memory. */
char *place_path(const char *dir, const char *name);

/* Makes the directory, parents included, unless it is there; a new one is
 * 2750 and, when root makes it, of the group `bide` if there is one. */
int place_make(const char *dir);
/* Gives a file its mode whatever the umask, and the group as above. */
int place_own(const char *path, mode_t mode);
int place_sync(const char *dir);
/* After `rc` of making FRESH: gives it its name, durably, or removes it. */
int place_install(const char *dir, const char *fresh, const char *path, int rc);

/* BIDE_ELOCKED after wait_ms, with words that name the holder. */
int place_lock(const char *dir, const char *command, unsigned wait_ms,
               int *out_fd);
void place_unlock(int fd);

/* Makes sure that a file has its blocks: LMDB writes to its lock file by mmap,
 * which on a full disk would be a SIGBUS. */
int place_reserve(const char *path, size_t size);

bool place_checked(const char *dir, const struct pages_stamp *stamp);
/* Best effort: without it the next writer checks again. */
void place_set_checked(const char *dir, const struct pages_stamp *stamp);
/* The same of another file than the registry. */
bool place_checked_as(const char *dir, const char *name,
                      const struct pages_stamp *stamp);
void place_set_checked_as(const char *dir, const char *name,
                          const struct pages_stamp *stamp);

#endif
