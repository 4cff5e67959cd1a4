/* Backs up a registry, restores it, and gives a copy an identity of its own.
 * Functions return 0 or a BIDE_E code (base/failure.h). */
#ifndef BIDE_ADMIN_BACKUP_H
#define BIDE_ADMIN_BACKUP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct admin;

enum { BACKUP_FORMAT = 1 };

struct admin_restored {
    uint64_t made_ns;   /* of the backup: CLOCK_REALTIME */
    uint64_t changes;   /* of policies, that the backup lacks */
    uint64_t pieces;    /* of deferred work, before */
    bool has_deferred;  /* deferred work is that of the backup, */
    bool has_history;   /* and so is the history */
    bool lacks_history; /* which the backup has not */
    unsigned kept; /* the old files are in DIR/replaced-N; 0: there were none */
    unsigned finished; /* as `kept`, of one that was interrupted before */
};

/* Tells what a backup has of deferred work and of the history, in that order.
 */
struct admin_backup {
    uint64_t pieces;       /* of deferred work */
    uint64_t damaged[2];   /* records, that are in it as they are */
    char left_out[2][512]; /* why it is not in it, or "" */
};
/* Checks the registry and writes a backup to `file`, which is empty.  Services
 * do not wait for it. */
int admin_backup(struct admin *a, FILE *file, struct admin_backup *out);

/* Makes the policies of `dir` those of the backup `file`, which is called
 * `name`.  History and deferred work that are there go on, because they have
 * all that the backup has: nothing is lost or done twice.  Those of the backup
 * are restored if they are missing, or with `force`.  Without `force`
 * BIDE_EEXIST: another registry is there.  All processes follow at once. */
int admin_restore(const char *dir, FILE *file, const char *name, bool force,
                  struct admin_restored *out);
/* Finishes a restore that was interrupted; else does nothing. */
int admin_finish_restore(const char *dir, unsigned *out_kept);
/* Gives a copy of another registry (reader_original) a new id and live file.
 * BIDE_EEXIST: it is none. */
int admin_adopt(const char *dir, struct admin_restored *out);

#endif
