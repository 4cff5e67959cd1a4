/* Where things are by default.  The only reader of the environment. */
#ifndef BIDE_PLACE_H
#define BIDE_PLACE_H

#include <stddef.h>

/* $BIDE_DIR, else /var/lib/bide for root, else $XDG_STATE_HOME/bide or
 * ~/.local/state/bide.  BIDE_EINVAL: too long, or no home. */
int place_registry(char *buffer, size_t size);

/* /run/bide for root, else $XDG_RUNTIME_DIR/bide, else /dev/shm/bide-UID:
 * memory, in each case. */
int place_live(char *buffer, size_t size);

#endif
