/* Declarations shared by the files that implement doctor.h. */
#ifndef BIDE_DOCTOR_INSIDE_H
#define BIDE_DOCTOR_INSIDE_H

#include "doctor.h"

struct admin;
struct live;

/* A file system with less free than this many bytes may soon be full. */
#define DOCTOR_LOW (UINT64_C(32) << 20)

struct doctor {
    struct admin *admin; /* NULL: the registry cannot be read */
    struct doctor_report *out;
    struct doctor_finding lost; /* takes the facts if there is no memory */
    char file[512];             /* see doctor_file */
    bool has_ours;  /* the live file is this registry's, as far as is known */
    bool is_unread; /* a service does not know the registry's format */
};

/* Adds a finding about `path`, for the reason `words`; both may be NULL.
 * Returns it, so that the caller can set its other facts; never NULL.  It is
 * valid until the next finding is added. */
struct doctor_finding *doctor_find(struct doctor *d, enum finding_id id,
                                   const char *path, const char *words);
/* Adds a finding with this count; 0: none. */
void doctor_find_count(struct doctor *d, enum finding_id id, uint64_t count);

/* Returns the path of a file of the registry, "" of its directory, valid until
 * the next call. */
const char *doctor_file(struct doctor *d, const char *name);

/* Adds that `path` could not be looked at, for errno; nothing if it is missing.
 */
void doctor_unseen(struct doctor *d, const char *path);

/* Finds attributes that keep the file from being changed. */
void doctor_state(struct doctor *d, const char *path);

/* Opens the live file and finds what keeps services from it; NULL if it cannot
 * be opened. */
struct live *doctor_attach(struct doctor *d);

void doctor_live(struct doctor *d);
void doctor_history(struct doctor *d);
void doctor_deferred(struct doctor *d);
void doctor_rights(struct doctor *d);
void doctor_locks(struct doctor *d);
void doctor_space(struct doctor *d);

#endif
