/* An opened registry (struct bide) and its handles (struct bide_policy). */
#ifndef BIDE_REGISTRY_H
#define BIDE_REGISTRY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <bide.h>
#include "base/lock.h"
#include "live/live.h"
#include "live/snapshot.h"
#include "policy/policy.h"
#include "rule/place.h"
#include "store/policies/reader.h"

enum { RUNNING_SLOTS = 1024 };

/* Calls in progress, begun minus ended, as counted by one thread.  A thread
 * owns its slot, so the success path needs no locked instruction. */
struct running {
    _Atomic int64_t calls;
    uint64_t spare[7];
};

/* The slots of one registry.  Their memory is used again and never freed, so
 * that the end of a call may still look at `closing` when another thread has
 * freed the registry. */
struct running_slots {
    struct running slot[RUNNING_SLOTS];
    _Atomic(struct bide *) closing; /* by bide_close, with calls in progress */
    struct running_slots *next;     /* free ones */
};

/* Compiled rules, shared by the calls that use them. */
struct rules {
    struct policy *policy;
    _Atomic uint32_t refs;
    uint32_t generation; /* of the cell, before the rules were read */
    uint64_t txn;        /* commit of the registry they are from; 0: none, or
                            it could not be read */
    uint64_t replaced;   /* value of bide->replaced when they were read */
    uint64_t gate;       /* the gate word published with them; 0: not checked */
    uint64_t until_ns;   /* CLOCK_REALTIME: stale from then on; 0: never */
    enum bide_source source;
};

/* The place of a handle's live state.  Replaced as a whole; earlier ones are
 * kept until bide_close, because calls in progress may read them. */
struct home {
    struct live *live;
    uint32_t index; /* of the cell */
    struct home *earlier;
};

/* The last report to hooks about a policy. */
struct reported {
    bool is_known; /* the rest is set, ... */
    int is_empty;  /* ... and of the budget always: 0 at first */
    enum bide_source source;
    uint32_t version;
    enum bide_breaker breaker;
};

struct bide_policy {
    /* cache line 0: read by each call */
    struct bide *bide;
    _Atomic(struct cell *) cell;
    _Atomic uint32_t local_gate; /* gate bits which other processes must not
                                    see: of declared rules, GATE_LOOKS */
    _Atomic uint32_t stripe_mask;
    uint32_t hash;
    _Atomic uint32_t incarnation; /* of the cell while it is the handle's */
    _Atomic(struct home *) home;  /* changed under bide->lock */
    uint32_t private_index;       /* in bide->own; UINT32_MAX: none */
    _Atomic(struct guard_rings *) rings; /* NULL: not used yet */
    _Atomic(struct bide_policy *) pool;  /* the handle whose budget it pays
                                            from; NULL: no budget */
    /* cache line 1 */
    _Atomic(struct stripe *) stripe[STRIPE_MAX]; /* NULL: not used yet */
    /* the rest */
    _Atomic uint64_t ends_ns;   /* CLOCK_REALTIME: a temporary change ends, */
    _Atomic uint64_t ends_gate; /* under this gate of the cell; 0: none */
    _Atomic uint64_t replaced;  /* rules->replaced; UINT64_MAX: no rules yet */
    /* The handles whose limit and rate it uses; NULL: none. */
    _Atomic(struct bide_policy *) limit, rate;
    _Atomic(struct limits *) limits; /* NULL: not used yet */
    /* What an attempt asks for if it only needs a place, under this gate. */
    _Atomic struct place_rules places;
    _Atomic uint64_t places_gate; /* 0: none */
    /* The percentile of hedge_after, until then as registry_now_ns. */
    _Atomic uint64_t hedge_ns, hedge_until_ns;
    pthread_mutex_t lock; /* of rules */
    struct rules *rules;
    struct reported reported;              /* under `lock` */
    _Atomic uint64_t moves;                /* how often it got another cell */
    uint8_t registry_id[REGISTRY_ID_SIZE]; /* of the registry of `rules` */
    uint32_t name_length, scope_length;
    char name[BIDE_NAME_MAX + 2]; /* a group's begins with @ */
    char scope[BIDE_NAME_MAX + 1];
    struct bide_policy *next; /* list of all handles */
};
_Static_assert(offsetof(struct bide_policy, stripe) == 64, "line 1");

struct name_table;
struct deferred;

