/* Cells: finding them by policy and scope, and their gates. */
#ifndef BIDE_LIVE_CELL_H
#define BIDE_LIVE_CELL_H

#include <stdbool.h>
#include <stdint.h>

#include <bide.h>
#include "layout.h"

struct live;

/* So many scopes of a policy have cells of their own; further ones share the
 * cell of this scope, which no service can ask for. */
enum { SCOPES_MAX = 1024 };
#define SCOPE_OTHERS "@others"

/* The index of the cell of a policy and scope ("" is none), made if `create`.
 * BIDE_ENOPOLICY: there is none; BIDE_EFULL; BIDE_ENAME; BIDE_ENOMEM,
 * BIDE_ESYS.  Safe against other processes doing the same; threads too. */
int cell_find(struct live *l, const char *name, const char *scope, bool create,
              uint32_t *out);

/* The cell of a service's policy and scope, made on first use, as SCOPES_MAX
 * says.  Failures as above. */
int cell_take(struct live *l, const char *name, const char *scope,
              uint32_t *out);

/* Stays valid until live_close.  NULL when the index is none. */
struct cell *cell_at(struct live *l, uint32_t index);

/* How many indices are in use: 0 to n-1, some of which may be empty (their name
 * is ""). */
uint32_t cell_count(struct live *l);

/* Copies its names, made safe: ended by NUL, checked; false: an empty cell. */
bool cell_names(const struct cell *c, char name[BIDE_NAME_MAX + 1],
                char scope[BIDE_NAME_MAX + 1]);

/* Keeps that this process asks for the policy, for people to find it.  NULL:
 * does nothing. */
void cell_ask(struct cell *c);
/* Who asked last; false: nobody, or what stands there is garbage. */
bool cell_asked(const struct cell *c, uint32_t *pid, char program[16]);

/* Sets gate bits and the first attempt's limit as of commit `txn`; does nothing
 * when a later commit's are there already. */
void cell_set_gate(struct cell *c, uint64_t txn, uint32_t bits,
                   uint32_t limit_ms);

#endif
