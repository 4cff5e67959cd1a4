/* Default paths.  The only file that reads the environment. */
#ifndef BIDE_PATHS_H
#define BIDE_PATHS_H

#include <stddef.h>
#include <sys/types.h>

#include "safe.h"

/* Writes the registry's directory: $BIDE_DIR, else /var/lib/bide for root, else
 * $XDG_STATE_HOME/bide or ~/.local/state/bide.  Returns BIDE_EINVAL if it is
 * too long or there is no home. */
int paths_registry(char *buffer, size_t size);

/* Writes the directory of live files: /run/bide for root, else
 * $XDG_RUNTIME_DIR/bide, else /dev/shm/bide-UID.  All are on tmpfs. */
int paths_live(char *buffer, size_t size);

/* Returns the path from the root, malloc'ed; NULL if out of memory or if the
 * working directory has no path (errno). */
char *paths_absolute(const char *path);

/* Returns the group `bide`, or -1 if the caller is not root or there is no such
 * group: a new file keeps its group then. */
gid_t paths_group(void);
/* Whose the files of the registry in `dir` are, as bide init chose: the owner
 * of the directory, and the group of registry.mdb. */
struct owner paths_owner(const char *dir);
/* Makes the directory of a registry's live file `path`, unless it is there: for
 * the group, if the registry is root's and has one, else for its owner.  0 or
 * BIDE_E. */
int paths_make_live(const char *dir, const char *path);

#endif
