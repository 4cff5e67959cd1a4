#include "names.h"

#include <stdlib.h>
#include <string.h>

#include <bide.h>

int
names_put(struct names *n, const char *name)
{
    if (n->count == n->room) {
        size_t room = n->room ? n->room * 2 : 16;
        char **longer = realloc(n->list, room * sizeof(*longer));

        if (!longer) {
            return BIDE_ENOMEM;
        }
        n->list = longer;
        n->room = room;
    }
    n->list[n->count] = strdup(name);
    return n->list[n->count] ? (n->count++, 0) : BIDE_ENOMEM;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void
names_sort(struct names *n)
{
    size_t i, kept = 0;

    if (n->count == 0) {
        return;
    }
    qsort(n->list, n->count, sizeof(*n->list), by_name);
    for (i = 1; i < n->count; i++) {
        if (strcmp(n->list[kept], n->list[i]) == 0) {
            free(n->list[i]);
        } else {
            n->list[++kept] = n->list[i];
        }
    }
    n->count = kept + 1;
}

bool
names_have(const struct names *sorted, const char *name)
{
    return sorted->count && bsearch(&name, sorted->list, sorted->count,
                                    sizeof(*sorted->list), by_name);
}

void
names_clear(struct names *n)
{
    while (n->count) {
        free(n->list[--n->count]);
    }
    free(n->list);
    *n = (struct names){0};
}
