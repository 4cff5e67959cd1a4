/* The wait of a call between two attempts. */
#ifndef BIDE_CALL_WAIT_H
#define BIDE_CALL_WAIT_H

#include "call.h"

/* Begins the wait until machine.wake_ns.  Returns BIDE_WAIT. */
enum bide_next wait_begin(struct call *k, uint64_t now_ns);
/* Frees the slot of the sleeper and counts the time slept. */
void wait_stop(struct call *k, uint64_t now_ns);
/* Returns when a waiting call must be decided again, by time or by a look. */
uint64_t wait_until_ns(const struct call *k);
/* Decides a waiting call again.  Returns BIDE_GO, BIDE_WAIT or BIDE_DONE. */
enum bide_next wait_resume(struct call *k);
/* Sleeps until wait_resume returns BIDE_GO or BIDE_DONE, and returns that; with
 * `until_signal` BIDE_WAIT once a signal handler has run. */
enum bide_next wait_sleep(struct call *k, bool until_signal);
/* Reports whether a change of the policy or its breaker was announced since the
 * last call of this.  Comparing rules is not enough: the breaker may change
 * state while they cannot be read. */
bool wait_saw_change(struct call *k);

#endif
