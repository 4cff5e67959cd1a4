/* What the `bide` command does to a registry and reads of it.  Private: linked
 * statically, not installed.  Failures: BIDE_E codes, and admin_why says it in
 * words.  Not thread-safe. */
#ifndef BIDE_ADMIN_H
#define BIDE_ADMIN_H

#include <bide.h>
#include "policy/group.h"
#include "policy/policy.h"
#include "record/past.h"
#include "rule/breaker.h"
#include "rule/histogram.h"
#include "simulate/preview.h"
#include "simulate/simulate.h"
#include "simulate/traffic_read.h"
#include "store/policies/record.h"
#include "store/queue/queue.h"
#include "doctor.h"
#include "replay.h"

struct admin;

/* The directory bide_open(NULL) takes, and where live files go by default
 * (/run/bide for root, $XDG_RUNTIME_DIR/bide, else /dev/shm/bide-UID). */
int admin_default_dir(char *buffer, size_t size);
int admin_default_live_dir(char *buffer, size_t size);

/* BIDE_EEXIST: there is one already (buffers are filled all the same). */
int admin_init(const char *dir, const char *live_dir);

int admin_open(const char *dir, struct admin **out);
void admin_close(struct admin *a); /* NULL: does nothing */
const char *admin_live_path(const struct admin *a);

/* This thread's last failure: what and why, "" if none; and what to do, ""
 * where that is not known. */
const char *admin_why(void);
const char *admin_what_to_do(void);

/* ---- reading ---- */

/* What holds now (temporary changes that ended are over).  BIDE_ENOPOLICY also
 * for one that was deleted.  The caller frees with record_free. */
int admin_policy(struct admin *a, const char *name, struct record *out);
int admin_version(struct admin *a, const char *name, uint32_t version,
                  struct record *out);
/* What was in force just before that version was made, which need not be the
 * one with the number before it: temporary changes end.  BIDE_ENOVERSION: it
 * is the first. */
int admin_before(struct admin *a, const struct record *r, struct record *out);
/* Whether a temporary change held to its end, with no later version in its
 * place, and which version that end went back to.  0 or a BIDE_E code. */
int admin_ended(struct admin *a, const struct record *r, bool *out_ended,
                uint32_t *out_back);
/* Visits return 0 to go on, else the walk ends with that.  By name, without
 * deleted ones; versions and changes newest first, deletions included. */
typedef int admin_visit_fn(void *arg, const struct record *r);
int admin_each_policy(struct admin *a, admin_visit_fn *visit, void *arg);
int admin_each_version(struct admin *a, const char *name, admin_visit_fn *visit,
                       void *arg);
int admin_each_change(struct admin *a, admin_visit_fn *visit, void *arg);

/* A policy_find_fn over the registry (arg: struct admin *; what it gives lives
 * until admin_close).  With this, policy_resolve and policy_compile work. */
policy_find_fn admin_find;

/* The text of a record.  BIDE_EDAMAGED. */
int admin_text(const struct record *r, struct policy_text **out);

/* The nearest existing name, for "did you mean", or "". */
const char *admin_near(struct admin *a, const char *name);

/* Its history and live state, for the functions of record/past.h; they live
 * until admin_close. */
struct past *admin_past(struct admin *a);
/* As past_each_alarm; a name that is missing is explained as by admin_policy.
 */
int admin_each_alarm(struct admin *a, char *const *names, size_t count,
                     int (*visit)(void *arg, const struct past_alarm *alarm),
                     void *arg);

/* ---- changing ---- */

/* Who, why and how; the same for all kinds of change. */
struct admin_change {
    const char *who, *note; /* note may be NULL */
    const char *command;    /* "bide set", shown to those who wait */
    uint32_t if_version;    /* 0: whatever it is */
    uint64_t for_ns;        /* 0: for good; else the change ends by itself */
    unsigned wait_ms;       /* for another writer to finish */
    bool dry_run;           /* everything but the commit */
};

enum admin_did {
    ADMIN_UNCHANGED,
    ADMIN_CREATED,
    ADMIN_CHANGED,
    ADMIN_DELETED,
};

struct admin_result {
    char name[BIDE_NAME_MAX + 1];
    enum admin_did did;
    uint32_t before, after;        /* versions; 0: there was none */
    uint32_t as;                   /* a rollback: this version again */
    struct policy_text *old, *now; /* NULL: there was or is none */
    uint64_t until_ns;             /* with --for: it ends then, */
    uint32_t back_to;              /* and this is in force again */
    /* A later change is one to all that is in force.  So what a temporary
     * version set may outlast its end: `now` as it is without that.  NULL:
     * nothing does. */
    struct policy_text *without;
    uint32_t temporary;          /* that version, */
    uint64_t temporary_until_ns; /* and its end */
};

struct admin_results {
    size_t count;
    struct admin_result *list;
    uint32_t woken; /* waiting calls that were told */
};
void admin_results_free(struct admin_results *r);

