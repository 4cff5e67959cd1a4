/* Releases: immutable, numbered sets of policies.  The text is the canonical
 * text of each policy, ordered by name. */
#ifndef BIDE_FLEET_RELEASE_H
#define BIDE_FLEET_RELEASE_H

#include "host.h"

struct etcd;
struct policy_list;

struct release {
    uint32_t release; /* its number, from 1 */
    char by[FLEET_WHO_MAX + 1], note[FLEET_NOTE_MAX + 1];
    uint64_t time_ms;  /* CLOCK_REALTIME */
    uint32_t policies; /* how many */
    uint64_t bytes;    /* of the text */
    uint32_t checksum; /* CRC-32C of it */
    uint32_t parts;
    char id[33]; /* of the parts */
};

/* Writes the text of policies, malloc'ed; NULL without memory. */
char *release_text(const struct policy_list *policies);

/* Stores a release under the next free number, and fills in all but by, note
 * and policies.  A release is there as a whole or not at all.  These functions
 * fail as etcd_do(), and with the reason in `why` (DOCUMENT_WHY bytes). */
int release_push(struct etcd *e, const char *prefix, const char *text,
                 struct release *io, char *why);
/* Reads all releases, oldest first, without their texts, into malloc'ed *out.
 * Those that this bide cannot read have only a number. */
int release_list(struct etcd *e, const char *prefix, struct release **out,
                 size_t *out_count, char *why);
/* Reads one release and its text, which is checked.  BIDE_EMISSING: there is
 * none; BIDE_EDAMAGED: parts are missing or wrong; BIDE_EINPUT: it needs a
 * newer bide. `text` NULL: without it. */
int release_get(struct etcd *e, const char *prefix, uint32_t number,
                struct release *out, char **text, char *why);

/* Reads a document of a release. */
int release_read(const char *bytes, size_t length, struct release *out,
                 char *why);

#endif