struct bide {
    char *dir;
    pthread_mutex_t lock; /* of all fields without a lock of their own */
    struct reader *reader;
    struct live *live;      /* the registry's, else `own`; not NULL */
    struct live *own;       /* private to this process; NULL: not needed */
    int live_rc;            /* why the live file could not be opened ... */
    uint64_t live_again_ns; /* ... and when to try again, CLOCK_MONOTONIC */
    struct live **retired;  /* calls in progress may still use these */
    size_t retired_count;
    uint8_t id[REGISTRY_ID_SIZE];
    struct pages_stamp stamp;  /* of the registry, at the last check */
    _Atomic uint64_t replaced; /* how often its file was replaced by another;
                                  with `own`, also how often it was changed */
    uint64_t unannounced_txn;  /* a commit that is not announced, first ... */
    uint64_t unannounced_ns;   /* ... seen at this CLOCK_MONOTONIC */
    _Atomic int status;        /* result of the last check of the registry */
    _Atomic int read_status;   /* error of the last policy that could not ... */
    struct bide_policy *unread; /* ... be read; NULL: all could */
    _Atomic uint64_t looked;    /* ticks of the last check ... */
    uint64_t fresh_ticks;       /* ... which calls repeat after this time, */
    uint64_t look_ticks;        /* plain successes after this longer one: ... */
    _Atomic uint64_t look_at;   /* ... at these ticks */
    struct tick_scale scale;    /* of ticks; zero: ticks are the caller's ns */
    uint64_t snapshot_ns;       /* CLOCK_MONOTONIC of the next snapshots, ... */
    struct bide_policy *snapshot_next; /* ... from here on; NULL: all */
    bool is_private;                   /* BIDE_PRIVATE: b->live is b->own */
    bool own_clock, hooked;
    int reported_status;
    struct bide_clock clock;
    struct bide_hooks hooks;
    uint64_t seed;
    _Atomic uint64_t calls; /* calls with a failure: numbers their draws */
    struct bide_watch *watches;
    struct policy_list declared; /* of one name the last one counts */
    uint64_t declare_at; /* ticks at which their cells are looked at again */
    _Atomic(struct name_table *) names;
    struct bide_policy *policies;
    struct recorder *recorder; /* bide_record_every; NULL: none */
    void (*recorder_end)(struct recorder *r);
    const _Atomic uint32_t *self; /* process_words */
    _Atomic uint64_t process;     /* id of the process that all this is of */
    struct running_slots *running;
    struct live *unended_live;  /* lists it as closed, with calls ... */
    int unended;                /* ... in progress; NULL: not listed */
    pthread_mutex_t defer_lock; /* of the next one */
    struct deferred *deferred;  /* the queue; NULL until it is needed */
};

/* ---- registry.c ---- */

/* Frees a registry that no call uses. */
void registry_free(struct bide *b);

/* Makes new locks, a new seed and new descriptors once in a forked child.  All
 * functions except the success path call it first. */
void registry_revive(struct bide *b);

/* Returns CLOCK_MONOTONIC, or the time of the caller's clock, in ns. */
uint64_t registry_now_ns(const struct bide *b);

/* Returns the time in ticks of b->scale, which the success path reads instead:
 * the counter of the CPU, or the caller's clock. */
static inline uint64_t
registry_ticks(const struct bide *b)
{
    return b->own_clock ? b->clock.now_ns(b->clock.arg) : clock_ticks(b->scale);
}

/* Reports whether the last check of the registry is too old at `ticks`: a
 * writer may have been killed before it announced its change. */
static inline bool
registry_look_is_due(const struct bide *b, uint64_t ticks)
{
    return b->own_clock || ticks - load_relaxed(&b->looked) >= b->fresh_ticks;
}

/* Reports whether a plain success that ends at `ticks` must check the registry:
 * if the live file was removed, no announcement arrives. */
static inline bool
registry_success_looks(const struct bide *b, uint64_t ticks)
{
    return ticks >= load_relaxed(&b->look_at);
}

/* Sets when the next plain success checks the registry. */
static inline void
registry_set_look(struct bide *b)
{
    atomic_store(&b->look_at, registry_ticks(b) + b->look_ticks);
}

/* Reports whether a call with GATE_LOOKS must read the rules at `ticks`. */
static inline bool
registry_may_differ(const struct bide_policy *p, uint64_t ticks)
{
    return registry_look_is_due(p->bide, ticks) ||
           atomic_load(&p->replaced) != atomic_load(&p->bide->replaced);
}

