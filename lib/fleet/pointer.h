/* The rollout pointer of a fleet: which host runs which release.  There is one
 * for each fleet, P/rollout; every change is a compare-and-swap. */
#ifndef BIDE_FLEET_POINTER_H
#define BIDE_FLEET_POINTER_H

#include "host.h"

struct etcd;
struct etcd_pair;

/* A host runs `release` if the stage has it, else `before`.  The stage is the
 * hosts named, those with the label, and `percent` of all others by a hash of
 * machine and release; 100 is every host. */
struct pointer {
    uint32_t release, before; /* before 0: other hosts stay as they are */
    char hosts[2048];         /* comma-separated */
    char label[128];          /* "k=v" */
    uint32_t percent;         /* 0 to 100 */
    char then[128];           /* the percents of later stages: "10,50,100" */
    uint64_t every_ms;        /* the least time between two stages */
    uint64_t since_ms;        /* when this stage began, CLOCK_REALTIME */
    bool paused;              /* no stage begins by itself */
    char guard[256];          /* "failed<2%,p95<300ms"; "": none */
    uint32_t tolerate;        /* hosts that may break it before it goes back */
    uint32_t known;           /* hosts of the fleet, when it was written */
    char by[FLEET_WHO_MAX + 1], note[FLEET_NOTE_MAX + 1];
    uint64_t modified; /* revision of the pointer, to swap it; not stored */
};

/* The table of its members, for JSON. */
extern const struct field pointer_fields[];

/* Returns the release for the host; 0: it stays as it is. */
uint32_t pointer_wants(const struct pointer *p, const char *host,
                       const char *machine, const char *labels);

/* Write and read the document.  pointer_read(): BIDE_EINPUT with the reason in
 * `why` (DOCUMENT_WHY bytes), also if a percent is above 100. */
char *pointer_write(const struct pointer *p);
int pointer_read(const struct etcd_pair *pair, struct pointer *out, char *why);

/* Reads the pointer of the fleet; all zeros, modified too, if there is none.
 * Fails as etcd_do(), and with BIDE_EINPUT; the reason is in `why`. */
int pointer_get(struct etcd *e, const char *prefix, struct pointer *out,
                char *why);
/* Replaces the pointer if it is still the one of p->modified, and sets that.
 * BIDE_EVERSION: somebody changed it meanwhile; `now` (may be NULL) is that. */
int pointer_swap(struct etcd *e, const char *prefix, struct pointer *p,
                 struct pointer *now, char *why);

#endif
