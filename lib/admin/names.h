/* Lists of names, sorted and without repetition when that is asked for. */
#ifndef BIDE_ADMIN_NAMES_H
#define BIDE_ADMIN_NAMES_H

#include <stdbool.h>
#include <stddef.h>

struct names {
    size_t count, room;
    char **list;
};

/* Copies the name.  BIDE_ENOMEM. */
int names_put(struct names *n, const char *name);
void names_sort(struct names *n); /* by strcmp; drops repetitions */
bool names_have(const struct names *sorted, const char *name);
void names_clear(struct names *n);

#endif
