/* Reading history.mdb: no LMDB, no lock, read permission only (pages.h). */
#ifndef BIDE_STORE_HISTORY_H
#define BIDE_STORE_HISTORY_H

#include <bide.h>
#include "figures.h"

struct history;

/* BIDE_EMISSING: nothing was recorded yet.  BIDE_EDAMAGED, BIDE_EPERM,
 * BIDE_EFORMAT, BIDE_ENOMEM, BIDE_ESYS (pages_why). */
int history_open(const char *dir, struct history **out);
void history_close(struct history *h); /* NULL: does nothing */

struct history_known {
    uint64_t last_ns; /* the last recording */
    bool state_lost;  /* damaged: what was counted since cannot be told */
    uint64_t minutes_from_ns, hours_from_ns; /* 0: all there ever were */
    uint64_t lost;                           /* cells whose base was damaged */
    uint64_t unreadable; /* what was damaged when a recorder rescued the rest */
    uint64_t names_damaged; /* pages and records that hold names */
    uint64_t bytes;         /* of the file */
    uint32_t cells;         /* names of policies and scopes */
};
/* As of now: the file may have been written, or replaced, since. */
int history_known(struct history *h, struct history_known *out);

struct history_interval {
    const char *name, *scope;
    uint32_t version;
    uint64_t begin_ns, end_ns;
    bool hour; /* else as it was recorded */
    const struct figures *figures;
};
/* Intervals that end after since_ns, at until_ns at the latest, in order; of
 * one name or (NULL) all.  Whole hours come as such, unless `minutes` is asked
 * for: then as they were recorded, as long as that is there.  Damaged records
 * and pages are passed over, and counted.  Visits return 0 to go on. */
struct history_range {
    const char *name;
    uint64_t since_ns, until_ns;
    bool minutes;
};
typedef int history_visit_fn(void *arg, const struct history_interval *i);
int history_each(struct history *h, const struct history_range *range,
                 history_visit_fn *visit, void *arg, uint64_t *out_damaged);

/* The name of an outcome; "other" for what is none.  And the id of a name; 0:
 * it has none yet. */
const char *history_outcome(const struct history *h, uint32_t id);
uint32_t history_outcome_id(const struct history *h, const char *name);

/* What had been counted of a cell at the last recording, if that was of the
 * live state that began then; else zeros.  Outcomes have the history's ids. */
int history_base(struct history *h, uint64_t live_begun_ns, const char *name,
                 const char *scope, struct figures *out);

enum history_kind { HISTORY_BREAKER = 1, HISTORY_LEVEL };
struct history_event {
    enum history_kind kind;
    uint64_t when_ns;
    uint8_t from, to; /* enum breaker_state, enum alarm_level */
    char words[128];  /* why */
};
typedef int history_event_fn(void *arg, const char *name, const char *scope,
                             const struct history_event *event);
int history_each_event(struct history *h, const struct history_range *range,
                       history_event_fn *visit, void *arg,
                       uint64_t *out_damaged);

struct history_level {
    uint8_t level; /* enum alarm_level */
    uint64_t since_ns;
    char words[128];
};
/* Of policies that ever were above the lowest level. */
int history_each_level(struct history *h,
                       int (*visit)(void *arg, const char *name,
                                    const struct history_level *level),
                       void *arg);

/* Every record of the file, looked at and checked. */
struct history_survey {
    uint64_t minutes, hours, events, damaged; /* damaged: pages too */
    uint64_t minute_first_ns, minute_last_ns; /* their ends; 0: none */
    uint64_t hour_first_ns, hour_last_ns;
};
int history_survey(struct history *h, struct history_survey *out);

#endif
