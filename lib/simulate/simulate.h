/* Simulates calls with given outcomes under given rules, in virtual time, for
 * `bide simulate`.  Pure. */
#ifndef BIDE_SIMULATE_SIMULATE_H
#define BIDE_SIMULATE_SIMULATE_H

#include <bide.h>
#include "policy/policy.h"
#include "rule/machine.h"

/* Reads a script: lines of "TIME CALL OUTCOME+TOOK[;after=HINT]..." and "TIME
 * set KEY=VALUE ...".  Adds every fault to `faults`.  Fails with BIDE_EINPUT,
 * BIDE_ENOMEM.  Free with script_free. */
struct script;
int script_read(const char *file, const char *bytes, size_t length,
                struct script **out, struct faults *faults);
void script_free(struct script *s);

struct simulate_event {
    uint64_t t_ns;
    const char *call;
    const struct machine *m; /* of the call; its state is new */
};
/* Receives an event.  A nonzero result ends the simulation with that result. */
typedef int simulate_visit_fn(void *arg, const struct simulate_event *e);

/* Runs the calls of the script under the policy `t`, with `random` (0..1) for
 * every draw.  `find` finds the policies that `t` extends; it may be NULL.
 * Events are visited in order of time.  Fails with BIDE_EINPUT (a `set` line
 * that does not fit the policy), BIDE_ENOMEM. */
int simulate_script(const struct policy_text *t, policy_find_fn *find,
                    void *find_arg, const struct script *s, double random,
                    simulate_visit_fn *visit, void *arg, struct faults *faults);

#endif
