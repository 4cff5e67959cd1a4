/* Adds to the counters of this CPU's stripe; any thread. */
#ifndef BIDE_CALL_COUNT_H
#define BIDE_CALL_COUNT_H

#include "registry/registry.h"
#include "rule/machine.h"

/* Counts an attempt in the histogram of latencies; `again`: it succeeded and is
 * not the first of its call. */
void count_attempt(struct bide_policy *p, bool succeeded, uint64_t took_ns);
void count_again(struct bide_policy *p, uint64_t took_ns);
/* Counts a failed attempt by class and by name of its outcome. */
void count_failure(struct bide_policy *p, struct bide_outcome o);
void count_add(struct bide_policy *p, enum counter which, uint64_t by);
/* Counts the verdict, latency and attempts of a call that ended at `now_ns`, if
 * it did not succeed at its first attempt. */
void count_verdict(struct bide_policy *p, const struct machine *m,
                   uint64_t now_ns);

#endif
