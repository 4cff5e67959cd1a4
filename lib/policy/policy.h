/* A policy: as text (what somebody wrote: own keys only) and compiled (what the
 * rules work with: every key, inheritance resolved).  Pure: memory only. */
#ifndef BIDE_POLICY_POLICY_H
#define BIDE_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bide.h>
#include "fault.h"
#include "key.h"
#include "rules.h"

enum {
    POLICY_CHAIN_MAX = 8,     /* `extends`, the policy itself not counted */
    POLICY_LINE_MAX = 198,    /* inih 55 splits longer ones */
    POLICY_VALUE_MAX = 16384, /* a value with all its continuation lines */
};

bool policy_name_ok(const char *name);

/* ---- as text ---- */

struct policy_text;

struct policy_text *policy_text_new(const char *name);
struct policy_text *policy_text_copy(const struct policy_text *t);
void policy_text_free(struct policy_text *t);
const char *policy_text_name(const struct policy_text *t);
int policy_text_rename(struct policy_text *t, const char *name);

/* The canonical value of an own key, NULL when it is not set here. */
const char *policy_text_get(const struct policy_text *t, const struct key *key);

/* Where it stands: the line of the key (NULL: of the section); 0: nowhere. */
int policy_text_line(const struct policy_text *t, const struct key *key);

/* Checks and sets; a fault names `file` and `line`.  BIDE_EINPUT with a fault
 * added, BIDE_ENOMEM.  Refuses text that would not survive
 * the way through a file. */
int policy_text_set(struct policy_text *t, const char *key, const char *value,
                    const char *file, int line, struct faults *faults);
/* Also a key that is not set.  BIDE_EINPUT for one that does not exist. */
int policy_text_unset(struct policy_text *t, const char *key, const char *file,
                      struct faults *faults);

/* Canonical: "[name]\n" and a line a key, in the table's order, ended by a
 * newline; no line over POLICY_LINE_MAX.  malloc'ed, NULL without memory. */
char *policy_text_write(const struct policy_text *t);
bool policy_text_same(const struct policy_text *a, const struct policy_text *b);

/* ---- reading ---- */

struct policy_list {
    size_t count;
    struct policy_text **list;
};

/* Reads a whole file's bytes, and reports every fault in it.  0, BIDE_EINPUT
 * (faults were added; `out` is untouched) or BIDE_ENOMEM.  `file` is only for
 * the faults.  Does not look at what the policies extend. */
int policy_read(const char *file, const char *bytes, size_t length,
                struct policy_list *out, struct faults *faults);
void policy_list_free(struct policy_list *list);

/* ---- compiling ---- */

/* Finds what a policy extends.  0, BIDE_ENOPOLICY, or another BIDE_E code,
 * which ends the compilation.  *out stays the finder's. */
typedef int policy_find_fn(void *arg, const char *name,
                           const struct policy_text **out);

/* Where each key's value comes from. */
struct policy_origin {
    const char *value;            /* canonical */
    char from[BIDE_NAME_MAX + 1]; /* a policy; "" is the default */
};

/* Follows `extends` and fills `out[policy_key_count]`.  Faults: no such policy,
 * a circle, a chain that is too long.  Values live as long as the texts. */
int policy_resolve(const struct policy_text *t, policy_find_fn *find, void *arg,
                   const char *file, struct policy_origin *out,
                   struct faults *faults);

/* Resolves, checks keys against each other (wait_min above wait_max, a chain
 * without steps, ...), and compiles.  `faults` may be NULL. */
int policy_compile(const struct policy_text *t, policy_find_fn *find, void *arg,
                   const char *file, struct policy **out,
                   struct faults *faults);
void policy_free(struct policy *p);

/* Every default, for names that nobody defined: with one attempt. */
int policy_builtin(const char *name, struct policy **out);

/* "4 tries, 100ms x2 ±full, ≤2s", for tables.  Needs 128 bytes. */
char *policy_summary(const struct policy *p, char *buffer, size_t size);

/* What could have been meant by `text` as a name: small letters, "-" for what
 * no name can hold; "" when that is none either.  Needs BIDE_NAME_MAX + 1. */
void policy_name_near(const char *text, char *out);

#endif
