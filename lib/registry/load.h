/* Reads and compiles the rules of a policy.  Thread-safe. */
#ifndef BIDE_LOAD_H
#define BIDE_LOAD_H

#include "live/live.h"
#include "policy/policy.h"
#include "store/policies/reader.h"

struct loaded {
    struct policy *policy; /* the caller frees it with policy_free */
    bool registered;       /* load_rules: it is the policy, not `default` */
    int default_rc;        /* load_rules: of loading `default` */
    uint64_t until_ns;     /* CLOCK_REALTIME of the next end of a layer of it or
                              of a parent; 0: never */
    /* For calls that do not read the rules: GATE_ bits, and the time limit of a
     * first attempt in ms (0: none). */
    uint32_t gate, limit_ms;
};

/* Loads the rules of `name` that are in force at `realtime_ns`. BIDE_ENOPOLICY:
 * never defined; BIDE_ENOVERSION: deleted; BIDE_EDAMAGED, BIDE_ENOMEM. */
int load_policy(const struct snapshot *s, const char *name,
                uint64_t realtime_ns, struct loaded *out);

/* Loads the rules that are in force now.  If `name` is not defined, fails as
 * load_policy, and loads those of the registry's `default`; the gate is that of
 * an undefined name then.  It includes GATE_UNKNOWN if `default` needs a gate
 * or a time limit, or cannot be loaded.  Frees the policy that is in *out. */
int load_rules(const struct snapshot *s, const char *name, struct loaded *out);

/* Reports that a name is not defined: never, or not any more. */
static inline bool
load_is_missing(int rc)
{
    return rc == BIDE_ENOPOLICY || rc == BIDE_ENOVERSION;
}

/* Budget and breaker of a cell, outside of a call. */
struct load_guard {
    struct guard guard;
    struct live *live;
    uint32_t index;
    struct cell *cell;
};
/* Fills in *out, which must not move.  With `copy`, which must stay as long,
 * the rings are read into it: takes no space, and changes no window.
 * BIDE_ENOMEM.
 */
int load_guard(struct live *l, uint32_t index, struct guard_rings *copy,
               struct load_guard *out);

/* Writes the version and the gate of commit `txn` to a cell, with the other
 * words that the success path reads.  `p` are the rules; NULL: the name is not
 * defined.  `r` is the registry. */
void load_publish(struct reader *r, struct live *l, uint32_t index,
                  uint64_t txn, uint32_t gate, uint32_t limit_ms,
                  const struct policy *p);

/* Discards the gate of a cell if it is from a commit after `txn` that the
 * registry does not have: an older registry was put back, or it is garbage. */
void load_drop_lost_gate(struct reader *r, struct cell *c, uint64_t txn);

/* Applies the rules `p` (NULL: none) to the breaker of a cell.  Takes no space
 * for a breaker that was never used. */
void load_follow_breaker(struct live *l, uint32_t index,
                         const struct policy *p);

/* Writes the words that the success path reads about budget and breaker. */
void load_publish_guard(struct cell *c, const struct policy *p);

/* Returns the gate of `p`, and its time limit as in struct loaded. */
uint32_t load_gate(const struct policy *p, uint32_t *out_limit_ms);

#endif
