/* deferred.mdb and deferred.journal: postponed work, durable.  Services write
 * them as well as operators (mode 0660 root:bide), so each change first takes a
 * lock of its own with a time limit; what several threads of a process store at
 * once is committed together.  What is put, given back, done or changed by hand
 * is on the disk when the call returns; that something was taken need not be,
 * since a loss of power ends all leases.  All times in records are
 * CLOCK_REALTIME but for leases, which are CLOCK_BOOTTIME with the boot's id:
 * that clock does not jump, and a lease of an earlier boot has run out. */
#ifndef BIDE_STORE_DEFERRED_H
#define BIDE_STORE_DEFERRED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bide.h>

struct deferred; /* an open queue; thread-safe */

/* Opens DIR/deferred.mdb, made where it is missing (and the registry is not).
 * BIDE_EMISSING, BIDE_EPERM, BIDE_EDAMAGED, BIDE_EFORMAT, BIDE_ENOMEM ... */
int deferred_open(const char *dir, struct deferred **out);
/* Makes DIR/deferred.mdb unless it exists; for the maker of a registry, who
 * holds the writers' lock.  Services may lack the right to make it. */
int deferred_create(const char *dir);
void deferred_close(struct deferred *d); /* NULL: does nothing */
/* This thread's last failure in words, "" if none. */
const char *deferred_why(void);

enum deferred_state { DEFERRED_WAITING, DEFERRED_LEASED, DEFERRED_DEAD };

/* What a change of an item needs to know of its policy. */
struct deferred_rules {
    uint64_t wait_ns, wait_max_ns, expire_ns, lease_ns;
    uint32_t max; /* waiting, leased and dead of this policy together; 0: any */
    uint32_t attempts; /* so often tried, it is dead; 0, UINT32_MAX: any */
};

struct deferred_item {
    uint64_t id;
    char policy[BIDE_NAME_MAX + 1];
    enum deferred_state state;
    uint32_t attempts;                      /* times it was taken */
    uint64_t stored_ns, due_ns, expires_ns; /* CLOCK_REALTIME */
    uint64_t lease, lease_ends_ns;          /* CLOCK_BOOTTIME */
    char type[BIDE_WORK_TYPE_MAX + 1], key[BIDE_WORK_KEY_MAX + 1];
    char last_error[128];
    size_t length;
    void *bytes; /* malloc'ed; NULL where only the head was asked for */
};
void deferred_item_free(struct deferred_item *item); /* what is inside */

int deferred_put(struct deferred *d, const char *policy,
                 const struct deferred_rules *r, const struct bide_work *work,
                 uint64_t *out_id);
/* The same; *out_found: work of that key was there, and was left as it is. */
int deferred_put_or_find(struct deferred *d, const char *policy,
                         const struct deferred_rules *r,
                         const struct bide_work *work, uint64_t *out_id,
                         bool *out_found);
/* Up to `room` that are due at now_ns, after giving back leases that ran out
 * and moving to the dead what has expired.  Returns how many, or BIDE_E. */
int deferred_take(struct deferred *d, const char *policy,
                  const struct deferred_rules *r, struct deferred_item *out,
                  int room);
/* One kind of work, by its type; for one policy. */
struct deferred_kind {
    const char *type;
    bool others; /* all but that type */
    /* The queue's: up to there, what waits is not of that kind.  At 0 it looks
     * at all of it again. */
    uint64_t passed_ns, passed_id;
};
/* The same; when nothing was due, *out_next_ns is as of deferred_next_ns.
 * What is not of that kind stays as it is, unless it has expired; NULL: any. */
int deferred_take_or_when(struct deferred *d, const char *policy,
                          const struct deferred_rules *r,
                          struct deferred_kind *kind, struct deferred_item *out,
                          int room, uint64_t *out_next_ns);
/* When to look again: the next due time of that kind (NULL: any) or end of a
 * lease of that policy, as CLOCK_MONOTONIC; UINT64_MAX: nothing waits.  It can
 * be too early where much is of other kinds, but then it is not now. */
int deferred_next_ns(struct deferred *d, const char *policy,
                     struct deferred_kind *kind, uint64_t *out_monotonic_ns);
/* BIDE_ELEASE: the lease is no longer this one, or ended: at lease_ends_ns, by
 * the clock when this is called, whether anybody took the work since or not.
 * BIDE_ENOWORK: no such id.  Nothing is changed then. */
