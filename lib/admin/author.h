/* An author, as people read it. */
#ifndef BIDE_ADMIN_AUTHOR_H
#define BIDE_ADMIN_AUTHOR_H

#include "store/policies/record.h"

struct author {
    char text[RECORD_WHO_MAX + sizeof(" (uid 0)")];
};

/* Writes "ann", or "ann (uid 0)" for a name that a process of root gave: then
 * the kernel knows only root. */
struct author author_write(const char *who, uint32_t uid);

#endif
