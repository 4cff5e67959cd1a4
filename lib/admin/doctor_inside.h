/* What the files of doctor.h share. */
#ifndef BIDE_ADMIN_DOCTOR_INSIDE_H
#define BIDE_ADMIN_DOCTOR_INSIDE_H

#include <stdbool.h>
#include <stddef.h>

#include "doctor.h"

struct admin;

struct doctor {
    struct admin *admin; /* NULL: the registry cannot be read */
    struct doctor_report *out;
};

/* Adds a finding; `todo` may be NULL. */
void doctor_find(struct doctor *d, enum doctor_level level, const char *area,
                 const char *todo, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Adds this thread's last failure as a finding. */
void doctor_find_failure(struct doctor *d, const char *area);

/* Writes the path of a file of the registry.  False: too long. */
bool doctor_path(const struct doctor *d, const char *name, char *out,
                 size_t size);

void doctor_registry(struct doctor *d);
void doctor_live(struct doctor *d);
void doctor_history(struct doctor *d);
void doctor_deferred(struct doctor *d);
void doctor_rights(struct doctor *d);
void doctor_space(struct doctor *d);

#endif
