/* A policy's breaker and budget, as all commands show them. */
#ifndef BIDE_CLI_GUARD_H
#define BIDE_CLI_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bide.h>
#include "admin/guard.h"
#include "cli/command/command.h"
#include "cli/out/json.h"

struct policy;
struct record;

/* Compile a policy; *out is NULL when it is not valid or does not exist.  0 or
 * BIDE_ENOMEM. */
int guard_compile(struct admin *registry, const struct record *r,
                  struct policy **out);
int guard_policy(struct admin *registry, const char *name, struct policy **out);

/* Compiles the policy that the first operand names.  0, or the exit status. */
int guard_find(struct command_line *line, struct policy **out);

/* Says "pay: nobody uses scope SCOPE"; returns the exit status. */
int guard_no_scope(const struct policy *p, const char *scope);

bool guard_has_breaker(const struct policy *p); /* it is not off */
bool guard_has_budget(const struct policy *p);
bool guard_by_scope(const struct policy *p); /* not only a group's budget */

/* "closed", "OPEN 12s", "half open", "forced open", "forced closed"; "-" when
 * it is off.  Needs 32 bytes; so does the next.  Return the buffer. */
char *guard_state(const struct admin_guard *g, char *buffer, size_t size);
/* "98%": all only for all, none only for none; "-" without a budget. */
char *guard_level(const struct admin_guard *g, char *buffer, size_t size);

double guard_tokens(const struct policy *p, const struct admin_guard *g);

bool guard_is_closed(const struct admin_guard *g); /* lets all calls out */
bool guard_is_usual(const struct admin_guard *g);  /* and its budget is full */
const char *guard_mode(int mode);                  /* as the key has it: "on" */
const char *guard_word(int state);                 /* "half open" */

/* How a scope is shown: "-" is none, "(others)" the one that many share. */
const char *guard_scope(const char *scope);
/* The same from the command line, where "" is none and NULL all. */
const char *guard_scope_read(const char *scope);
/* Checks the name in --scope.  0, or the exit status after it has said why. */
int guard_scope_check(const struct command_line *line);

/* "note: pay has 1,024 scopes, ...", malloc'ed; NULL without memory. */
char *guard_scopes_note(const char *name, uint32_t scopes, uint32_t refused);

/* The live state of a policy by scope, sorted.  A policy that nobody uses has
 * one part, with the state it would begin with. */
struct guard_part {
    char scope[BIDE_NAME_MAX + 1];
    bool used;
    struct admin_guard guard;
};
struct guard_parts {
    size_t count;
    struct guard_part *list;
    uint32_t scopes, refused; /* as in struct admin_cell */
};
int guard_parts_read(struct admin *registry, const struct policy *p,
                     const char *scope, struct guard_parts *out);
void guard_parts_free(struct guard_parts *parts);

/* Merges two guards into the one to be shown: the worse breaker, the lower
 * budget. */
void guard_worse(struct admin_guard *to, const struct admin_guard *from);

/* Makes the first operand's breaker "open" or "closed", or ("") what it was
 * before it was forced.  0, or the exit status. */
int force_breaker(struct command_line *line, const char *value);

/* Adds "breaker" and "budget"; p may be NULL. */
void guard_put(struct json *j, const struct policy *p,
               const struct admin_guard *g);

#endif
