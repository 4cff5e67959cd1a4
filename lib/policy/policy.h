/* A policy has two forms: its text has only the keys that its author wrote; the
 * compiled policy has all keys, with inherited and default values, and is what
 * lib/rule uses.  Nothing here does input or output. */
#ifndef BIDE_POLICY_POLICY_H
#define BIDE_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include <bide.h>
#include "fault.h"
#include "key.h"
#include "rules.h"

enum {
    POLICY_CHAIN_MAX = 8,     /* the most policies above one, by extends */
    POLICY_LINE_MAX = 198,    /* inih 55 splits longer ones */
    POLICY_VALUE_MAX = 16384, /* bytes of a value, all its lines together */
};

/* Reports whether `name` is a valid name of a policy. */
bool policy_name_ok(const char *name);

/* ---- as text ---- */

struct policy_text;

/* Make a text without keys (NULL also if the name is not valid), and a copy.
 * NULL if out of memory.  Release with policy_text_free, which accepts NULL. */
struct policy_text *policy_text_new(const char *name);
struct policy_text *policy_text_copy(const struct policy_text *t);
void policy_text_free(struct policy_text *t);

const char *policy_text_name(const struct policy_text *t);

/* Returns the canonical value of a key, NULL if this text does not set it. */
const char *policy_text_get(const struct policy_text *t, const struct key *key);

/* Returns the line of the section in its file.  0: it is in no file. */
int policy_text_line(const struct policy_text *t);
/* Returns a fault about `key` and `other` (NULL: none), at the value of the
 * first of the two that the text sets, else at its section. */
struct fault policy_text_fault(const struct policy_text *t, const char *file,
                               enum fault_rule rule, const struct key *key,
                               const struct key *other);

/* Checks a value and sets the key.  Refuses a value that could be written to a
 * file but not read back.  BIDE_EINPUT: a fault was added, at `file` and
 * `line`.  Also fails with BIDE_ENOMEM. */
int policy_text_set(struct policy_text *t, const char *key, const char *value,
                    const char *file, int line, struct faults *faults);
/* Removes a key; one that is not set is no error.  BIDE_EINPUT: there is no
 * such key; a fault was added. */
int policy_text_unset(struct policy_text *t, const char *key, const char *file,
                      struct faults *faults);

/* Writes the canonical text: "[name]\n", then the keys in the table's order.
 * No line is longer than POLICY_LINE_MAX.  The caller frees it; NULL if out of
 * memory. */
char *policy_text_write(const struct policy_text *t);
/* Reports whether names, keys and values are equal. */
bool policy_text_same(const struct policy_text *a, const struct policy_text *b);

/* ---- reading ---- */

struct policy_list {
    size_t count;
    struct policy_text **list;
};

/* Reads the bytes of a whole file and reports every fault in it.  `file` is the
 * name in the faults.  Does not check that extended policies exist.  On failure
 * `out` is unchanged.  BIDE_EINPUT: faults were added.  Also fails with
 * BIDE_ENOMEM. */
int policy_read(const char *file, const char *bytes, size_t length,
                struct policy_list *out, struct faults *faults);
/* Appends a text, which the list then owns; frees it if out of memory.  `t`
 * NULL is BIDE_ENOMEM too. */
int policy_list_add(struct policy_list *list, struct policy_text *t);
void policy_list_free(struct policy_list *list);

/* ---- compiling ---- */

/* Finds the policy `name`, which another one extends.  Returns 0,
 * BIDE_ENOPOLICY, or another code, which ends the compilation.  The finder
 * keeps *out. */
typedef int policy_find_fn(void *arg, const char *name,
                           const struct policy_text **out);
/* Finds the last policy of that name in a struct policy_list. */
policy_find_fn policy_list_find;

/* The value of a key, and its origin. */
struct policy_origin {
    const char *value;            /* canonical */
    char from[BIDE_NAME_MAX + 1]; /* the policy that sets it; "": the default */
    char room[32];                /* for a default that is computed */
};

/* Follows `extends` and fills `out[policy_key_count]`.  Faults: no such policy,
 * a circle, a chain that is too long.  The values are valid as long as the
 * texts. */
int policy_resolve(const struct policy_text *t, policy_find_fn *find, void *arg,
                   const char *file, struct policy_origin *out,
                   struct faults *faults);

/* Resolves and compiles a policy, and checks its keys against each other (for
 * example wait_min above wait_max).  `faults` may be NULL.  Release *out with
 * policy_free. */
int policy_compile(const struct policy_text *t, policy_find_fn *find, void *arg,
                   const char *file, struct policy **out,
                   struct faults *faults);
void policy_free(struct policy *p);
/* Copies a compiled policy, for another name; NULL: out of memory. */
struct policy *policy_copy(const struct policy *p, const char *name);

/* Returns the canonical value of a key, with its length in bytes: no NUL
 * follows.  Valid as long as the policy. */
const char *policy_value(const struct policy *p, const struct key *key,
                         size_t *out_length);

/* Makes the policy for a name that is not defined: all defaults, one attempt.
 * Fails with BIDE_ENAME, BIDE_ENOMEM. */
int policy_builtin(const char *name, struct policy **out);

/* Writes a short form for tables: "4 tries, 100ms x2 ±full, ≤2s".  Returns
 * `buffer`, which needs 128 bytes. */
char *policy_summary(const struct policy *p, char *buffer, size_t size);

/* Suggests a valid name for `text`: lower case, "-" for each character that is
 * not allowed.  Writes "" if that is no name either.  `out` has BIDE_NAME_MAX +
 * 1 bytes. */
void policy_name_near(const char *text, char *out);

#endif
