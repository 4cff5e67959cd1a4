/* What was recorded, recording it, and early warning.  Part of admin.h.
 * Without a single recording there is one interval: from the beginning of the
 * live state till now. */
#ifndef BIDE_ADMIN_PAST_H
#define BIDE_ADMIN_PAST_H

#include <bide.h>
#include "rule/alarm.h"
#include "store/history.h"
#include "store/recording.h"

struct admin;

/* ---- looking back ---- */

struct admin_past {
    uint64_t recorded_ns; /* the last recording; 0: never */
    uint64_t minutes_from_ns, hours_from_ns; /* earlier ones were removed */
    uint64_t damaged;     /* records and pages that were passed over */
    bool pending_unknown; /* since then: the history's own state is damaged */
    uint64_t lost;        /* cells that could not be recorded once */
    uint64_t bytes;       /* of the file */
};
/* BIDE_EDAMAGED, BIDE_EPERM ...; without a recording: zeros. */
int admin_past(struct admin *a, struct admin_past *out);

/* As history_each; what has been counted since the last recording comes last,
 * as an interval till now, unless until_ns lies before that. */
int admin_each_interval(struct admin *a, const struct history_range *range,
                        history_visit_fn *visit, void *arg,
                        struct admin_past *out);
/* The name of an outcome in such figures. */
const char *admin_outcome(struct admin *a, uint32_t id);
/* The same figures as bide stats has, percentiles and all. */
void admin_figures(const struct figures *f, uint32_t version,
                   struct bide_stats *out);
/* What stands for a value at a share of them (0.5: the median). */
double admin_at_ms(const uint64_t counts[HISTOGRAM_BUCKETS], double share);

/* In order of time; then what is not recorded yet. */
int admin_each_event(struct admin *a, const struct history_range *range,
                     history_event_fn *visit, void *arg,
                     uint64_t *out_damaged);

/* ---- early warning ---- */

/* One policy against its warn_ and crit_ keys, all scopes together. */
struct admin_alarm {
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
int admin_each_alarm(struct admin *a, char *const *names, size_t count,
                     int (*visit)(void *arg, const struct admin_alarm *alarm),
                     void *arg);

/* ---- recording ---- */

struct admin_record {
    uint64_t every_ns; /* 60 s: each minute is recorded once */
    struct recording_keep keep;
};

struct admin_level_change {
    char name[BIDE_NAME_MAX + 1];
    enum alarm_level before, now;
    struct alarm_seen seen;
    char words[128];
};

struct admin_recorded {
    bool nothing; /* no live state: no service has begun yet */
    bool done;    /* somebody else has recorded this minute */
    struct recording_result result;
    size_t change_count;
    struct admin_level_change *changes;
};
/* Records once, judges every policy, and keeps changes of level. */
int admin_record(struct admin *a, const struct admin_record *how,
                 struct admin_recorded *out);
void admin_recorded_free(struct admin_recorded *r);

#endif
