#include "pages_view.h"

#include <stdlib.h>
#include <string.h>

void
pages_view_reset(struct pages_view *v)
{
    free(v->value);
    v->value = NULL;
    v->stamp = (struct pages_stamp){0};
    v->trees.count = 0;
    memset(v->pages.known, 0, sizeof(v->pages.known));
}

int
pages_view(struct pages_view *v, struct pages *f,
           const struct pages_stamp *stamp)
{
    int rc;

    if (!memcmp(&v->stamp, stamp, sizeof(*stamp))) {
        return 0;
    }
    pages_view_reset(v);
    rc = pages_begin(f, &v->snapshot);
    if (!rc && v->snapshot.meta.txn != stamp->txn) {
        rc = pages_damaged("%s: changed by another program", f->path);
    }
    if (!rc) {
        v->snapshot.cache = &v->trees;
        v->snapshot.pages = &v->pages;
        v->stamp = *stamp;
    }
    return rc;
}
