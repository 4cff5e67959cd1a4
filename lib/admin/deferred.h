/* Deferred work, for operators. */
#ifndef BIDE_ADMIN_DEFERRED_H
#define BIDE_ADMIN_DEFERRED_H

struct admin;
struct deferred;
struct deferred_lost;

/* Opens the queue (store/queue/queue.h) on first use; it lives until
 * admin_close().  BIDE_EPERM, BIDE_EDAMAGED, BIDE_EFORMAT, BIDE_ENOMEM,
 * BIDE_ESYS. */
int admin_deferred(struct admin *a, struct deferred **out);
/* Makes the queue whole from what can be read; *out is what may be missing. */
int admin_deferred_repair(struct admin *a, struct deferred_lost *out);
/* Wakes the processes that wait for work of that policy.  Call it after
 * deferred_change(). */
void admin_deferred_arrived(struct admin *a, const char *policy);

#endif
