/* The face's own structures: an opened registry and its handles. */
#ifndef BIDE_REGISTRY_H
#define BIDE_REGISTRY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <bide.h>
#include "live/live.h"
#include "policy/policy.h"
#include "store/policies/reader.h"

enum { RUNNING_SLOTS = 1024 };

/* Calls in progress, begun minus ended, by the thread that did it.  A thread
 * owns its slot, so the success path pays no locked instruction. */
struct running {
    _Atomic int64_t calls;
    uint64_t spare[7];
};

/* Compiled rules, shared by the calls that work with them. */
struct rules {
    struct policy *policy;
    _Atomic uint32_t refs;
    uint32_t generation; /* of the cell, when the look began */
    uint64_t txn;        /* registry's commit it was read from; 0: none */
    uint64_t until_ns;   /* CLOCK_REALTIME: stale afterwards; 0: never */
    bool registered;     /* from the registry, under its own name */
    bool stored;         /* from the registry: so, or its `default` */
};

/* Where a handle's live state is.  Replaced as a whole; earlier ones stay until
 * the registry is closed, since calls in progress may look at them. */
struct home {
    struct live *live;
    uint32_t index; /* of the cell */
    struct home *earlier;
};

struct bide_policy {
    /* line 0: what each call loads */
    struct bide *bide;
    _Atomic(struct cell *) cell;
    _Atomic uint32_t local_gate; /* gate bits of rules that are not the
                                    registry's, so not in the shared cell */
    _Atomic uint32_t stripe_mask;
    uint32_t hash;
    _Atomic(struct home *) home;         /* changed under bide->lock */
    uint32_t private_index;              /* in bide->own; UINT32_MAX: none */
    _Atomic(struct guard_rings *) rings; /* NULL: not used yet */
    _Atomic(struct bide_policy *) pool;  /* whose budget it pays from; NULL:
                                            nobody's */
    /* line 1 */
    _Atomic(struct stripe *) stripe[STRIPE_MAX]; /* NULL: not used yet */
    /* the rest */
    pthread_mutex_t lock; /* of rules */
    struct rules *rules;
    uint8_t registry_id[REGISTRY_ID_SIZE]; /* that they are from */
    uint32_t name_length, scope_length;
    char name[BIDE_NAME_MAX + 2]; /* a group's begins with @ */
    char scope[BIDE_NAME_MAX + 1];
    struct bide_policy *next; /* all of the registry's */
};
_Static_assert(offsetof(struct bide_policy, stripe) == 64, "line 1");

struct name_table;
struct deferred;
struct declared;

struct retired {
    struct live *live;
    struct retired *next;
};

struct bide {
    char *dir;
    pthread_mutex_t lock; /* of everything that has no lock of its own */
    struct reader *reader;
    struct live *live;       /* the registry's, else `own`; never NULL */
    struct live *own;        /* private, made when it is needed */
    struct retired *retired; /* still pointed at by calls in progress */
    uint8_t id[REGISTRY_ID_SIZE];
    uint64_t untold_txn;        /* a commit nobody has announced ... */
    uint64_t untold_ns;         /* ... and since when we know */
    _Atomic int status;         /* of the last look */
    _Atomic int read_status;    /* why a policy could not be read ... */
    struct bide_policy *unread; /* ... this one; NULL: all could */
    _Atomic uint64_t looked_ns;
    struct tick_scale scale; /* ns where the clock is the caller's */
    bool own_clock, hooked;
    struct bide_clock clock;
    struct bide_hooks hooks;
    uint64_t seed;
    _Atomic uint64_t calls; /* that failed once: numbers their draws */
    int fd, bell;           /* epoll around the live file's bell; -1 */
    struct declared *declared;
    _Atomic(struct name_table *) names;
    struct bide_policy *policies;
    struct recorder *recorder; /* bide_record_every; NULL: none */
    void (*recorder_end)(struct recorder *r);
    _Atomic uint32_t *alive;    /* a page that is zero in a forked child */
    struct running *running;    /* RUNNING_SLOTS */
    pthread_mutex_t defer_lock; /* of opening the next */
    struct deferred *deferred;  /* NULL until it is needed */
    bool deferred_own_clock;
};

/* ---- registry.c ---- */

/* To be called first by everything but the success path: a child that was
 * forked since gets locks, draws and descriptors of its own. */
void registry_revive(struct bide *b);
uint64_t registry_now_ns(const struct bide *b);

/* What the success path reads instead: the counter of the CPU, or the time. */
static inline uint64_t
registry_ticks(const struct bide *b)
{
    return b->own_clock ? b->clock.now_ns(b->clock.arg) : clock_ticks(b->scale);
}

void registry_sleep_until(struct bide *b, struct cell *c, uint32_t seen,
                          uint64_t until_ns);

/* The handle that stands for a budget's group ("@name"), made on first use;
 * NULL without memory.  Under b->lock. */
struct bide_policy *registry_group(struct bide *b, const char *name);

/* ---- attach.c: under b->lock ---- */

/* Opens what can be opened, follows what was replaced, and finishes what a
 * writer that was killed left untold.  0 and the registry's commit, or why
 * there is none; b->live is there in any case, but for BIDE_ENOMEM. */
int attach_registry(struct bide *b, uint64_t *out_txn);
/* Gives a handle its cell in b->live. */
int attach_policy(struct bide *b, struct bide_policy *p);
/* Whether its cell is one for all that found no place. */
bool attach_is_shared(const struct bide_policy *p);
void attach_close(struct bide *b);
void attach_leave(struct bide_policy *p);
/* The handle's stripe for this CPU; never NULL. */
struct stripe *attach_stripe(struct bide_policy *p, uint32_t stripe);

/* ---- rules.c ---- */

/* The rules in force now, as far as they can be known; NULL only without
 * memory.  Give back with rules_drop. */
struct rules *rules_take(struct bide_policy *p);
void rules_drop(struct rules *r);

/* ---- running.c ---- */

void running_add(struct bide *b, int64_t change);
int64_t running_total(const struct bide *b);
void running_clear(struct bide *b); /* in a forked child */

/* ---- names.c ---- */

struct bide_policy *names_find(struct bide *b, const char *name,
                               const char *scope, uint32_t *out_hash);
int names_add(struct bide *b, struct bide_policy *p); /* under b->lock */
void names_free(struct bide *b);

/* ---- declare.c: under b->lock ---- */

const struct policy_text *declared_find(const struct bide *b, const char *name);
policy_find_fn declared_finder; /* arg: struct bide */
void declared_free(struct bide *b);

#endif