/* As cell_sleep, by the caller's clock if there is one: only until `until_ns`
 * then. */
bool registry_sleep_until(struct bide *b, _Atomic uint32_t *word, uint32_t seen,
                          uint64_t until_ns);

/* Returns the handle of the budget group "@name", made on first use; NULL if
 * out of memory.  Under b->lock. */
struct bide_policy *registry_group(struct bide *b, const char *name);

/* ---- attach.c: under b->lock ---- */

/* Checks the registry: opens it and its live file if necessary, follows files
 * that were replaced, and announces a commit whose writer was killed.  Returns
 * 0 and the last commit, or an error.  Sets b->live in any case, except without
 * memory. */
int attach_registry(struct bide *b, uint64_t *out_txn);
/* Sets the cell of a handle: in b->live, or in b->own without space there. */
int attach_policy(struct bide *b, struct bide_policy *p);
/* Notes that the handle is used.  If its cell was freed because nobody used it,
 * finds or makes another, without b->lock, and returns true. */
bool attach_again(struct bide_policy *p);
/* Reports whether the handle uses the cell of all names without a cell. */
bool attach_is_shared(const struct bide_policy *p);
/* Closes all live states, the reader and the descriptors. */
void attach_close(struct bide *b);
/* Frees the places of a handle that is about to be freed. */
void attach_leave(struct bide_policy *p);
/* Returns the handle's stripe of number `stripe`; never NULL.  Takes b->lock.
 */
struct stripe *attach_stripe(struct bide_policy *p, uint32_t stripe);

/* ---- rules.c ---- */

/* Returns the rules in force now, else the last good ones; NULL only if out of
 * memory.  Release with rules_drop (NULL: does nothing).  Takes p->lock and
 * b->lock. */
struct rules *rules_take(struct bide_policy *p);
void rules_drop(struct rules *r);

/* ---- report.c: calls hooks; not under b->lock or p->lock ---- */

/* Reports a changed status, and returns it. */
int report_status(struct bide *b);
/* Reports what has changed: the status, rules and breaker of `p`, and its
 * budget, which refused (1) or granted (0) a retry; -1: neither. */
void report_changes(struct bide_policy *p, int is_empty);

/* ---- running.c: calls in progress ---- */

int running_open(struct bide *b); /* sets b->running */
/* Returns the slot of this thread. */
_Atomic int64_t *running_begin(struct bide *b);
/* Free the registry if this was its last call and it is closing.  `calls`: the
 * slot of this thread. */
void running_end(struct bide *b);
void running_end_in(struct bide *b, _Atomic int64_t *calls);
/* Marks the registry as closing.  Returns the number of calls in progress, of
 * which the last frees it: one is the caller's own. */
int64_t running_close(struct bide *b);
void running_free(struct bide *b);
/* Removes the calls of the parent's other threads, in a forked child. */
void running_clear(struct bide *b);

/* ---- watch.c ---- */

/* Follow a call with this watch, in the thread of both: it begins, it waits (on
 * a cell that had this generation when its rules were taken), it ends. */
void watch_enter(struct bide_watch *w);
void watch_join(struct bide_watch *w, struct bide_policy *p,
                uint32_t generation);
void watch_leave(struct bide_watch *w);
/* Makes it readable; NULL: does nothing.  From any thread. */
void watch_ring(struct bide_watch *w);
/* Lets all watches follow the bell of the present live file.  Under b->lock. */
void watch_move(struct bide *b);
/* Closes all watches: the registry is closed, or this is a forked child. */
void watch_close(struct bide *b);

/* ---- names.c ---- */

/* Returns the handle, or NULL and the hash for a new one.  Takes no lock. */
struct bide_policy *names_find(struct bide *b, const char *name,
                               const char *scope, uint32_t *out_hash);
int names_add(struct bide *b, struct bide_policy *p); /* under b->lock */
void names_free(struct bide *b);

/* ---- declare.c: under b->lock ---- */

/* Returns the declared text of `name`, owned by `b`; NULL: none. */
const struct policy_text *declared_find(struct bide *b, const char *name);
/* Writes the declared rules of a handle, if there are any, to its cell, so that
 * operators see them. */
void declared_publish(struct bide_policy *p, bool again);

#endif