/* All of it or nothing, in one transaction; then every process is told.
 * Results are in the order given.  BIDE_EINPUT (faults), BIDE_ENOPOLICY,
 * BIDE_ENOVERSION, BIDE_EVERSION, BIDE_ELOCKED, BIDE_EFULL, ...  */
int admin_apply(struct admin *a, const struct admin_change *change,
                const struct policy_list *texts, const char *file, bool prune,
                struct admin_results *out, struct faults *faults);

struct admin_setting {
    const char *key;
    const char *value; /* NULL: unset */
};
int admin_set(struct admin *a, const struct admin_change *change,
              const char *name, const struct admin_setting *settings,
              size_t count, struct admin_results *out, struct faults *faults);
/* The same of several policies; change->if_version holds for each. */
int admin_set_each(struct admin *a, const struct admin_change *change,
                   const char *const *names, size_t name_count,
                   const struct admin_setting *settings, size_t count,
                   struct admin_results *out, struct faults *faults);
int admin_delete(struct admin *a, const struct admin_change *change,
                 const char *const *names, size_t count,
                 struct admin_results *out, struct faults *faults);
/* version 0: what was in force before the present one was made; temporary
 * changes that are over are passed by.  BIDE_ENOVERSION: there is none. */
int admin_rollback(struct admin *a, const struct admin_change *change,
                   const char *name, uint32_t version,
                   struct admin_results *out, struct faults *faults);

/* ---- live state ---- */

/* Whether there is one, and it can be read; till then nothing was counted. */
bool admin_has_live(struct admin *a);

struct admin_outcome {
    char name[64];
    uint64_t count;
};

struct admin_cell {
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];
    bool missing;      /* services ask for it, nobody defined it */
    bool only_scopes;  /* there to count them: no call was made with it */
    uint32_t asked_by; /* pid of one of them, 0: not known */
    char program[16];
    struct bide_stats stats;
    const struct admin_outcome *outcomes; /* most frequent first */
    size_t outcome_count;
    /* Attempts by their time, rule/histogram.h. */
    const uint64_t *succeeded, *failed;
    /* Of a cell without scope: how many its policy has, and how often one more
     * was asked for, which then shared the cell of ADMIN_OTHERS. */
    uint32_t scopes, scopes_refused;
};
#define ADMIN_OTHERS "@others"
/* Every cell with its totals; without a live file: none.  NULL: all names. */
int admin_each_cell(struct admin *a, const char *name,
                    int (*visit)(void *arg, const struct admin_cell *c),
                    void *arg);

/* Budget and breaker of one policy and scope, `p` being its rules. */
struct admin_guard {
    int mode;             /* enum breaker_mode: off, on, forced open, closed */
    bool damaged;         /* impossible numbers: calls go on without */
    int state;            /* enum breaker_state; forced: closed */
    uint64_t open_for_ns; /* while open: so much longer */
    uint64_t opened;      /* times, since the live state began */
    uint32_t transitions; /* the last ones, newest first */
    struct {
        int to;
        uint64_t realtime_ns;
    } transition[TRANSITIONS];
    bool has_budget;
    bool budget_damaged;
    double budget_level;     /* 0..1: filled (tokens), left (ratio) */
    uint64_t budget_refused; /* retries, since the live state began */
};
void admin_guard(struct admin *a, const struct policy *p, const char *name,
                 const char *scope, struct admin_guard *out);

/* Live state back to closed, to full.  BIDE_ENOPOLICY: nobody uses it yet.
 * `scope` "" is none.  `p`: its rules (a group's budget is the group's). */
int admin_reset_breaker(struct admin *a, const char *name, const char *scope);
int admin_reset_budget(struct admin *a, const struct policy *p,
                       const char *name, const char *scope);

struct admin_sleeper {
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];
    uint32_t pid, attempts, allowed; /* allowed UINT32_MAX: no limit */
    int64_t wakes_in_ns;
    char outcome[64], program[16];
};
int admin_each_sleeper(struct admin *a,
                       int (*visit)(void *arg, const struct admin_sleeper *s),
                       void *arg);

/* A service's last failed look at the registry: a BIDE_E code, or 0. */
int admin_trouble(struct admin *a, uint64_t *out_when_ns);

/* ---- postponed work ---- */

/* The queue of deferred.h, opened on first use; it lives until admin_close.
 * BIDE_EPERM, BIDE_EDAMAGED, BIDE_EFORMAT, BIDE_ENOMEM, BIDE_ESYS. */
int admin_deferred(struct admin *a, struct deferred **out);
/* For failures of the functions of deferred.h: keeps deferred_why. */
int admin_deferred_failed(struct admin *a, int rc);
/* Wakes who waits for work of that policy; after deferred_requeue. */
void admin_deferred_arrived(struct admin *a, const char *policy);

#endif
