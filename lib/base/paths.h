/* Default paths.  The only file that reads the environment. */
#ifndef BIDE_PATHS_H
#define BIDE_PATHS_H

#include <stddef.h>
#include <sys/types.h>

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

#endif
