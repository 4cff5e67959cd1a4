/* Changes to policies.  Each function makes all of its changes or none, in one
 * transaction, and then announces them.  They return 0, BIDE_EINPUT (with
 * faults) or another BIDE_E code; then `out` is untouched.  Results are in the
 * order of the policies given. */
#ifndef BIDE_ADMIN_CHANGE_H
#define BIDE_ADMIN_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include <bide.h>
#include "store/policies/record.h"

struct admin;
struct faults;
struct policy_list;
struct policy_text;

/* The author, the note and the conditions, for every kind of change. */
struct admin_change {
    const char *who, *note; /* note may be NULL */
    uint32_t uid;           /* the real one of the process */
    const char *command;    /* "bide set", shown to writers that wait for it */
    uint32_t if_version;    /* required version; 0: any */
    uint64_t if_txn;        /* required state: results.txn of a dry run */
    uint64_t for_ns;        /* revert the change after this time; 0: never */
    unsigned wait_ms;       /* longest wait for another writer */
    bool dry_run;           /* everything but the commit */
    bool fresh;             /* apply: refuse a policy that exists */
    uint32_t layer; /* rollback: only end the layer of this version; 0: no */
    bool undo; /* set: end a forced value of the one key, which has no value */
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
    uint32_t before, after; /* versions; 0: there was none */
    uint32_t as;            /* a rollback: the version restored */
    bool detached; /* an undo: got its own value, its parent is still forced */
    /* The base, if it changed; else with the layers in force.  NULL: none, or
     * unchanged. */
    struct policy_text *old, *now;
    struct policy_text *was, *is; /* the same, always with the layers */
    uint64_t until_ns;            /* a temporary change ends then, */
    uint32_t back_to;             /* and this version is in force again */
    struct record before_it;      /* keeps the strings of covers; */
    struct record restored;       /* so does this, of a rollback */
    struct record_part *covers;   /* layers over a base that was set */
    size_t cover_count;
};
struct admin_results {
    size_t count;
    struct admin_result *list;
    uint32_t woken; /* waiting calls that were woken */
    uint64_t txn;   /* the state of all policies that was changed */
};
void admin_results_free(struct admin_results *r);
/* Stores the policies of `texts`; files[i] is the file of the i-th.  `prune`
 * deletes the policies that are not among them. */
int admin_apply(struct admin *a, const struct admin_change *change,
                const struct policy_list *texts, const char *const *files,
                bool prune, struct admin_results *out, struct faults *faults);

/* Describes what an agent mirrors from elsewhere.  Names of `local` stay as
 * they are, and so do policies that `texts` does not name, unless an agent made
 * them: these are deleted.  `state` is stored in the same transaction; NULL:
 * unless. */
struct admin_mirror {
    const char *local; /* comma-separated names; NULL: none */
    const struct record_fleet *state;
};
int admin_mirror(struct admin *a, const struct admin_change *change,
                 const struct policy_list *texts,
                 const struct admin_mirror *mirror, struct admin_results *out,
                 struct faults *faults);

struct admin_setting {
    const char *key;
    const char *value; /* NULL: unset */
};
/* Reports whether a value of a key overrides the rules: pauses a policy, or
 * forces its breaker. */
bool admin_forces(const char *key, const char *value);
/* Changes the same keys of policies, or deletes them if `settings` is NULL;
 * change->if_version holds for each. */
int admin_change_each(struct admin *a, const struct admin_change *change,
                      const char *const *names, size_t name_count,
                      const struct admin_setting *settings, size_t count,
                      struct admin_results *out, struct faults *faults);
/* Gives a policy another name; its versions, history and children follow.
 * Unless `force`, refuses while processes use the old name. */
int admin_rename(struct admin *a, const struct admin_change *change, char *from,
                 const char *to, bool force, struct admin_results *out,
                 struct faults *faults);
/* Restores the base of a version; layers stay.  Version 0: undoes the newest
 * change that is in force.  BIDE_ENOVERSION: there is none. */
int admin_rollback(struct admin *a, const struct admin_change *change,
                   const char *name, uint32_t version,
                   struct admin_results *out, struct faults *faults);

#endif
