/* The stages of a rollout: what hosts have made of it, when the next stage
 * begins, and when the release goes back.  Any agent may decide that; the
 * pointer changes once, because it is swapped. */
#ifndef BIDE_FLEET_STAGE_H
#define BIDE_FLEET_STAGE_H

#include "pointer.h"

struct trial;

enum host_state {
    HOST_GOOD,    /* has the release that the pointer gives it, or any */
    HOST_WAITING, /* has not applied it, or not said so */
    HOST_REFUSED,
    HOST_BROKE, /* its guard found that the release does harm */
    HOST_STATES,
};
enum {
    STAGE_EVERY_MS = 600000, /* by default */
    HOST_SILENT_MS = 720000, /* two records are missing */
};

/* Returns the state; *in_stage: the pointer gives the host the new release. */
enum host_state stage_state(const struct pointer *p,
                            const struct host_record *r, bool *in_stage);

/* The pointer, and each host's record, at one revision. */
struct stage_look {
    struct pointer pointer;
    size_t count, in_stage;
    struct host_record *list;  /* by name; a record that cannot be read has only
                                  a host and a fault */
    size_t state[HOST_STATES]; /* of those in the stage */
    const struct host_record *broke; /* the first in that state; or NULL */
};
/* Reads them, and counts.  Fails as pointer_get().  stage_look_end() in any
 * case. */
int stage_look(struct etcd *e, const char *prefix, struct stage_look *out,
               char *why);
void stage_look_end(struct stage_look *l);
/* Counts again, for another pointer. */
void stage_count(struct stage_look *l, const struct pointer *p);

/* Reads the first percent of "10%,50%" and moves *text past it.  Returns 0 at
 * the end, and -1 if it is not one. */
int stage_percent(const char **text);
/* Change the pointer to its next stage; or back to the release before, which
 * there must be, on all hosts. */
void stage_next(struct pointer *p);
void stage_back(struct pointer *p);

/* What an agent knows of the rollout. */
struct stage {
    struct pointer p;          /* the last one seen */
    uint64_t due_ns;           /* when to try the next stage; 0: never */
    struct trial *trial;       /* of the release on this host; NULL: none */
    uint64_t check_ns, end_ns; /* the next look at it, and its end */
    uint64_t tried_ms;         /* when the release under trial was applied */
    uint64_t judged; /* revision of the pointer for which this host, where the
                        guard is broken, has counted the others */
};
/* Notes a pointer that this host has followed; `applied`: just now. */
void stage_follow(struct stage *s, const struct pointer *p, const char *dir,
                  const struct host_record *r, bool applied);
void stage_end(struct stage *s);
/* Returns when stage_check() and stage_act() have something to do, by
 * CLOCK_MONOTONIC. */
uint64_t stage_wake_ns(const struct stage *s);
/* Fills in that this host broke the guard. */
void stage_check(struct stage *s, struct host_record *r);
/* Begins the next stage, or goes back, if it is time and nobody else did; after
 * the record was sent.  Fails as etcd_do(). */
int stage_act(struct stage *s, struct etcd *e, const struct host_setup *h,
              const struct host_record *r, char *why);

#endif
