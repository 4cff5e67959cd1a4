/* Deferred work on disk: deferred.mdb and deferred.journal.
 *
 * Services and operators write it (group bide), so each change takes a
 * lock of its own, with a time limit.  Changes that several threads of a
 * process make at once are committed together.  A function that stores, gives
 * back, completes, requeues or drops work returns when the change is on the
 * disk.  If the disk fails, storing fails and leaves nothing; the others
 * succeed, because all processes see the change, and a loss of power may undo
 * it: the work is done again.  Taking and extending do not wait for the disk,
 * because a loss of power ends all leases.
 *
 * Results: 0 or a count; else a BIDE_E code, with a message in place_why.
 * Outputs stay untouched on failure unless a comment says otherwise.  Times are
 * CLOCK_REALTIME in ns.  Leases use CLOCK_BOOTTIME and the boot id: that clock
 * does not jump, and a lease of an earlier boot has expired. */
#ifndef BIDE_STORE_DEFERRED_H
#define BIDE_STORE_DEFERRED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bide.h>
#include "policy/rules.h"
#include "store/file/place.h"

struct deferred; /* an open queue; thread-safe */

/* Opens DIR/deferred.mdb.  Makes it if it is missing but the registry is not.
 * Close with deferred_close.  Fails with BIDE_EMISSING, BIDE_EPERM,
 * BIDE_EDAMAGED, BIDE_EFORMAT, BIDE_ENOMEM ... */
int deferred_open(const char *dir, struct deferred **out);
/* Makes those of DIR/deferred.mdb and the files beside it that are missing.
 * Call it with the writers' lock: services may lack the right to. */
int deferred_create(const char *dir);
void deferred_close(struct deferred *d); /* NULL: does nothing */

enum deferred_state { DEFERRED_WAITING, DEFERRED_LEASED, DEFERRED_DEAD };

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
    void *bytes; /* malloc'ed; NULL if only the head was read */
};
/* Frees item->bytes, not the item. */
void deferred_item_free(struct deferred_item *item);

/* Refuses work that is too large, or a text that is too long: BIDE_EINVAL. */
int deferred_check_work(const struct bide_work *work);
/* Stores work under a policy, durably.  Work of that policy with the same key
 * stays as it is, *out_id is its id, and *out_found is true (may be NULL).
 * BIDE_EFULL: r->max is reached; BIDE_ENAME, BIDE_EINVAL. */
int deferred_put(struct deferred *d, const char *policy,
                 const struct defer_rules *r, const struct bide_work *work,
                 uint64_t *out_id, bool *out_found);
/* A search for work of one type, for one policy.  The caller keeps it between
 * calls. */
struct deferred_kind {
    const char *type;
    bool others; /* all types but that one */
    /* Written by the queue: waiting work up to this place is not of this kind.
     * Set both to 0 to search from the start. */
    uint64_t passed_ns, passed_id;
};
/* Leases up to `room` pieces of work of that kind (NULL: any) that are due and
 * stores them in `out`; free each with deferred_item_free.  First ends expired
 * leases, and marks work dead that is too old or was tried too often; other
 * work of other kinds is left alone.  If nothing was due, sets *out_next_ns
 * (may be NULL) as deferred_next_ns does.  Returns the count, or BIDE_E. */
int deferred_take(struct deferred *d, const char *policy,
                  const struct defer_rules *r, struct deferred_kind *kind,
                  struct deferred_item *out, int room, uint64_t *out_next_ns);
/* Stores the time of the next event of that policy: work of that kind (NULL:
 * any) is due, or a lease ends.  CLOCK_MONOTONIC; UINT64_MAX: none.  With much
 * work of other kinds the time can be too early, but it is in the future. */
int deferred_next_ns(struct deferred *d, const char *policy,
                     struct deferred_kind *kind, uint64_t *out_monotonic_ns);
/* Completes leased work: deletes it, durably.  BIDE_ELEASE: it has another
 * lease, or this lease ended before the call, even if nobody has taken the work
 * since; BIDE_ENOWORK: no such id. */
int deferred_ack(struct deferred *d, uint64_t id, uint64_t lease);
/* Gives leased work back, durably: it is due after a wait, or dead.  r NULL: it
 * is due at once.  Unless it was `tried`, the attempt does not count.  Fails as
 * deferred_ack. */
int deferred_nack(struct deferred *d, uint64_t id, uint64_t lease,
                  const struct defer_rules *r, bool tried, const char *reason);
/* Makes the lease end lease_ns from now.  Fails as deferred_ack. */
int deferred_extend(struct deferred *d, uint64_t id, uint64_t lease,
                    uint64_t lease_ns, uint64_t *out_ends_ns);

/* ---- for operators ---- */

/* Reads one piece of work with its bytes.  BIDE_ENOWORK: no such id;
 * BIDE_EDAMAGED. */
int deferred_get(struct deferred *d, uint64_t id, struct deferred_item *out);
/* Calls `visit` for each piece of work of a policy (NULL: all), without bytes,
 * in order of policy, then id.  Stops when `visit` returns nonzero, and returns
 * that.  A damaged record has its policy, its id and length SIZE_MAX. */
