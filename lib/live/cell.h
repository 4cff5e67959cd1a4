/* Finds cells by policy and scope, and sets their gates. */
#ifndef BIDE_LIVE_CELL_H
#define BIDE_LIVE_CELL_H

#include <stdbool.h>
#include <stdint.h>

#include <bide.h>
#include "layout.h"
#include "live/words/who.h"

struct live;

/* The number of scopes of a policy that have their own cells. All further
 * scopes share the cell of scope SCOPE_OTHERS, a name that services cannot
 * use. */
enum { SCOPES_MAX = 1024 };
#define SCOPE_OTHERS "@others"

/* Finds the cell of a policy and scope ("": no scope) and stores its index;
 * with `create`, makes the cell if there is none.  Fails with BIDE_ENOPOLICY
 * (there is no cell), BIDE_EFULL, BIDE_ENAME, BIDE_ENOMEM, BIDE_ESYS.
 * Processes and threads may call it concurrently. */
int cell_find(struct live *l, const char *name, const char *scope, bool create,
              uint32_t *out);

/* Finds the cell for a service's policy and scope, or makes it; enforces
 * SCOPES_MAX.  *out_incarnation are the GATE_INCARNATION bits of its gate while
 * it has this name.  Fails as cell_find does; also with BIDE_EFULL if this
 * process has made an eighth of all cells. */
int cell_take(struct live *l, const char *name, const char *scope,
              uint32_t *out, uint32_t *out_incarnation);

/* Notes that a cell is used, so that it is not freed.  Returns false if it was
 * freed: its incarnation is another one. */
bool cell_use(struct cell *c, uint32_t incarnation);

/* Brings cells that nobody uses closer to another name, in two steps: a cell is
 * retired after `wait_ns` without a count or a look-up, and freed if it still
 * is retired after `wait_ns` more.  wait_ns 0: a day, or an hour if more than
 * 3/4 of the cells are in use.  Only cells with a scope and those of undefined
 * names are freed.  Only for the recorder, of which there is one at a time,
 * after it has recorded all cells and cleared `quiet_ns` of those that had
 * counted anything. */
void cell_free_unused(struct live *l, uint64_t wait_ns);

/* Reports whether the names of a cell lead to it. */
bool cell_is_found(struct live *l, uint32_t index);

/* Returns the cell with this index, valid until live_close; NULL if there is
 * none. */
struct cell *cell_at(struct live *l, uint32_t index);

/* Returns the number n of indices in use, 0 to n-1.  Some of these cells may be
 * empty (without a name). */
uint32_t cell_count(struct live *l);

/* Copies the names of a cell, checked and with NUL at their ends.  Returns
 * false if the cell is empty. */
bool cell_names(const struct cell *c, char name[BIDE_NAME_MAX + 1],
                char scope[BIDE_NAME_MAX + 1]);

/* Records this process as the last one that looked up the policy, so that
 * operators can find it.  NULL: does nothing. */
void cell_ask(struct cell *c);

/* Reads the process that looked up the policy last; false if there is none, or
 * the record is garbage. */
bool cell_asked(const struct cell *c, struct who *out);

/* Sets the gate bits and the time limit of first attempts as of commit `txn`.
 * `bits` include the incarnation.  Does nothing if the present ones are from a
 * later commit or of another incarnation. */
void cell_set_gate(struct cell *c, uint64_t txn, uint32_t bits,
                   uint32_t limit_ms);

/* Discards the gate `seen`, if it is still there: it is from a commit that does
 * not exist.  Calls read the rules until the gate is set again. */
void cell_discard_gate(struct cell *c, uint64_t seen);

/* Returns the limits of a cell, reserved and mapped; NULL if that fails. */
struct limits *cell_limits(struct live *l, uint32_t index);
/* Copies them; zeros if the cell has none. */
void cell_limits_read(struct live *l, uint32_t index, struct limits *out);

#endif
