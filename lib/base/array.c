#include "array.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *
array_more(void *list, size_t count, size_t size)
{
    size_t room = count ? 2 * count : 1;

    if (list && (count & (count - 1)) != 0) {
        return list;
    }
    if (count > SIZE_MAX / 2 || room > SIZE_MAX / size) {
        return NULL;
    }
    return realloc(list, room * size);
}

void *
array_add(void *list, size_t *count, size_t size)
{
    char *longer;

    memcpy(&longer, list, sizeof(longer));
    longer = array_more(longer, *count, size);
    if (!longer) {
        return NULL;
    }
    memcpy(list, &longer, sizeof(longer));
    return memset(longer + (*count)++ * size, 0, size);
}

bool
array_put(void *list, size_t *count, const void *element, size_t size)
{
    void *added = array_add(list, count, size);

    return added && memcpy(added, element, size);
}
