/* Reads policies, versions and changes.  The functions return 0 or a BIDE_E
 * code.  A `struct record` that they fill is freed with record_free(). */
#ifndef BIDE_ADMIN_READ_H
#define BIDE_ADMIN_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

struct admin;
struct past_alarm;
struct record;

/* Reads what is in force now, without the layers that have ended.
 * BIDE_ENOPOLICY: there is none, or it was deleted. */
int admin_policy(struct admin *a, const char *name, struct record *out);
int admin_version(struct admin *a, const char *name, uint32_t version,
                  struct record *out);
/* Reads what was in force just before version `r` was made.  It need not be the
 * version with the number before it: layers end.  BIDE_ENOVERSION: `r` is the
 * first version. */
int admin_before(struct admin *a, const struct record *r, struct record *out);
/* Reports whether the layer that version `r` made lasted to its end, and the
 * version in force after it. */
int admin_ended(struct admin *a, const struct record *r, uint64_t end_ns,
                bool *out_ended, uint32_t *out_back);

/* A visit returns 0 to continue; another value ends the walk, which returns it.
 * Policies are visited by name, without deleted ones, and BIDE_EDAMAGED comes
 * after those that can be read; versions and changes are visited newest first,
 * with deletions. */
typedef int admin_visit_fn(void *arg, const struct record *r);
int admin_each_policy(struct admin *a, admin_visit_fn *visit, void *arg);
int admin_each_version(struct admin *a, const char *name, admin_visit_fn *visit,
                       void *arg); /* name NULL: all changes */

/* Reads what the fleet's agent applied last (zeros: nothing), and the number of
 * the registry's transaction. */
struct record_fleet;
int admin_fleet(struct admin *a, struct record_fleet *out, uint64_t *out_txn);

/* Finds a policy for policy_resolve() and policy_compile(); `arg` is the struct
 * admin.  The text lives until admin_close(). */
policy_find_fn admin_find;

/* Parse the rules of a record: with its layers, and the base alone.  The caller
 * frees the text.  BIDE_EDAMAGED; BIDE_ENOPOLICY: it is deleted. */
int admin_text(const struct record *r, struct policy_text **out);
int admin_base(const struct record *r, struct policy_text **out);

/* Compiles the rules of a record; `faults` may be NULL.  On failure *out is
 * NULL. */
int admin_compile(struct admin *a, const struct record *r,
                  struct faults *faults, struct policy **out);

/* Writes an author: "ann", or "ann (uid 0)" for a name that a process of root
 * gave, since then the kernel knows only root. */
struct author {
    char text[80];
};
struct author author_write(const char *who, uint32_t uid);

/* As past_each_alarm(), but checks first that the policies exist. */
int admin_each_alarm(struct admin *a, char *const *names, size_t count,
                     int (*visit)(void *arg, const struct past_alarm *alarm),
                     void *arg);

#endif