int deferred_each(struct deferred *d, const char *policy,
                  int (*visit)(void *arg, const struct deferred_item *item),
                  void *arg);
/* The author of a change by hand, the real uid of its process, and a note; ""
 * or NULL: none.  Text that is too long is cut. */
struct deferred_by {
    const char *who, *note;
    uint32_t uid;
};
enum deferred_did { DEFERRED_DROPPED, DEFERRED_REQUEUED };
/* Deletes work, even on a full disk; or makes it due now, whether it is
 * waiting, leased (the lease ends) or dead.  Author and note are logged in the
 * same transaction.  Fails with BIDE_ENOWORK; BIDE_EDAMAGED: it can only be
 * dropped; BIDE_EFULL: no disk space for the log. */
int deferred_change(struct deferred *d, enum deferred_did did, uint64_t id,
                    const struct deferred_by *by);
/* Changes many, a few in each transaction.  Ids that are missing or damaged are
 * skipped.  *out_count is the number of changes, also on failure. */
int deferred_change_each(struct deferred *d, enum deferred_did did,
                         const uint64_t *ids, size_t count,
                         const struct deferred_by *by, size_t *out_count);

/* Work that may be missing, because a file was removed, cut or damaged. */
struct deferred_lost {
    uint64_t pieces, when_ns; /* at most so many (0: unknown); noticed then; 0
                                 and 0: none */
};
/* If pages of DIR/deferred.mdb are damaged, copies the readable records to a
 * new file and keeps the old one as deferred.mdb.damaged. */
int deferred_salvage(const char *dir);
/* Reads that.  With `repair`, first makes index, keys and counts anew, and then
 * forgets what was lost; the queue then belongs to this registry. */
int deferred_lost(struct deferred *d, bool repair, struct deferred_lost *out);

/* A change by hand.  The newest DEFERRED_LOGGED are kept. */
enum {
    DEFERRED_WHO_MAX = 64,
    DEFERRED_NOTE_MAX = 500,
    DEFERRED_LOGGED = 50000,
};
struct deferred_event {
    uint64_t when_ns, id; /* CLOCK_REALTIME */
    enum deferred_did did;
    uint32_t attempts, uid;
    char policy[BIDE_NAME_MAX + 1]; /* "": its record was damaged */
    char who[DEFERRED_WHO_MAX + 1], note[DEFERRED_NOTE_MAX + 1];
};
/* Calls `visit` for each change, the oldest first.  Stops when `visit` returns
 * nonzero, and returns that.  *out_damaged counts unreadable records. */
int deferred_events(struct deferred *d,
                    int (*visit)(void *arg, const struct deferred_event *event),
                    void *arg, uint64_t *out_damaged);

/* Counts of a policy.  `stored`, `done`, `dropped` and `died` count events
 * since the queue was created; the others are the current state.  stored = done
 * + dropped + waiting + leased + dead.  `died` counts how often work became
 * dead: too old, tried too often, damaged. */
struct deferred_counts {
    char policy[BIDE_NAME_MAX + 1];
    uint64_t stored, done, dropped, died;
    uint64_t waiting, leased, dead, bytes;
    uint64_t oldest_ns; /* when the oldest work was stored; 0: none */
};
/* Calls `visit` for each policy.  Stops when `visit` returns nonzero, and
 * returns that. */
int deferred_counts(struct deferred *d,
                    int (*visit)(void *arg, const struct deferred_counts *c),
                    void *arg);

struct deferred_held {
    char policy[BIDE_NAME_MAX + 1];
    uint64_t pieces;
};
enum { DEFERRED_NAMED = 16 };
/* The content of DIR/deferred.mdb. */
struct deferred_survey {
    struct deferred_held *held; /* malloc'ed, also after a failure */
    size_t held_count;
    uint64_t bytes; /* size of the file */
    uint64_t waiting, leased, dead;
    uint64_t damaged; /* records that are not of a piece */
    uint64_t damaged_pieces, damaged_id[DEFERRED_NAMED]; /* the first ones */
    bool journal_gone;    /* missing, or that of another deferred.mdb */
    bool journal_missing; /* there is none */
    uint64_t unlisted;    /* pieces that the index or the counts lack */
    struct deferred_lost lost;
    uint64_t registry;  /* the first bytes of its registry's id; 0: unknown */
    uint64_t oldest_ns; /* when the oldest work was stored; 0: none */
    uint64_t due_ns;    /* the earliest due time of waiting work; 0: none */
};
/* Reads and verifies every record, without LMDB, a lock or a change.
 * BIDE_EMISSING: no such file; BIDE_EDAMAGED: damaged pages (pages_why);
 * BIDE_EPERM, BIDE_ENOMEM ... */
int deferred_survey(const char *dir, struct deferred_survey *out);

/* ---- time ---- */

/* The times used by a queue, replaceable for tests and programs with a clock of
 * their own.  `boot` is any number that changes with each boot. */
struct deferred_now {
    uint64_t realtime_ns, boottime_ns, monotonic_ns, boot;
};
/* Sets a function that replaces the system's times in *out; NULL: none.  No
 * other thread may use `d` meanwhile. */
void deferred_set_clock(struct deferred *d,
                        void (*now)(void *arg, struct deferred_now *out),
                        void *arg);

#endif
