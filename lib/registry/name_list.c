#include "name_list.h"

#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include "base/array.h"
#include "store/policies/record.h"

int
names_put(void *names, const char *name)
{
    struct names *n = names;
    char **longer = array_more(n->list, n->count, sizeof(*longer));

    if (!longer) {
        return BIDE_ENOMEM;
    }
    n->list = longer;
    n->list[n->count] = strdup(name);
    return n->list[n->count] ? (n->count++, 0) : BIDE_ENOMEM;
}

int
names_put_existing(void *names, struct record *r)
{
    return r->deleted ? 0 : names_put(names, r->name);
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void
names_sort(struct names *n)
{
    size_t kept = 0;

    if (n->count == 0) {
        return;
    }
    qsort(n->list, n->count, sizeof(*n->list), compare_names);
    for (size_t i = 1; i < n->count; i++) {
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
                                    sizeof(*sorted->list), compare_names);
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
