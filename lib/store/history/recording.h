/* Writes history.mdb: one recording of the counts of all cells.  The caller
 * passes totals since the live state began.  One durable transaction stores
 * their differences to the recording before, together with these totals.  So
 * nothing is counted twice even if a recorder is killed, and a missed recording
 * only makes the next interval longer.
 * One recorder at a time, by a lock.  Results: 0 or BIDE_E (place_why). */
#ifndef BIDE_STORE_RECORDING_H
#define BIDE_STORE_RECORDING_H

#include "store/file/place.h"
#include "history.h"

struct recording;
struct recording_source {
    uint64_t begun_ns;                 /* of the live state: CLOCK_REALTIME */
    uint8_t boot[16], registry[16];    /* zeros: not known */
    uint64_t boottime_ns, recorded_ns; /* now; newest recording, or 0 */
    bool older, put_back; /* the registry, the live file: not the newest one */
    bool once; /* no recorder that goes on: its interval is not noted */
};

/* Takes the lock (waits 5 s at most), opens or makes the file and begins an
 * interval.  Returns RECORDING_DONE if this step of `every_ns` (0: none), from
 * the epoch, was recorded before; then there is nothing to end.
 * If pages are damaged, the readable records are copied to a new file and the
 * old one is kept beside it.  Cells without a readable base are not counted in
 * this interval. */
#define RECORDING_DONE 1
int recording_begin(const char *dir, const struct recording_source *from,
                    uint64_t now_ns, uint64_t every_ns, struct recording **out);
/* As recording_begin, even if this step was recorded before.  Call it before
 * versions change, so that the counts until then belong to the old version.
 * Waits 200 ms at most; fails if a file must be made, checked or rescued. */
int recording_begin_now(const char *dir, const struct recording_source *from,
                        uint64_t now_ns, struct recording **out);
int recording_begin_levels(const char *dir, uint64_t now_ns,
                           struct recording **out); /* changes levels only */

/* Finds or adds the id of an outcome's name. */
int recording_outcome(struct recording *r, const char *name, uint32_t *out);
/* Records totals since `begun`, counted for `version`; *before_turned is
 * `turned` in the base.  `ended`: the version ended with these totals, of which
 * some may be recorded already; the totals of the next one follow. */
int recording_put(struct recording *r, const char *name, const char *scope,
                  uint64_t begun, uint32_t version, bool ended,
                  const struct figures *total, uint64_t *before_turned);
int recording_event(struct recording *r, const char *name, const char *scope,
                    const struct history_event *event);
int recording_anew(struct recording *r, uint64_t when_ns, uint64_t lost_ns);
struct history_changes *recording_changes(struct recording *r); /* to set */

/* Records the level of a policy; *before is the level before.  If they differ,
 * sets *changed and records an event. */
int recording_level(struct recording *r, const char *name,
                    const struct history_level *level, bool *changed,
                    struct history_level *before);

struct recording_keep {
    uint64_t minutes_ns, hours_ns;
    uint64_t bytes; /* if the file is larger, removes more: minutes first */
};
#define RECORDING_KEEP_MINUTES_NS (35 * UINT64_C(86400000000000))
#define RECORDING_KEEP_HOURS_NS (730 * UINT64_C(86400000000000))
#define RECORDING_KEEP_BYTES (UINT64_C(1) << 30)
/* Removes records older than `keep` says, `most` of them at most. */
int recording_prune(struct recording *r, const struct recording_keep *keep,
                    uint32_t most);

/* Returns since when nobody told operators about breakers: who commits this
 * recording tells of the time until its end. */
uint64_t recording_tell(struct recording *r);
/* Commits the recording durably, as one transaction. */
int recording_commit(struct recording *r);
/* Ends it; without a commit nothing is recorded.  NULL: does nothing. */
void recording_end(struct recording *r);

/* The result of a recording, after the commit. */
struct recording_result {
    uint64_t begin_ns, end_ns;
    uint32_t cells;      /* with counts in this interval */
    uint32_t pruned;     /* records removed */
    uint64_t lost;       /* cells that ever lost counts by a damaged base */
    uint64_t bytes;      /* used pages of the file */
    bool rescued;        /* damaged: the rest was copied to a new file */
    uint64_t unreadable; /* pages and records that were not copied */
    int64_t jump_ns;     /* how far the clock is ahead of end_ns */
};
void recording_result(const struct recording *r, struct recording_result *out);

#endif
