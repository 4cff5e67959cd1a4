/* From a reading of the registry to compiled rules. */
#ifndef BIDE_LOAD_H
#define BIDE_LOAD_H

#include "policy/policy.h"
#include "store/reader.h"

struct loaded {
    struct policy *policy; /* the caller's: policy_free */
    uint64_t until_ns;     /* CLOCK_REALTIME at which it, or what it extends,
                              changes by itself; 0: never */
};

/* The rules of `name` that hold at `realtime_ns`.  BIDE_ENOPOLICY: never
 * defined; BIDE_ENOVERSION: deleted; BIDE_EDAMAGED, BIDE_ENOMEM. */
int load_policy(const struct snapshot *s, const char *name,
                uint64_t realtime_ns, struct loaded *out);

/* What calls must know without looking at the rules: GATE_ bits, and the time
 * limit of a first attempt (0: none). */
uint32_t load_gate(const struct policy *p, uint32_t *out_limit_ms);

#endif
