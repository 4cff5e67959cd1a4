/* How many attempts may run at once, in all processes together.  A place is one
 * word: 0, or the word of its owner.  Taking and giving are one CAS each, so a
 * process that is killed leaves nothing half done: its places are taken over
 * once it is known to be dead. */
#ifndef BIDE_RULE_PLACE_H
#define BIDE_RULE_PLACE_H

#include <stdbool.h>

#include "policy/rules.h"
#include "limits.h"

/* Takes a free place, and returns its number from 1 on; 0: all are taken.  The
 * first of the `slots` are reserved for mandatory policies, which take the
 * others first.  `owner` is not 0. */
uint32_t place_take(const struct limit_rules *r, struct place_words *w,
                    _Atomic uint64_t *slots, uint64_t owner,
                    enum importance who);

/* Gives a place back.  Returns true if calls wait for one.  Does nothing if
 * another owner has taken it over. */
bool place_give(struct place_words *w, _Atomic uint64_t *slots, uint32_t place,
                uint64_t owner);

/* Returns the number of places that are taken, of all that may be. */
uint32_t place_used(const _Atomic uint64_t *slots);

#endif