int deferred_ack(struct deferred *d, uint64_t id, uint64_t lease);
/* Without rules: it was not tried, which does not count; it is due at once. */
int deferred_nack(struct deferred *d, uint64_t id, uint64_t lease,
                  const struct deferred_rules *r, const char *reason);
int deferred_extend(struct deferred *d, uint64_t id, uint64_t lease,
                    uint64_t lease_ns, uint64_t *out_ends_ns);

/* ---- for operators ---- */

/* With its bytes.  BIDE_ENOWORK: no such id. */
int deferred_get(struct deferred *d, uint64_t id, struct deferred_item *out);
/* In order of policy, then id; NULL: all policies.  A damaged record gives
 * length SIZE_MAX and its id only. */
int deferred_each(struct deferred *d, const char *policy,
                  int (*visit)(void *arg, const struct deferred_item *item),
                  void *arg);
/* Who does it, and why; "" or NULL: not said.  Cut where it is too long. */
struct deferred_by {
    const char *who, *note;
};
/* Due now: waiting ones, leased ones (whose lease ends), dead ones.  Who and
 * why is logged, in the same transaction.  BIDE_ENOWORK; BIDE_EDAMAGED: it can
 * only be dropped; BIDE_EFULL: no room for the log (dropping has it). */
int deferred_requeue(struct deferred *d, uint64_t id,
                     const struct deferred_by *by);
int deferred_drop(struct deferred *d, uint64_t id,
                  const struct deferred_by *by);
/* Many, a few at a time; what is gone or damaged is passed over.  *out_count
 * were changed, also when it fails. */
int deferred_requeue_each(struct deferred *d, const uint64_t *ids, size_t count,
                          const struct deferred_by *by, size_t *out_count);
int deferred_drop_each(struct deferred *d, const uint64_t *ids, size_t count,
                       const struct deferred_by *by, size_t *out_count);

enum deferred_did { DEFERRED_DROPPED, DEFERRED_REQUEUED };

/* One change by hand.  The newest DEFERRED_LOGGED are kept. */
enum {
    DEFERRED_WHO_MAX = 64,
    DEFERRED_NOTE_MAX = 500,
    DEFERRED_LOGGED = 50000,
};
struct deferred_event {
    uint64_t when_ns, id; /* CLOCK_REALTIME */
    enum deferred_did did;
    uint32_t attempts;
    char policy[BIDE_NAME_MAX + 1]; /* "": its record was damaged */
    char who[DEFERRED_WHO_MAX + 1], note[DEFERRED_NOTE_MAX + 1];
};
/* In the order they were made; *out_damaged records are passed over. */
int deferred_events(struct deferred *d,
                    int (*visit)(void *arg, const struct deferred_event *event),
                    void *arg, uint64_t *out_damaged);

/* Ever, and now: stored = done + dropped + waiting + leased + dead.  Beside
 * that, how often work became dead (too old, too often tried, damaged). */
struct deferred_counts {
    char policy[BIDE_NAME_MAX + 1];
    uint64_t stored, done, dropped, died;
    uint64_t waiting, leased, dead, bytes;
    uint64_t oldest_ns; /* stored first of those that are there; 0: none */
};
int deferred_counts(struct deferred *d,
                    int (*visit)(void *arg, const struct deferred_counts *c),
                    void *arg);

/* What is in DIR/deferred.mdb, every record looked at and checked; without
 * LMDB, a lock or a change.  BIDE_EMISSING: there is none; BIDE_EDAMAGED:
 * pages are (pages_why); BIDE_EPERM, BIDE_ENOMEM ... */
struct deferred_survey {
    uint64_t bytes; /* of the file */
    uint64_t waiting, leased, dead;
    uint64_t damaged;   /* records: of all kinds */
    uint64_t oldest_ns; /* stored first of those that are there; 0: none */
    uint64_t due_ns;    /* due first of those that wait; 0: none */
};
int deferred_survey(const char *dir, struct deferred_survey *out);

/* ---- time ---- */

/* For tests, and programs with a clock of their own; `boot` is any number that
 * changes with each boot. */
struct deferred_now {
    uint64_t realtime_ns, boottime_ns, monotonic_ns, boot;
};
/* It is given the system's times, to put others in their place; NULL: none.
 * Not while anybody is at work. */
void deferred_set_clock(struct deferred *d,
                        void (*now)(void *arg, struct deferred_now *out),
                        void *arg);

#endif
