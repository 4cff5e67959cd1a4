/* The owner, group and mode that the files and directories of a registry should
 * have:
 *
 *   DIR         root:bide      0755 (private: 0750)
 *   policies/   root:bide-ops  2775
 *   history/    root:bide-ops  2775
 *   deferred/   root:bide      2770
 *   live dir.   root:bide      2771
 *
 * Without operators 0755, without services 0700 and 0711; root stands for the
 * owner of DIR.  The rights of files are those of their directory
 * (safe_inherit); of a private registry's live file for the group alone,
 * because registries can share the directory. */
#ifndef BIDE_ADMIN_RIGHTS_H
#define BIDE_ADMIN_RIGHTS_H

#include <stdbool.h>
#include <sys/types.h>

struct rights {
    uid_t owner;
    gid_t services, operators; /* (gid_t)-1: there is none */
    bool is_private;           /* only services may pass DIR */
};

/* A file as it is and as it should be.  Valid during the visit. */
struct rights_fault {
    const char *path;
    char is[96], right[96]; /* "root:bide 0660"; "" unless is_wrong */
    const char *refused;    /* why it cannot be mended, or NULL: as safe_why */
    bool is_wrong;
    bool is_open; /* the only fault: others have rights that they should not */
    bool is_needed; /* the fault keeps services from counting or following */
    int fd;
    uid_t user;
    gid_t group;
    mode_t mode;
};

/* Finds a group by its name or number; (gid_t)-1: there is none. */
gid_t rights_group(const char *name);
/* Reads what the directories have; a group that they lack is `bide` or
 * `bide-ops`, if that exists and the registry is root's.  `live` may be "".
 * Fails with -1 and errno. */
int rights_read(const char *dir, const char *live, struct rights *out);
/* Reports whether the directory of a live file holds nothing else, so that its
 * rights are the registry's. */
bool rights_of_live(const char *directory);
/* Visits DIR, its directories, and then their files.  `live`: the live file, or
 * "".  Leaves a live directory that holds something else. */
void rights_each(const char *dir, const char *live, const struct rights *r,
                 void (*visit)(void *arg, const struct rights_fault *f),
                 void *arg);
/* Mends a fault.  Fails with -1 and errno. */
int rights_mend(const struct rights_fault *f);

#endif
