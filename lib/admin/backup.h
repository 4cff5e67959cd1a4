/* Backs up a registry, restores it, and gives a copy an identity of its own.
 * Functions return 0 or a BIDE_E code (base/failure.h). */
#ifndef BIDE_ADMIN_BACKUP_H
#define BIDE_ADMIN_BACKUP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct admin;

#define BACKUP_MAGIC "bidebkup" /* the first bytes of a backup */

/* What a backup has, or what was done with it. */
struct admin_backup {
    uint64_t made_ns; /* CLOCK_REALTIME */
    uint64_t pieces;  /* of deferred work, in the registry as it was */
    uint64_t changes; /* of policies, which the backup lacks */
    bool finished;    /* first finished a restore that was interrupted */
    bool has_history; /* written, or restored */
    bool has_deferred;
    unsigned kept; /* the old files are in DIR/replaced-N; 0: there were none */
    uint32_t woken; /* threads that waited between two attempts */
};

/* Checks the registry and writes a backup to `file`, which is empty.  Services
 * do not wait for it. */
int admin_backup(struct admin *a, FILE *file, struct admin_backup *out);

/* Makes the policies of the registry in `dir` those of the backup `file`, which
 * is called `name`.  History and deferred work go on if they are there: they
 * have all that the backup has, and nothing is done twice or lost.  If they are
 * missing, or with `force`, they are those of the backup too.  Without `force`
 * BIDE_EEXIST: another registry is there.  Old files are kept. */
int admin_restore(const char *dir, FILE *file, const char *name, bool force,
                  struct admin_backup *out);

/* Gives a copy (reader_original) a new id and live file.  BIDE_EEXIST: `dir` is
 * not a copy. */
int admin_adopt(const char *dir, struct admin_backup *out);

#endif
