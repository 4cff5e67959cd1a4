/* The live file: one mapping that all processes of the host share.  Drawn in
 * layout.h.  Other processes may have written anything into it: what is read
 * here is bounded and checked, so that garbage spoils numbers, nothing else.
 *
 * The file is sparse and mapped piece by piece: a policy that nobody uses costs
 * nothing, and a page is reserved (fallocate) before it is touched, so that a
 * full tmpfs is an error here and no SIGBUS there.  (Who may write the file
 * could also cut it short, and no reader can survive that: nobody but the
 * group may write it.)
 *
 * No lock is taken, save when a file of an earlier boot or of another format
 * is replaced, and then with a limit of a quarter of a second.
 *
 * A child may go on with its parent's live state, counting into the same
 * cells.  A program may close all descriptors, as daemons do: the file is then
 * opened again when it is needed. */
#ifndef BIDE_LIVE_LIVE_H
#define BIDE_LIVE_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include <bide.h>
#include "base/clock.h"
#include "cell.h"
#include "counter.h"
#include "layout.h"
#include "sleeper.h"
#include "wake.h"

struct live;

/* Attaches to `path`, and makes the file where there is none (or where it is
 * from another boot or of another format), and its directory too where that is
 * missing.  BIDE_EPERM, BIDE_EFULL, BIDE_ENOMEM, BIDE_EDAMAGED (it belongs to
 * another registry), BIDE_ELOCKED (others are replacing it: try later),
 * BIDE_ESYS (also: its filesystem can not reserve space). */
int live_open(const char *path, const uint8_t id[16], struct live **out);

/* What live_open would find there, made or changed by nothing: 0, LIVE_STALE
 * (of an earlier boot or another format: it would be replaced), BIDE_EMISSING,
 * BIDE_EDAMAGED (of another registry, or no file), BIDE_EFORMAT, BIDE_EPERM. */
#define LIVE_STALE 1
int live_look(const char *path, const uint8_t id[16], struct live_header *out);

/* As live_open, in memory of this process (and its children) only, with fewer
 * cells: for when there is no file.  BIDE_ENOMEM. */
int live_open_private(struct live **out);
void live_close(struct live *l); /* NULL: does nothing */

bool live_is_private(const struct live *l);
/* Whether the path still leads to this very file, in its full length. */
bool live_is_current(const struct live *l);
struct tick_scale live_scale(const struct live *l);
uint32_t live_stripes(const struct live *l); /* a power of two, 1 to 8 */

/* For its counts of what was refused, and the last trouble.  Whatever is read
 * there may be garbage. */
struct live_header *live_header(struct live *l);

/* Keeps for operators that a look at the registry failed with `rc` (a BIDE_E
 * code), or, with 0, that it went well. */
void live_note_trouble(struct live *l, int rc);

#endif
