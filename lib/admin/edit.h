/* A change in progress: from the writers' lock to the announcement.  Each file
 * calls only the files below it:
 *
 *   change.c                       the kinds of change
 *   commit.c                       stores policies; the end of a change
 *   layers.c  check.c              temporary changes; validity
 *   edit.c                         the beginning of a change; reading in it
 */
#ifndef BIDE_ADMIN_EDIT_H
#define BIDE_ADMIN_EDIT_H

#include "registry/name_list.h"
#include "policy/group.h"
#include "policy/policy.h"
#include "store/policies/record.h"
#include "change.h"

struct admin;
struct writer;

struct edit {
    struct admin *a;
    const struct admin_change *change;
    struct writer *writer;
    struct admin_results results;
    struct faults *faults;
    struct names touched; /* policies stored, later also those that extend one
                             of them */
    uint64_t now_ns;
    uint32_t floor;   /* new versions are above it */
    uint64_t at_ns;   /* the moment for which policies are read */
    uint64_t next_ns; /* the next end of a layer that was read; or UINT64_MAX */
    const struct policy_list *texts;      /* apply: the policies; else NULL */
    const char *const *files;             /* apply: the file of each */
    const struct admin_mirror *mirror;    /* of an agent; else NULL */
    const struct admin_setting *settings; /* set: the keys; else NULL */
    size_t setting_count;
    const char *const *names; /* set: the policies; else NULL */
    size_t name_count;
    bool forced, detached; /* an undo: it is forced; it gets its own value */
    enum { AS_STORED, NAMED_UNFORCED, ALL_UNFORCED } read; /* of parents */
    uint32_t as;          /* rollback: the version restored; else 0 */
    bool grouped;         /* a policy that was checked shares a budget, or
                             one that was stored may have left a group */
    struct groups groups; /* after check_groups: those in use, if `grouped` */
    struct policy_list parents; /* of one compilation */
};

/* A policy as it is before the change. */
struct edit_old {
    struct record r;          /* in force */
    struct policy_text *base; /* NULL: none, or deleted */
    struct policy_text *text; /* with the layers in force */
};

/* A policy as it is to be. */
struct edit_new {
    struct policy_text *base; /* NULL: deleted */
    /* The parts of layers.  Their strings belong to others. */
    struct record_part *parts;
    size_t part_count;
};

/* Takes the writers' lock.  The caller ends with commit_end() in any case. */
int edit_begin(struct edit *e, struct admin *a,
               const struct admin_change *change, struct faults *faults);

/* Keeps a failure of the store, with the text of place_why().  Returns rc. */
int edit_fail_store(const struct edit *e, int rc);

/* Leaves of `r` what is in force at e->at_ns, and lowers e->next_ns to its next
 * end. */
void edit_settle(struct edit *e, struct record *r);
/* Reads what is in force at e->at_ns, as edit_settle(). */
int edit_in_force(struct edit *e, const char *name, struct record *out);
/* Reads a policy before its change; edit_old_free() in any case.
 * BIDE_ENOPOLICY: the name was never used.  BIDE_EVERSION: change->if_version
 * does not hold. */
int edit_read_old(struct edit *e, const char *name, struct edit_old *out);
void edit_old_free(struct edit_old *old);

#endif
