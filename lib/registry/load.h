/* From a reading of the registry to compiled rules. */
#ifndef BIDE_LOAD_H
#define BIDE_LOAD_H

#include "live/live.h"
#include "policy/policy.h"
#include "store/policies/reader.h"

struct loaded {
    struct policy *policy;   /* the caller's: policy_free */
    uint64_t until_ns;       /* CLOCK_REALTIME at which it, or what it extends,
                                changes by itself; 0: never */
    uint32_t gate, limit_ms; /* what calls must know without looking at the
                                rules: GATE_ bits, and the time limit of a
                                first attempt (0: none) */
};

/* The rules of `name` that hold at `realtime_ns`.  BIDE_ENOPOLICY: never
 * defined; BIDE_ENOVERSION: deleted; BIDE_EDAMAGED, BIDE_ENOMEM. */
int load_policy(const struct snapshot *s, const char *name,
                uint64_t realtime_ns, struct loaded *out);

/* The gate of a name that nobody defined: calls must look at the rules where
 * the registry's `default` has something to say before a first attempt. */
uint32_t load_missing_gate(const struct snapshot *s, uint64_t realtime_ns);

/* Writes a gate as of commit `txn`, and beside it what else the success path
 * must know.  `p` is what it was made from, NULL: nobody defined it. */
void load_publish(struct cell *c, uint64_t txn, uint32_t gate,
                  uint32_t limit_ms, const struct policy *p);

/* What the success path must know of a breaker, and that it must look anew. */
void load_publish_guard(struct cell *c, const struct policy *p);

/* The gate of rules that are not the registry's. */
uint32_t load_gate(const struct policy *p, uint32_t *out_limit_ms);

#endif
