/* Given outcomes under given rules, in virtual time: `bide simulate`.  Pure. */
#ifndef BIDE_RULE_SIMULATE_H
#define BIDE_RULE_SIMULATE_H

#include <bide.h>
#include "policy/policy.h"

/* A script: lines of "TIME CALL OUTCOME+TOOK[;after=HINT]..." and
 * "TIME set KEY=VALUE ...".  Reports every fault.  BIDE_EINPUT, BIDE_ENOMEM. */
struct script;
int script_read(const char *file, const char *bytes, size_t length,
                struct script **out, struct faults *faults);
void script_free(struct script *s);

#define SIMULATE_SAYS(X)       \
    X(SAYS_GO, "go")           \
    X(SAYS_WAIT, "wait")       \
    X(SAYS_REFUSED, "refused") \
    X(SAYS_DONE, "done")

enum simulate_says {
#define X(name, text) name,
    SIMULATE_SAYS(X)
#undef X
};
const char *simulate_says_name(enum simulate_says says);

struct simulate_event {
    uint64_t t_ns;
    const char *call;
    uint32_t attempt; /* made so far; for go: the one that starts included */
    enum simulate_says says;
    uint64_t until_ns;         /* wait; refused: DURATION_NONE if not known */
    enum bide_verdict verdict; /* done */
    enum bide_reason reason;   /* refused, done */
    enum bide_end end;         /* done, exhausted */
};
/* Nonzero ends the simulation with that result. */
typedef int simulate_visit_fn(void *arg, const struct simulate_event *e);

/* Runs the calls of the script under `t` (what it extends by `find`, which may
 * be NULL), with the draw `random` (0..1) throughout.  Events come in order of
 * time.  BIDE_EINPUT (a `set` line that does not fit), BIDE_ENOMEM. */
int simulate_script(const struct policy_text *t, policy_find_fn *find,
                    void *find_arg, const struct script *s, double random,
                    simulate_visit_fn *visit, void *arg, struct faults *faults);

#endif
