#include "failure.h"

#include <stdio.h>
#include <string.h>

#include <bide.h>

static _Thread_local struct failure last;
static _Thread_local char denied[sizeof(last.denied)];

void
failure_deny(const char *path)
{
    snprintf(denied, sizeof(denied), "%s", path);
}

const char *
failure_denied(void)
{
    return denied;
}

struct failure *
failure_begin(enum failure_kind kind, int rc, const char *name)
{
    last = (struct failure){.kind = kind, .rc = rc};
    snprintf(last.name, sizeof(last.name), "%s", name ? name : "");
    if (rc == BIDE_EPERM) {
        strcpy(last.denied, denied);
    }
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
