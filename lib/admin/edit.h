/* One change in progress: between taking the writers' lock and telling. */
#ifndef BIDE_ADMIN_EDIT_H
#define BIDE_ADMIN_EDIT_H

#include "policy/policy.h"
#include "change.h"
#include "names.h"

struct record;
struct writer;

struct edit {
    struct admin *a;
    const struct admin_change *change;
    struct writer *writer;
    struct admin_results results;
    struct faults *faults;
    struct names touched; /* stored, and later what extends that */
    uint64_t now_ns;
    const struct policy_list *texts; /* that are applied; or NULL */
    const char *file;
    const struct admin_setting *settings; /* what is asked for; or NULL: all */
    size_t setting_count;
    const struct record *as; /* that is gone back to; or NULL */
    bool grouped;            /* something that was checked shares a budget */
    struct policy_text *parents[POLICY_CHAIN_MAX + 2]; /* of one compilation */
    size_t parent_count;
};

/* What there is before the change. */
struct before {
    uint32_t newest, version; /* stored last; in force */
    uint64_t until_ns;        /* of what is in force; 0: for good */
    uint32_t back_to;
    bool deleted;
    struct policy_text *text; /* NULL: none, or deleted */
};

int edit_begin(struct edit *e, struct admin *a,
               const struct admin_change *change, struct faults *faults);
/* Checks, commits and tells when rc is 0; else everything is undone. */
int edit_finish(struct edit *e, int rc, struct admin_results *out);

/* BIDE_ENOPOLICY: the name was never used.  BIDE_EVERSION: if_version does not
 * hold. */
int edit_before(struct edit *e, const char *name, struct before *out);
/* Stores `now` (NULL: deletes) where it differs from what was.  Takes b->text
 * and `now` over, also when it fails. */
int edit_replace(struct edit *e, const char *name, struct before *b,
                 struct policy_text *now);
int edit_in_force(struct edit *e, const char *name, struct record *out,
                  uint32_t *out_newest);
int edit_fail_store(const struct edit *e, int rc);
int edit_no_memory(void);

/* ---- temporary.c ---- */

/* Puts what a version has given way to by then in its place; when that fails,
 * nothing. */
int edit_give_way(struct edit *e, uint64_t at_ns, struct record *r);
/* Whether what is asked for, and holds now, holds as well when the temporary
 * changes that are in force have ended. */
int edit_remains(struct edit *e, const struct admin_result *r,
                 const struct before *b, bool *out);
/* Fills until_ns and back_to.  `same`: all that changes is the end. */
int edit_end(struct edit *e, struct admin_result *r, const struct before *b,
             bool same);
/* Fills what is told of a temporary change that outlasts its end. */
int edit_stay(struct edit *e, struct admin_result *r, const struct before *b);

/* ---- check.c: faults are added; other failures are returned ---- */

int edit_check_text(struct edit *e, const struct policy_text *t,
                    const char *file);
int edit_check_name(struct edit *e, const char *name);
/* All that extends what was touched is touched too, and must still be valid. */
int edit_check_descendants(struct edit *e);
/* Without faults: BIDE_EINPUT when it is not valid. */
int edit_compile(struct edit *e, const struct policy_text *t,
                 struct policy **out);

/* ---- group.c ---- */

/* Policies that share a budget must agree on its size.  After the above. */
int edit_check_groups(struct edit *e);

#endif
