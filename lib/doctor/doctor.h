/* Finds faults in a registry and its files.  Changes nothing. */
#ifndef BIDE_DOCTOR_H
#define BIDE_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bide.h>
#include "store/history/history.h"
#include "store/queue/queue.h"

struct admin;
struct failure;

/* DOCTOR_UNKNOWN: something could not be looked at. */
enum doctor_level { DOCTOR_NOTE, DOCTOR_UNKNOWN, DOCTOR_WRONG };

#define FINDING(id, level, area, what, command, to_do) FINDING_##id,
enum finding_id {
#include "finding_kinds.h"
    FINDING_COUNT
};

/* Describes one finding; its words are in finding_kinds.h.  The facts that they
 * do not name are 0, "" or NULL. */
struct doctor_finding {
    enum finding_id id;
    enum doctor_level level;
    const char *area;    /* "registry", "live", "history", "deferred", "space",
                            "rights" */
    int rc;              /* a BIDE_E code: the reason if `words` is "" */
    bool stops_counting; /* of RIGHTS_WRONG: services count for themselves */
    uint32_t version;
    uint32_t user;
    uint64_t count, bytes, age_ns;
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1]; /* of the policy */
    char path[512];
    char words[400]; /* the reason in the words of the store or the system */
    struct failure *failure;
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
    bool out_of_memory; /* some findings are missing */
};

/* Checks the registry in `dir`.  `keep_bytes` is the limit of the history that
 * recorders use (--keep-size).  Always fills `out`: a file that cannot be read
 * is a finding.  Fails with BIDE_ENOMEM. */
int admin_doctor(const char *dir, uint64_t keep_bytes,
                 struct doctor_report *out);
void doctor_free(struct doctor_report *r);

/* Finds what keeps calls from being counted, live state from being shared or
 * changes from being followed: the worst finding, quickly enough for each
 * command.  Returns false if there is none. */
bool admin_uncounted(struct admin *a, struct doctor_finding *out);

#endif
