/* The breaker and budget of a policy, as all commands show them. */
#ifndef BIDE_CLI_GUARD_H
#define BIDE_CLI_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bide.h>
#include "admin/guard.h"
#include "base/plain.h"
#include "cli/command/command.h"
#include "cli/out/json.h"
#include "count.h"

struct policy;
struct record;

/* Compile a policy; *out is NULL if it is not valid or does not exist.  Return
 * 0 or BIDE_ENOMEM. */
int guard_compile(struct admin *registry, const struct record *r,
                  struct policy **out);
int guard_policy(struct admin *registry, const char *name, struct policy **out);
/* Compiles the policy of the first operand, and checks --scope and that the
 * live state can be read.  Returns 0; or the exit status, after an error
 * message. */
int guard_find(struct command_line *line, struct policy **out);
bool guard_has_breaker(const struct policy *p); /* the breaker is not off */
bool guard_has_budget(const struct policy *p);
bool guard_has_any(const struct policy *p); /* or a limit, a rate ... */
/* Reports whether the policy has a breaker, or a budget for each scope. */
bool guard_by_scope(const struct policy *p);
/* Writes the state of the breaker: "closed", "OPEN 12s", "half open", "forced
 * open", "forced closed"; "-" if it is off. */
struct brief guard_state(const struct admin_guard *g);
/* Writes the level of the budget: "100%" only if full, "0%" only if empty; "-"
 * if there is no budget. */
struct brief guard_level(const struct admin_guard *g);

double guard_tokens(const struct policy *p, const struct admin_guard *g);
bool guard_is_closed(const struct admin_guard *g); /* allows all calls */
bool guard_is_usual(const struct admin_guard *g);  /* and has its budget */
const char *guard_mode(int mode);  /* a value of the key breaker: "on" */
const char *guard_word(int state); /* "half open" */
const char *guard_importance(int importance); /* "mandatory" */

/* Returns the name of a scope for output: "-" for no scope, "(others)" for the
 * one that further scopes share. */
const char *guard_scope(const char *scope);
/* Returns the scope that --scope names: "" is no scope; NULL: all scopes. */
const char *guard_scope_read(const char *scope);
/* Checks --scope.  Returns 0, or the exit status after an error message. */
int guard_scope_check(const struct command_line *line);

/* Returns a note on too many scopes, malloc'ed; NULL without memory. */
char *guard_scopes_note(const char *name, uint32_t scopes, uint32_t refused);

/* Reads the live state of a policy in each scope, or in the given one.  A
 * policy that was never used there has one count, with the initial state.
 * Release with counts_free in all cases. */
int guard_parts_read(struct admin *registry, const struct policy *p,
                     const char *scope, struct counts *out);
/* The same for --scope; returns 0, or the exit status after an error message:
 * also if the scope was never used. */
int guard_parts_find(struct command_line *line, const struct policy *p,
                     const char *scope, struct counts *out);

/* Merges `from` into `to` for output: the worse breaker, the lower budget.
 * Returns whether `from` has the worse breaker. */
bool guard_worse(struct admin_guard *to, const struct admin_guard *from);

/* Adds "breaker" and "budget" to `j`; `p` may be NULL. */
void guard_put(struct json *j, const struct policy *p,
               const struct admin_guard *g);
/* Adds "scopes": an array with the same for each part. */
void guard_put_parts(struct json *j, const struct policy *p,
                     const struct count *parts, size_t count);

#endif
