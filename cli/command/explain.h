/* Describes failures in two lines: the error with its reason, and a remedy. */
#ifndef BIDE_CLI_EXPLAIN_H
#define BIDE_CLI_EXPLAIN_H

#include <stddef.h>

#include "base/failure.h"

struct explained {
    char why[1536];  /* "" for FAILURE_NONE */
    char to_do[512]; /* the remedy; "" if none is known */
};

/* Describes the failure `f` in `out`. */
void explain(const struct failure *f, struct explained *out);

/* Describes which role the caller misses to use the file `path`. */
void explain_role(const char *path, char *out, size_t size);

/* Describes this thread's last failure, or `rc` if there is none. */
void explain_last(int rc, struct explained *out);

#endif
