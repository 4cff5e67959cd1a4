/* A change in progress: from the writers' lock to the announcement.  Each file
 * calls only the files below it:
 *
 *   change.c                       the kinds of change
 *   commit.c                       stores policies; the end of a change
 *   temporary.c  check.c           ends of temporary changes; validity
 *   edit.c                         the beginning of a change; reading in it
 */
#ifndef BIDE_ADMIN_EDIT_H
#define BIDE_ADMIN_EDIT_H

#include "policy/group.h"
#include "policy/policy.h"
#include "change.h"
#include "names.h"

struct admin;
struct record;
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
    const struct policy_list *texts;      /* apply: the policies; else NULL */
    const char *const *files;             /* apply: the file of each */
    const struct admin_setting *settings; /* set: the keys; else NULL */
    size_t setting_count;
    const struct record *as; /* rollback: the version restored; else NULL */
    bool grouped;            /* a policy that was checked shares a budget, or
                                one that was stored may have left a group */
    struct groups groups; /* after check_groups: those in use, if `grouped` */
    struct policy_text *parents[POLICY_CHAIN_MAX + 2]; /* of one compilation */
    size_t parent_count;
};

/* A policy as it is before the change. */
struct edit_old {
    uint32_t newest, version; /* stored last; in force */
    uint64_t until_ns;        /* end of the version in force; 0: none */
    uint32_t back_to;
    bool deleted;
    struct policy_text *text; /* NULL: none, or deleted */
};

/* Takes the writers' lock.  After success the caller ends with edit_end(). */
int edit_begin(struct edit *e, struct admin *a,
               const struct admin_change *change, struct faults *faults);
/* Releases the lock and frees everything but the results. */
void edit_end(struct edit *e);

/* Keeps a failure of the store, with the text of writer_why().  Returns rc. */
int edit_fail_store(const struct edit *e, int rc);

/* Appends a result.  Takes over its texts, also when it fails. */
int edit_add_result(struct edit *e, const struct admin_result *result);
/* Frees the texts of a result that was not appended. */
void edit_free_texts(const struct admin_result *r);

/* Replaces a temporary version that has ended at `at_ns` by the one in force
 * after it, repeatedly.  On failure `r` is empty. */
int edit_give_way(struct edit *e, uint64_t at_ns, struct record *r);
/* Reads the version in force; `out_newest` is the version stored last. */
int edit_in_force(struct edit *e, const char *name, struct record *out,
                  uint32_t *out_newest);
/* Reads a policy before its change.  BIDE_ENOPOLICY: the name was never used.
 * BIDE_EVERSION: change->if_version does not hold. */
int edit_read_old(struct edit *e, const char *name, struct edit_old *out);

#endif
