/* Lists of names of policies. */
#ifndef BIDE_NAME_LIST_H
#define BIDE_NAME_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct record;
struct names {
    size_t count;
    char **list;
};

/* Appends a copy of the name, also as a visit of writer_each_child.
 * BIDE_ENOMEM. */
int names_put(void *names, const char *name);
/* As a visit of reader_each_policy: appends its name unless it is deleted. */
int names_put_existing(void *names, struct record *r);
/* Sorts the list by strcmp and removes repetitions. */
void names_sort(struct names *n);
/* Reports whether a sorted list has the name. */
bool names_have(const struct names *sorted, const char *name);
void names_clear(struct names *n);

#endif
