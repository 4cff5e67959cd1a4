/* Writing history.mdb: one recording of what all cells have counted.  What is
 * handed in are totals since the live state began; what is stored are their
 * differences to the recording before, together with these totals, in one
 * transaction with sync: so nothing is counted twice, whoever dies, and
 * what nobody recorded in time is in the next, longer interval.
 *
 * One recorder at a time, by a lock of its own.  Services never open this file
 * unless they asked for a recorder (bide_record_every). */
#ifndef BIDE_STORE_RECORDING_H
#define BIDE_STORE_RECORDING_H

#include "history.h"

struct recording;

struct recording_source {
    uint64_t begun_ns; /* of the live state: CLOCK_REALTIME */
    uint8_t boot[16];
};

/* Takes the lock (5 s at most), opens or makes the file, begins.  Gives
 * RECORDING_DONE when somebody has recorded in this step of `every_ns`, since
 * midnight; then there is nothing to end.  BIDE_ELOCKED, BIDE_EPERM,
 * BIDE_EFULL, BIDE_EDAMAGED ...: recording_why.  Of a file that is damaged what
 * can be read goes on in a new one, and the old one is kept beside it; cells of
 * which it is not known what was recorded are not counted once.  A clock that
 * was set back gives intervals without length until it has caught up, an hour
 * at most. */
#define RECORDING_DONE 1
int recording_begin(const char *dir, const struct recording_source *from,
                    uint64_t now_ns, uint64_t every_ns, struct recording **out);
/* The same, whatever was recorded in this step: before versions change, so that
 * what was counted until then is the old one's.  It does so quickly or not at
 * all: waits for 200 ms, makes, checks and rescues no file. */
int recording_begin_now(const char *dir, const struct recording_source *from,
                        uint64_t now_ns, struct recording **out);
/* To change levels only: as above, but always, and no interval ends. */
int recording_begin_levels(const char *dir, uint64_t now_ns,
                           struct recording **out);

/* The number of an outcome's name.  BIDE_E. */
int recording_outcome(struct recording *r, const char *name, uint32_t *out);

/* A cell's totals.  *before is what `turned` was at the recording before. */
int recording_put(struct recording *r, const char *name, const char *scope,
                  uint32_t version, const struct figures *total,
                  uint64_t *before_turned);
int recording_event(struct recording *r, const char *name, const char *scope,
                    const struct history_event *event);

/* What level a policy is on; `changed`: it was another one, whose event is
 * kept. */
int recording_level(struct recording *r, const char *name,
                    const struct history_level *level, bool *changed,
                    struct history_level *before);

struct recording_keep {
    uint64_t minutes_ns, hours_ns;
    uint64_t bytes; /* the size bounds the time: minutes go first */
};
/* What is kept unless somebody asks for more or less. */
#define RECORDING_KEEP_MINUTES_NS (35 * UINT64_C(86400000000000))
#define RECORDING_KEEP_HOURS_NS (730 * UINT64_C(86400000000000))
#define RECORDING_KEEP_BYTES (UINT64_C(1) << 30)
/* Removes what is older, so many records at most. */
int recording_prune(struct recording *r, const struct recording_keep *keep,
                    uint32_t most);

/* All of it or nothing. */
int recording_commit(struct recording *r);
void recording_end(struct recording *r); /* NULL: does nothing */

/* What it came to, after the commit. */
struct recording_result {
    uint64_t begin_ns, end_ns;
    uint32_t cells;  /* that had something to record */
    uint32_t pruned; /* records */
    uint64_t lost;   /* cells whose base was damaged, ever */
    uint64_t bytes;  /* of the file in use */
    bool rescued;    /* pages were damaged: the rest went into a new file, */
    uint64_t unreadable; /* without so many pages and records */
};
void recording_result(const struct recording *r, struct recording_result *out);

const char *recording_why(void); /* as writer_why */

#endif
