#include "failure.h"

#include <stdio.h>

static _Thread_local struct failure last;

struct failure *
failure_begin(enum failure_kind kind, int rc, const char *name)
{
    last = (struct failure){.kind = kind, .rc = rc};
    snprintf(last.name, sizeof(last.name), "%s", name ? name : "");
    return &last;
}

int
failure_plain(int rc)
{
    return failure_begin(FAILURE_PLAIN, rc, NULL)->rc;
}

int
failure_at(enum failure_kind kind, int rc, const char *path, const char *words)
{
    struct failure *f = failure_begin(kind, rc, NULL);

    snprintf(f->path, sizeof(f->path), "%s", path);
    snprintf(f->words, sizeof(f->words), "%s", words);
    return rc;
}

int
failure_of_store(int rc, const char *dir, const char *words)
{
    return rc ? failure_at(FAILURE_STORE, rc, dir, words) : 0;
}

const struct failure *
failure_last(void)
{
    return &last;
}
