/* Telling all processes of a change, after its commit: write the gate, bump the
 * generation, wake; at last ring for event loops. */
#ifndef BIDE_ANNOUNCE_H
#define BIDE_ANNOUNCE_H

#include "live/live.h"
#include "store/policies/reader.h"

/* The policies that a commit touched: their names, in order of strcmp.  NULL:
 * any may have changed (a writer was killed before it could tell). */
struct touched {
    const char *const *names;
    size_t count;
};

/* Tells the cells of the touched policies, in all scopes; those of names that
 * nobody defined too when `default` is touched; and keeps that everything up
 * to commit `txn` has been told.  Returns how many sleeping threads were
 * woken. */
uint32_t announce(struct live *l, struct reader *r,
                  const struct touched *touched, uint64_t txn);

/* The last commit that was announced. */
uint64_t announced(struct live *l);

#endif
