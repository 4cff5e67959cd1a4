/* Finds faults in a registry and its files.  Changes nothing. */
#ifndef BIDE_DOCTOR_H
#define BIDE_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bide.h>
#include "store/history/history.h"
#include "store/queue/queue.h"

struct failure;

/* DOCTOR_UNKNOWN: something could not be looked at. */
enum doctor_level { DOCTOR_NOTE, DOCTOR_UNKNOWN, DOCTOR_WRONG };

/* All findings: X(id, level, area), with the facts in use.  A finding has facts
 * only; the command has the words (cli/watch/findings.c).  "name, count" is the
 * first policy of several; "why" is words, or rc if they are "". */
#define FINDINGS(X)                                                            \
    X(FAILED, WRONG, registry)         /* failure */                           \
    X(PAGES_DAMAGED, WRONG, registry)  /* why */                               \
    X(PAGES_BUSY, NOTE, registry)      /* not checked: always changed */       \
    X(POLICY_INVALID, WRONG, registry) /* name, version, why */                \
    X(NO_POLICIES, NOTE, registry)                                             \
    X(SERVICE_CANNOT_READ, WRONG, registry) /* age_ns, why */                  \
    X(LIVE_NONE, NOTE, live)                                                   \
    X(LIVE_STALE, NOTE, live)          /* path */                              \
    X(LIVE_FOREIGN, WRONG, live)       /* path */                              \
    X(LIVE_OF_COPY, NOTE, live)        /* path: of the original */             \
    X(LIVE_FORBIDDEN, UNKNOWN, live)   /* path, why */                         \
    X(LIVE_UNREADABLE, WRONG, live)    /* path, why */                         \
    X(LIVE_UNMAPPED, WRONG, live)      /* path */                              \
    X(LIVE_ON_DISK, NOTE, live)        /* path */                              \
    X(COUNTER_TOO_LARGE, WRONG, live)  /* name, scope */                       \
    X(ATTEMPTS_TOO_MANY, WRONG, live)  /* name, scope */                       \
    X(RECOVERED_TOO_MANY, WRONG, live) /* name, scope */                       \
    X(RETRIES_TOO_MANY, WRONG, live)   /* name, scope */                       \
    X(STATE_INVALID, WRONG, live)      /* name, scope: breaker, budget */      \
    X(CHANGE_UNANNOUNCED, WRONG, live) /* name, count */                       \
    X(GATE_WRONG, WRONG, live)         /* name, count */                       \
    X(POLICY_UNDEFINED, NOTE, live)    /* name, count */                       \
    X(SCOPES_TOO_MANY, NOTE, live)     /* name, count */                       \
    X(CELLS_NAMELESS, NOTE, live)      /* count */                             \
    X(CELLS_REFUSED, WRONG, live)      /* count */                             \
    X(MEMORY_REFUSED, WRONG, live)     /* count: for counters */               \
    X(MEMORY_LIMITED, WRONG, live)     /* count: though there is room */       \
    X(WAITING_CALLS_DEAD, NOTE, live)  /* count */                             \
    X(HISTORY_NONE, NOTE, history)                                             \
    X(HISTORY_DAMAGED, WRONG, history)         /* why */                       \
    X(HISTORY_UNREADABLE, WRONG, history)      /* why */                       \
    X(HISTORY_RECORDS_DAMAGED, WRONG, history) /* count: with pages */         \
    X(HISTORY_TOTALS_LOST, WRONG, history)                                     \
    X(HISTORY_RECORDS_LOST, NOTE, history)   /* count: with pages */           \
    X(HISTORY_INTERVALS_LOST, NOTE, history) /* count */                       \
    X(HISTORY_TOO_LARGE, NOTE, history)      /* bytes */                       \
    X(HISTORY_IN_FUTURE, NOTE, history)                                        \
    X(HISTORY_STOPPED, WRONG, history) /* age_ns */                            \
    X(HISTORY_OLD_FILE, NOTE, history) /* path, bytes: kept when damaged */    \
    X(DEFERRED_NONE, NOTE, deferred)                                           \
    X(DEFERRED_DAMAGED, WRONG, deferred)         /* why */                     \
    X(DEFERRED_UNREADABLE, WRONG, deferred)      /* why */                     \
    X(DEFERRED_RECORDS_DAMAGED, WRONG, deferred) /* count */                   \
    X(DEFERRED_DEAD, WRONG, deferred)            /* count */                   \
    X(DEFERRED_OVERDUE, WRONG, deferred)         /* age_ns */                  \
    X(DIRECTORY_UNREADABLE, WRONG, rights)       /* path, why */               \
    X(DIRECTORY_WRITABLE, WRONG, rights)         /* path */                    \
    X(REGISTRY_WRITABLE, WRONG, rights)          /* path */                    \
    X(REGISTRY_LOCK_OPEN, WRONG, rights)         /* path */                    \
    X(HISTORY_WRITABLE, WRONG, rights)           /* path */                    \
    X(HISTORY_LOCK_OPEN, WRONG, rights)          /* path */                    \
    X(DEFERRED_OPEN, WRONG, rights)              /* path */                    \
    X(LIVE_OPEN, WRONG, rights)                  /* path */                    \
    X(FILE_REFUSED, WRONG, rights)               /* path, why */               \
    X(FILE_OWNER, WRONG, rights)                 /* path, user, owner */       \
    X(FILE_LINKED, WRONG, rights)      /* path, why: a link to a file */       \
    X(FILE_IMMUTABLE, WRONG, rights)   /* path */                              \
    X(GROUP_CANNOT_USE, WRONG, rights) /* path, owner: the group, why: mode */ \
    X(OWNER_CANNOT_USE, WRONG, rights) /* path, owner, why: mode */            \
    X(WAY_CLOSED, WRONG, rights)       /* path */                              \
    X(LIVE_DIRECTORY_NONE, WRONG,                                              \
      rights) /* path, user, owner: group, count: mode */                      \
    X(LIVE_DIRECTORY_REFUSED, WRONG, rights) /* the same, why */               \
    X(LIVE_DIRECTORY_OPEN, WRONG, rights)    /* path */                        \
    X(LIVE_DIRECTORY_SHARED, WRONG, rights)  /* path */                        \
    X(LOCK_STOPPED, WRONG, rights)           /* path, count: pid, name */      \
    X(UNSEEN, UNKNOWN, rights)               /* path, why */                   \
    X(INODES_NONE, WRONG, space)             /* path */                        \
    X(DISK_FULL, WRONG, space)               /* path, bytes */                 \
    X(DISK_LOW, NOTE, space)                 /* path, bytes */                 \
    X(MEMORY_FULL, WRONG, space)             /* path, bytes */                 \
    X(MEMORY_LOW, NOTE, space)               /* path, bytes */                 \
    X(DISK_READ_ONLY, WRONG, space)          /* path */

#define FINDING_ID(id, level, area) FINDING_##id,
enum finding_id { FINDINGS(FINDING_ID) FINDING_COUNT };
#undef FINDING_ID

/* The facts that FINDINGS does not list are 0, "" or NULL. */
struct doctor_finding {
    enum finding_id id;
    enum doctor_level level;
    const char *area; /* "registry", "live", "history", "deferred", "space",
                         "rights" */
    int rc;           /* a BIDE_E code: the reason if `words` is "" */
    uint32_t version;
    uint32_t user, owner; /* the present one, and the one it should have */
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

#endif
