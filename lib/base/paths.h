/* Paths of files, and the default ones.  The only file that reads the
 * environment. */
#ifndef BIDE_PATHS_H
#define BIDE_PATHS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The files of a registry, by who writes them: operators, recorders, services.
 */
#define PATH_POLICIES "policies"
#define PATH_REGISTRY PATH_POLICIES "/registry.mdb"
#define PATH_REGISTRY_LOCK PATH_POLICIES "/registry.lock"
#define PATH_REGISTRY_CHECKED PATH_POLICIES "/registry.checked"
#define PATH_HISTORIES "history"
#define PATH_HISTORY PATH_HISTORIES "/history.mdb"
#define PATH_HISTORY_LOCK PATH_HISTORIES "/history.lock"
#define PATH_HISTORY_CHECKED PATH_HISTORIES "/history.checked"
#define PATH_QUEUE "deferred"
#define PATH_DEFERRED PATH_QUEUE "/deferred.mdb"
#define PATH_DEFERRED_JOURNAL PATH_QUEUE "/deferred.journal"
#define PATH_DEFERRED_CHECKED PATH_QUEUE "/deferred.checked"
#define PATH_RESTORED "restored" /* a restore that is not finished */

#define PATH_HOST "/var/lib/bide"

/* A path, as a value.  One that has no room is cut, and is then still too long
 * for the system, which refuses it (ENAMETOOLONG). */
struct file_path {
    char text[PATH_MAX + 64];
};
/* Returns "DIR/NAME"; "DIR" for the name "". */
struct file_path path_of(const char *dir, const char *name);
/* Returns a path as printf writes it. */
struct file_path path_print(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Writes the directory of the caller's own registry: $BIDE_DIR, else PATH_HOST
 * for root, else $XDG_STATE_HOME/bide or ~/.local/state/bide.  Returns
 * BIDE_EINVAL if it is too long or there is no home. */
int paths_own_registry(char *buffer, size_t size);
/* Writes the directory of the registry to use: the caller's own; without a
 * registry there PATH_HOST, if that has one. */
int paths_registry(char *buffer, size_t size);

/* Writes the directory of live files: /run/bide for root, else
 * $XDG_RUNTIME_DIR/bide, else /dev/shm/bide-UID.  All are on tmpfs. */
int paths_live(char *buffer, size_t size);

/* Returns the path from the root, malloc'ed; NULL if out of memory or if the
 * working directory has no path (errno). */
char *paths_absolute(const char *path);

/* Reports whether a registry is private: others may not enter `dir`. */
bool paths_private(const char *dir);
/* Makes the directory of a registry's live file and its parents, unless it is
 * there: for those who may defer work; others may pass it, unless it is a
 * private registry without a group.  0 or BIDE_E. */
int paths_make_live(const char *dir, const char *path);

#endif
