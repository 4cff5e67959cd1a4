/* Reads history.mdb: no LMDB, no lock, read permission only (pages.h).
 * Functions that return int return 0 or a BIDE_E code (pages_why). */
#ifndef BIDE_STORE_HISTORY_H
#define BIDE_STORE_HISTORY_H

#include "figures.h"
#include "history_known.h"
#include "rule/alarm.h"

struct history;

/* Opens the history.  BIDE_EMISSING: nothing was recorded yet. */
int history_open(const char *dir, struct history **out);
void history_close(struct history *h); /* NULL: does nothing */
/* Fails with BIDE_EFORMAT if it belongs to another registry. */
int history_belongs(struct history *h, const uint8_t registry[16]);

int history_known(struct history *h, struct history_known *out);
/* Says what history_known.anew_lost_ns means, for operators. */
void history_anew_words(uint64_t lost_ns, char out[ALARM_WORDS]);

struct history_interval {
    const char *name, *scope;
    uint32_t version;
    uint64_t begin_ns, end_ns;
    bool hour; /* one hour's part; otherwise one recording */
    const struct figures *figures;
};
/* Visits, in order, the intervals that end after since_ns and not after
 * until_ns, of one policy or (name NULL) all.  Whole hours are visited as
 * hours; with `minutes` as they were recorded, if these records are still kept.
 * Skips damage and adds it to *out_damaged.  Visits return 0 to continue. */
struct history_range {
    const char *name;
    uint64_t since_ns, until_ns;
    bool minutes;
};
typedef int history_visit_fn(void *arg, const struct history_interval *i);
int history_each(struct history *h, const struct history_range *range,
                 history_visit_fn *visit, void *arg, uint64_t *out_damaged);

/* Return an outcome's name ("other": none) and the id of a name (0: none). */
const char *history_outcome(const struct history *h, uint32_t id);
uint32_t history_outcome_id(const struct history *h, const char *name);

/* Reads the totals of a cell at the last recording, if that recorded the live
 * state that began at live_begun_ns, and the cell had `begun`; otherwise zeros.
 * Outcomes have the history's ids. */
int history_base(struct history *h, uint64_t live_begun_ns, const char *name,
                 const char *scope, uint64_t begun, struct figures *out);

/* The last two are of the host: they have no name. */
enum history_kind {
    HISTORY_BREAKER = 1,
    HISTORY_LEVEL,
    HISTORY_CLOCK,
    HISTORY_ANEW,
    HISTORY_WAKE,
};
struct history_event {
    enum history_kind kind;
    uint64_t when_ns;
    uint8_t from, to;        /* enum breaker_state, enum alarm_level */
    char words[ALARM_WORDS]; /* the reason */
};
typedef int history_event_fn(void *arg, const char *name, const char *scope,
                             const struct history_event *event);
int history_each_event(struct history *h, const struct history_range *range,
                       history_event_fn *visit, void *arg,
                       uint64_t *out_damaged);

struct history_level {
    uint8_t level; /* enum alarm_level */
    uint64_t since_ns;
    char words[ALARM_WORDS];
};
/* Visits the levels of all policies that ever were above the lowest level. */
typedef int history_level_fn(void *arg, const char *name,
                             const struct history_level *level);
int history_each_level(struct history *h, history_level_fn *visit, void *arg);

/* Checks all pages and the seals of all records, and counts the records. */
struct history_survey {
    uint64_t minutes, hours, events, damaged; /* times: ends of blocks, or 0 */
    uint64_t minute_first_ns, minute_last_ns, hour_first_ns, hour_last_ns;
};
struct pages;
int history_survey(struct pages *f, struct history_survey *out);

#endif
