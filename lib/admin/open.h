/* A registry as the `bide` command opens it.  The room admin is linked into the
 * command only.  Its functions return 0 or a BIDE_E code; failure_last()
 * (base/failure.h) then has the facts.  Not thread-safe. */
#ifndef BIDE_ADMIN_OPEN_H
#define BIDE_ADMIN_OPEN_H

#include "rights.h"

struct admin;
struct deferred;
struct deferred_lost;
struct past;

/* How a registry is made.  NULL, 0: as an existing one has it, else as
 * rights_read() says. */
struct admin_init {
    const char *live_dir;          /* for a new one */
    const char *group, *operators; /* names or numbers; root's: none */
    int is_private, journal;       /* 1: yes, -1: no */
    /* Is called for each file of an existing registry that was missing (`f` is
     * NULL) or had other rights, with the errno if they could not be mended. */
    void (*told)(const char *path, const struct rights_fault *f, int error);
    bool existed; /* out, as what follows */
    size_t mended, failed;
    struct rights rights;
};
/* Makes a registry in `dir`, or mends the rights of the one that is there. */
int admin_init(const char *dir, struct admin_init *how);

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
