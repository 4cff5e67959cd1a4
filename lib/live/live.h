/* The live file: memory shared by all processes of the host, drawn in layout.h.
 * Other processes may have written anything into it.  Every value read here is
 * checked, so that garbage falsifies numbers and does nothing else.
 *
 * The file is sparse and mapped in segments, so an unused policy costs nothing.
 * A page is reserved (fallocate) before it is touched, so that a full tmpfs
 * causes an error and not a SIGBUS.  (A process that truncates the file would
 * end its readers; therefore only the services' group may write the file.)
 *
 * No lock is taken, except while a file of an earlier boot or another format is
 * replaced; that lock has a timeout of a quarter of a second.
 *
 * After fork, a child may use its parent's live state and counts into the same
 * cells.  If a program closes all its descriptors, as daemons do, the file is
 * opened again when needed. */
#ifndef BIDE_LIVE_LIVE_H
#define BIDE_LIVE_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include <bide.h>
#include "base/clock.h"
#include "cell.h"
#include "counter.h"
#include "layout.h"
#include "mark.h"
#include "process.h"
#include "sleeper.h"
#include "wake.h"

struct live;

/* Who may read a new file, besides those who may write it. */
enum live_readers { LIVE_FOR_ALL, LIVE_FOR_GROUP /* nobody */ };

/* Attaches to the live file at `path`.  Makes the file if it is missing, from
 * an earlier boot or of an older format, and its directory if that is missing.
 * Fails with BIDE_EPERM, BIDE_EFULL, BIDE_ENOMEM, BIDE_EFORMAT (of a newer
 * format), BIDE_EDAMAGED (it belongs to another registry), BIDE_ELOCKED
 * (another process is replacing it: try later), BIDE_ESYS (or its filesystem
 * cannot reserve space).  Close with live_close. */
int live_open(const char *path, const uint8_t id[16], enum live_readers readers,
              struct live **out);

/* As live_open, but if the file may only be read, opens it for that: what is
 * written into the live state stays in this process. */
int live_open_reading(const char *path, const uint8_t id[16],
                      enum live_readers readers, struct live **out);
bool live_is_reading(const struct live *l);

/* Checks the header of the file at `path`, which live_open may refuse, as a
 * link or the file of a stranger, and changes nothing.  Returns 0, LIVE_STALE
 * (from an earlier boot or of an older format: live_open would replace it),
 * BIDE_EMISSING, BIDE_EDAMAGED (of another registry, or not a regular file),
 * BIDE_EFORMAT, BIDE_EPERM. */
#define LIVE_STALE 1
int live_look(const char *path, const uint8_t id[16], struct live_header *out);

/* Opens a live state with fewer cells in the memory of this process and its
 * children, for use without a file.  Fails with BIDE_ENOMEM. */
int live_open_private(struct live **out);
void live_close(struct live *l); /* NULL: does nothing */

bool live_is_private(const struct live *l);
/* Reports whether the path still leads to this file, with its full length. */
bool live_is_current(const struct live *l);
struct tick_scale live_scale(const struct live *l);
uint32_t live_stripes(const struct live *l); /* a power of two, 1 to 8 */

/* Returns the header, for its counters and the last trouble.  Its values may be
 * garbage. */
struct live_header *live_header(struct live *l);
void live_raise(_Atomic uint64_t *word, uint64_t to); /* to this or more */

/* Records for operators that the registry could not be read, with `rc` (a
 * BIDE_E code), or that it was read (0). */
void live_note_trouble(struct live *l, int rc);

#endif
