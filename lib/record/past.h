/* Reads the history, records it, and warns early.  Functions return 0 or a
 * BIDE_E code; base/failure.h then has the facts.  Not thread-safe.  Before the
 * first recording there is one interval: from the start of the live state until
 * now.  Times are CLOCK_REALTIME as past_now_ns returns it. */
#ifndef BIDE_RECORD_PAST_H
#define BIDE_RECORD_PAST_H

#include <bide.h>
#include "live/live.h"
#include "rule/alarm.h"
#include "store/history/history.h"
#include "store/history/recording.h"
#include "store/policies/reader.h"

/* A registry opened for its history.  The caller owns the struct; the struct
 * owns all it points to, until past_close. */
struct past {
    char *dir;
    struct reader *reader;
    struct live *live; /* NULL: not needed yet */
    int live_rc; /* the last failure to open it; 0: none, or no such file */
    struct history *history; /* NULL: not opened yet, or nothing was recorded */
    char **unnamed;          /* names of outcomes that the history lacks */
    size_t unnamed_count;
    struct record_rename *renames; /* in the order of time */
    size_t rename_count;
};

/* Opens the registry in `dir` for reading.  The caller ends with past_close. */
int past_open(const char *dir, struct past *out);
void past_close(struct past *p);

/* Returns the live state, opened on first use and owned by `p`; NULL if that
 * fails, or if none exists and `create` is false. */
struct live *past_live(struct past *p, bool create);
/* As past_live, to change it: NULL, with BIDE_EPERM in p->live_rc, if it may
 * only be read. */
struct live *past_live_shared(struct past *p, bool create);

/* ---- reading the history ---- */

/* Returns the time now as the history has it: a clock that was set since the
 * first recording of this boot is not followed. */
uint64_t past_now_ns(struct past *p);

/* Fills *out; all zero without a recording.  Fails with BIDE_EDAMAGED,
 * BIDE_EPERM ... */
int past_known(struct past *p, struct history_known *out);

/* Compares the newest change that the history knows with the registry, whose
 * newest one replaces it in *changes; versions up to changes->floor may have
 * been used.  Returns 1 if the registry lacks it, or
 * one that calls followed: an older copy was put back.  Else 0 or a BIDE_E
 * code.
 */
int past_compare(struct past *p, struct history_changes *changes);

/* Visits intervals as history_each.  The counts since the last recording come
 * last, as an interval until now, unless range->until_ns is earlier: of the
 * names that `wanted` returns true for (NULL: all), as reading them is slow. */
typedef bool past_wanted_fn(void *arg, const char *name);
int past_each_interval(struct past *p, const struct history_range *range,
                       past_wanted_fn *wanted, history_visit_fn *visit,
                       void *arg, struct history_known *out);
/* Returns the name of an outcome in such figures, owned by `p`. */
const char *past_outcome(struct past *p, uint32_t id);
/* Copies the name of the most frequent outcome if it is more frequent than
 * *most, which it then sets. */
void past_most(struct past *p, const struct figures *f, char out[64],
               uint64_t *most);
/* Fills *out with the statistics that `bide stats` shows, from `f`. */
void past_figures(const struct figures *f, uint32_t version,
                  struct bide_stats *out);

/* Visits events in order of time; then those not recorded yet, in order of
 * cells. */
int past_each_event(struct past *p, const struct history_range *range,
                    history_event_fn *visit, void *arg, uint64_t *out_damaged);

/* ---- early warning ---- */

/* The verdict on one policy by its warn_ and crit_ keys, for all its scopes. */
struct past_alarm {
    const char *name;
    const struct policy *policy; /* NULL: not watched any more */
    struct alarm_seen seen;
    uint64_t rejected; /* of the calls in `seen`; no level depends on it */
    struct alarm_verdict verdict;
    uint64_t begin_ns, end_ns;     /* of `seen`: the last warn_window, or up to
                                      three, as intervals are not divided */
    struct history_level recorded; /* the level in force, and its start */
    uint64_t damaged;              /* records and pages that were skipped */
};
/* Visits each policy that has such keys, by name, and before them those with a
 * level that have none any more; with `count` names, those policies, even
 * without such keys.  Stops if `visit` does not return 0, and
 * returns that.  Fails with BIDE_ENOPOLICY. */
int past_each_alarm(struct past *p, char *const *names, size_t count,
                    int (*visit)(void *arg, const struct past_alarm *alarm),
                    void *arg);

/* ---- recording ---- */

/* Reports that a recorder was started and has stopped: recordings are late by
 * half of its interval and 10 s.  *out_age_ns is the time since the last one.
 */
bool past_has_stopped(struct past *p, const struct history_known *k,
                      uint64_t *out_age_ns);

struct recorder_options {
    uint64_t every_ns; /* length of an interval, recorded once; 0: now */
    struct recording_keep keep;
    uint64_t
        free_after_ns; /* cell_free_unused; 0: as it says, else for tests */
    bool once;         /* nobody will record the next interval */
    uint64_t since_ns; /* `untold_ns` of the recording before; 0: none */
};

/* A policy whose level has changed, or a breaker that opened or closed. */
struct alarm_change {
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];
    enum alarm_level before, now; /* of a breaker: not set; nor is `seen` */
    struct alarm_seen seen;
    uint32_t opened, closed; /* times that the breaker did; both 0: a level */
    bool open;               /* or half open */
    char words[ALARM_WORDS];
};

struct recorded {
    bool nothing; /* no live state exists: no service has started yet */
    bool done;    /* another recorder has recorded this interval */
    struct recording_result result;
    /* 0, or why levels or breakers could not be judged after the counts were
     * recorded: the next recording judges them. */
    int unjudged;
    uint64_t untold_ns; /* since then breakers are told, or could not be */
    size_t change_count;
    struct alarm_change *changes; /* freed by recorded_free; levels first */
};
/* Records once, judges each policy, and stores changes of level. */
int past_record(struct past *p, const struct recorder_options *how,
                struct recorded *out);
void recorded_free(struct recorded *r);

/* Records the counts until now under the present versions, if a history exists.
 * Call it before versions change.  Errors are ignored: they must not prevent
 * the change. */
void past_record_until_now(struct past *p);
/* Records that an operator woke waiting calls. */
int past_note_wake(struct past *p, const char *name, const char *scope,
                   uint32_t calls, const char *who, uint32_t uid);
/* Reads which policies were renamed, as far as that can be read. */
void renamed_read(struct past *p);
/* Returns the name now of what was counted under `name`, by its version, or by
 * its time if that is 0. */
const char *renamed_now(const struct past *p, const char *name,
                        uint32_t version, uint64_t when_ns);

/* Records after a restore, so that the older files are noted. */
void past_record_restored(struct past *p, bool has_history);

#endif
