/* The time before which a server wants no attempt, for all calls of a policy
 * and scope: retry_after_holds = all.  Pure. */
#ifndef BIDE_RULE_HINT_H
#define BIDE_RULE_HINT_H

#include <stdint.h>

#include "limits.h"

/* Lets no attempt start before until_ns, unless that is earlier than what is
 * set, and at most max_ns ahead. */
void hint_hold(struct hint_words *w, uint64_t until_ns, uint64_t now_ns,
               uint64_t max_ns);

/* Returns that time; 0: attempts may start.  A time more than max_ns ahead, or
 * a day if that is none, is garbage and holds nothing. */
uint64_t hint_until(const struct hint_words *w, uint64_t now_ns,
                    uint64_t max_ns);

/* The same for a call that is going to wait: each is given its own time, so
 * that they come back one after another.  Each is each_ns after the last one;
 * if that is 0, all are within spread_ns; if that is 0 as well, within a tenth
 * of the time until then. */
uint64_t hint_turn(struct hint_words *w, uint64_t each_ns, uint64_t spread_ns,
                   uint64_t now_ns, uint64_t max_ns);

#endif
