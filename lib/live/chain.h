/* Chains of cells: those of the directory, which find a cell by its hash, and
 * the chain of free cells.  A chain has a head, drawn in layout.h, and is
 * linked by `next`.  Processes add cells at the head without a lock; only the
 * recorder, of which there is one at a time, removes others than the first.
 *
 * Each change of a chain changes the serial number in its head.  So a process
 * that adds a cell knows that nobody has added the same name meanwhile, and
 * that its search did not stray through a cell that was freed. */
#ifndef BIDE_LIVE_CHAIN_H
#define BIDE_LIVE_CHAIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct live;
struct cell;

struct cell_identity {
    const char *name, *scope;
    uint64_t hash;
};

/* Returns the head of the chain of a hash. */
_Atomic uint64_t *chain_head(struct live *l, uint64_t hash);

/* The result of a search. */
struct chain_found {
    uint64_t head;  /* of the chain, as it was searched */
    uint32_t index; /* of the cell */
    uint64_t gate;  /* of the cell, before its names were compared */
};
/* Finds a cell.  BIDE_ENOPOLICY: there is none, only out->head is set.
 * BIDE_EFULL: the chain is too long, or garbage. */
int chain_search(struct live *l, const struct cell_identity *id,
                 struct chain_found *out);

/* Adds a cell at the head, if the head still is `seen`. */
bool chain_add(struct live *l, _Atomic uint64_t *head, uint64_t seen,
               uint32_t index);

/* Removes a cell from a chain; does nothing if it is not there.  Only for the
 * recorder.  Returns false if it must be tried again later. */
bool chain_remove(struct live *l, _Atomic uint64_t *head, uint32_t index);

/* Takes a free cell, whose gate then is GATE_UNKNOWN and its incarnation; NULL
 * if there is none. */
struct cell *chain_take_free(struct live *l, uint32_t *out_index);

/* Makes a cell free: without a name, and in no chain of the directory. */
void chain_give_free(struct live *l, struct cell *c, uint32_t index);

/* In cell.c: reads the names of a cell, even if it has none or they are
 * garbage; reports whether a cell has these names; writes them. */
void cell_read_names(const struct cell *c, char name[8 * 8 + 1],
                     char scope[8 * 8 + 1]);
bool cell_has_identity(const struct cell *c, const struct cell_identity *id);
void cell_write_identity(struct cell *c, const char *name, const char *scope,
                         uint64_t hash);

#endif
