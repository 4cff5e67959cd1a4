/* Applies what comes from elsewhere to the registry of this host: one code path
 * for releases of a fleet and for directories. */
#ifndef BIDE_FLEET_MIRROR_H
#define BIDE_FLEET_MIRROR_H

#include <stddef.h>
#include <stdint.h>

struct host_setup;
struct policy_list;
struct record_fleet;

enum { MIRROR_WHY = 256 };
#define MIRROR_WHO "fleet" /* the author in the host's log */

struct mirror {
    const char *dir, *note,
        *local; /* local: names that stay; comma-separated */
    const struct policy_list *policies;
    const struct record_fleet *state; /* NULL: of a directory */
};
struct mirrored {
    size_t created, changed, deleted;
    char why[MIRROR_WHY]; /* of a failure */
};
/* Makes the registry have the policies, all or none.  BIDE_EINPUT: this host
 * refuses them; `out->why` is the first fault.  Other codes: it could not. */
int mirror_apply(const struct mirror *m, struct mirrored *out);

/* Reads what was applied last, and the number of the registry's transaction. */
int mirror_state(const char *dir, struct record_fleet *out, uint64_t *out_txn,
                 char *why);
/* Fills `out` with the policies of the fleet that a temporary change of this
 * host covers, after the names of `local`; comma-separated, cut. */
void mirror_local(const char *dir, const char *local, char *out, size_t size);

#endif
