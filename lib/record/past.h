/* What was recorded, recording it, and early warning.  Failures: BIDE_E codes;
 * base/failure.h then has the facts.  Not thread-safe.
 * Without a single recording there is one interval: from the beginning of the
 * live state till now. */
#ifndef BIDE_RECORD_PAST_H
#define BIDE_RECORD_PAST_H

#include <bide.h>
#include "live/live.h"
#include "rule/alarm.h"
#include "store/history/history.h"
#include "store/history/recording.h"
#include "store/policies/reader.h"

struct past {
    char *dir;
    struct reader *reader;
    struct live *live;       /* NULL until it is needed */
    struct history *history; /* NULL: nothing was recorded, or not looked yet */
    char **unnamed;          /* outcomes that the history has no names for */
    size_t unnamed_count;
};

/* Opens the registry in `dir` for reading.  past_close frees what is inside. */
int past_open(const char *dir, struct past *out);
void past_close(struct past *p);

/* The live state, attached on first use; NULL when that fails, and, unless
 * `create`, when there is none. */
struct live *past_live(struct past *p, bool create);

/* ---- looking back ---- */

struct past_known {
    uint64_t recorded_ns;                    /* the last recording; 0: never */
    uint64_t minutes_from_ns, hours_from_ns; /* earlier ones were removed */
    uint64_t damaged;     /* records and pages that were passed over */
    bool pending_unknown; /* since then: the history's own state is damaged */
    uint64_t lost;        /* cells that could not be recorded once */
    uint64_t bytes;       /* of the file */
};
/* BIDE_EDAMAGED, BIDE_EPERM ...; without a recording: zeros. */
int past_known(struct past *a, struct past_known *out);

/* As history_each; what has been counted since the last recording comes last,
 * as an interval till now, unless until_ns lies before that. */
int past_each_interval(struct past *a, const struct history_range *range,
                       history_visit_fn *visit, void *arg,
                       struct past_known *out);
/* The name of an outcome in such figures. */
const char *past_outcome(struct past *a, uint32_t id);
/* The same figures as bide stats has, percentiles and all. */
void past_figures(const struct figures *f, uint32_t version,
                  struct bide_stats *out);
/* What stands for a value at a share of them (0.5: the median). */
double past_at_ms(const uint64_t counts[HISTOGRAM_BUCKETS], double share);

/* In order of time; then what is not recorded yet. */
int past_each_event(struct past *a, const struct history_range *range,
                    history_event_fn *visit, void *arg, uint64_t *out_damaged);

/* ---- early warning ---- */

/* One policy against its warn_ and crit_ keys, all scopes together. */
struct past_alarm {
    const char *name;
    const struct policy *policy;
    struct alarm_seen seen;
    struct alarm_verdict verdict;
    uint64_t begin_ns, end_ns; /* what was looked at: the last warn_window, or
                                  longer where nobody records */
    struct history_level recorded; /* level, and since when */
    uint64_t damaged; /* pieces of history that could not be looked at */
};
/* Every policy that has such keys, by name; or those that are named, with or
 * without.  BIDE_ENOPOLICY. */
int past_each_alarm(struct past *a, char *const *names, size_t count,
                    int (*visit)(void *arg, const struct past_alarm *alarm),
                    void *arg);

/* ---- recording ---- */

struct recorder_options {
    uint64_t every_ns; /* 60 s: each minute is recorded once */
    struct recording_keep keep;
};

struct level_change {
    char name[BIDE_NAME_MAX + 1];
    enum alarm_level before, now;
    struct alarm_seen seen;
    char words[128];
};

struct recorded {
    bool nothing; /* no live state: no service has begun yet */
    bool done;    /* somebody else has recorded this minute */
    struct recording_result result;
    size_t change_count;
    struct level_change *changes;
};
/* Records once, judges every policy, and keeps changes of level. */
int past_record(struct past *a, const struct recorder_options *how,
                struct recorded *out);
void recorded_free(struct recorded *r);

/* Before versions change, where history is kept: what was counted until now is
 * recorded under the old ones.  What fails here is no reason not to change
 * anything. */
void past_record_until_now(struct past *a);

#endif
