/* A registry as the `bide` command opens it.  The room admin is linked into the
 * command only.  Its functions return 0 or a BIDE_E code; failure_last()
 * (base/failure.h) then has the facts.  Not thread-safe. */
#ifndef BIDE_ADMIN_OPEN_H
#define BIDE_ADMIN_OPEN_H

struct admin;
struct deferred;
struct deferred_lost;
struct past;

/* Makes a registry in `dir`, whose live file goes to `live_dir`.  BIDE_EEXIST:
 * there is one already. */
int admin_init(const char *dir, const char *live_dir);

/* Opens the registry in `dir`, NULL: in the default directory. */
int admin_open(const char *dir, struct admin **out);
void admin_close(struct admin *a); /* NULL: does nothing */
/* Returns the path of the live file; it lives until admin_close(). */
const char *admin_live_path(const struct admin *a);

/* Returns the history and live state, for the functions of record/past.h; they
 * live until admin_close(). */
struct past *admin_past(struct admin *a);

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
