/* Finds out what is wrong with a registry and its files, and what to do.
 * Changes nothing. */
#ifndef BIDE_ADMIN_DOCTOR_H
#define BIDE_ADMIN_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bide.h>
#include "store/history/history.h"
#include "store/queue/queue.h"

struct failure;

enum doctor_level { DOCTOR_NOTE, DOCTOR_WRONG };

struct doctor_finding {
    enum doctor_level level;
    const char *area; /* "registry", "live", "history", "deferred", "space",
                         "rights" */
    char what[400], todo[400]; /* todo: "" where there is nothing to do */
    struct failure *failure;   /* not NULL: what failed, in place of `what` */
};

struct doctor_space {
    bool known;
    uint64_t free, size; /* bytes of the file system */
};

struct doctor_report {
    int rc; /* why the registry cannot be read, or 0 */
    char dir[400], live[400];
    /* registry.mdb */
    uint64_t bytes, commit;
    uint64_t policies, versions, changes; /* that could be read */
    /* the live file; all of it zero where there is none */
    bool has_live, on_tmpfs;
    uint64_t live_bytes, begun_ns;
    uint32_t cells, cells_max, sleeping;
    /* history.mdb */
    bool has_history;
    uint64_t keep_bytes;
    struct history_known known;
    struct history_survey history;
    /* deferred.mdb */
    bool has_deferred;
    struct deferred_survey deferred;
    struct doctor_space disk, memory; /* of the directory, of the live file */
    size_t count;
    struct doctor_finding *findings;
    bool out_of_memory; /* findings got lost */
};

/* keep_bytes: what recorders keep at most (--keep-size).  Always fills `out`;
 * what cannot be read is a finding.  BIDE_ENOMEM. */
int admin_doctor(const char *dir, uint64_t keep_bytes,
                 struct doctor_report *out);
void doctor_free(struct doctor_report *r);

#endif
