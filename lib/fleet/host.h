/* What a host knows of its fleet, and what it tells the fleet.
 *
 * Keys in etcd, below the prefix ("/bide" by default):
 *
 *   P/fleet              the id of the fleet, made once: tells clusters apart
 *   P/release/0000000012 a release (release.h), never changed
 *   P/part/ID/00000      its text, in parts of ETCD_VALUE_MAX bytes
 *   P/rollout            the pointer (pointer.h), changed by compare-and-swap
 *   P/host/NAME          the record of a host, written by that host alone
 *
 * The setup is DIR/policies/fleet.json, a document of `join`. */
#ifndef BIDE_FLEET_HOST_H
#define BIDE_FLEET_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "document.h"

enum {
    FLEET_NAME_MAX = 64,
    FLEET_WHO_MAX = 64,
    FLEET_NOTE_MAX = 400, /* within a note of the host's log */
};
#define FLEET_PREFIX "/bide"

struct host_setup {
    char urls[1024];               /* of etcd's endpoints; comma-separated */
    char name[FLEET_NAME_MAX + 1]; /* of this host in the fleet */
    char machine[33];              /* a hash of its machine-id and name */
    char prefix[128];              /* without a slash at the end */
    char labels[256], local[2048]; /* "k=v,..." and names of policies */
    char fleet[33];                /* the id of the fleet that was joined */
    char cacert[512], cert[512], key[512], token_file[512];
};
/* Read and write the setup of the registry in `dir`, or remove it.  0,
 * BIDE_EMISSING, or another BIDE_E code with the reason in `why` (DOCUMENT_WHY
 * bytes). */
int host_setup_read(const char *dir, struct host_setup *out, char *why);
int host_setup_write(const char *dir, const struct host_setup *s, char *why);
int host_setup_remove(const char *dir, char *why);
/* Fills `out` with the hash of this machine's id and the name. */
void host_machine(const char *name, char out[33]);
/* Reports whether `name` can be the name of a host. */
bool host_name_ok(const char *name);
/* Fills 16 random bytes as 32 digits. */
void host_draw_id(char out[33]);
double host_draw_share(void); /* 0 to 1 */

/* "P/kind", or "P/kind/name" if `name` is not NULL. */
struct fleet_key {
    char text[256];
};
struct fleet_key fleet_key(const char *prefix, const char *kind,
                           const char *name);

struct host_record {
    char host[FLEET_NAME_MAX + 1];
    uint32_t release;  /* in force: the last good one; 0: none yet */
    uint32_t refused;  /* the release that was refused after it; else 0 */
    char fault[256];   /* the first reason for that */
    uint32_t broke;    /* the release that broke the guard here, last; else 0 */
    char figures[256]; /* how: "payments failed 14% (before 0.2%) ..." */
    uint64_t since_ms; /* when `release` was applied, CLOCK_REALTIME */
    char local[256];   /* policies of the release where the host's own win */
    char labels[256], machine[33], agent[32], library[32];
    uint64_t time_ms; /* of this record, CLOCK_REALTIME of the host */
};
extern const struct field host_record_fields[]; /* for JSON */
char *host_record_write(const struct host_record *r);
int host_record_read(const char *bytes, size_t length, struct host_record *out,
                     char *why);

#endif
