/* Failures in words: a line that says what failed and why, and a line with what
 * to do. */
#ifndef BIDE_CLI_EXPLAIN_H
#define BIDE_CLI_EXPLAIN_H

#include "base/failure.h"

struct explained {
    char why[1536];  /* "" for FAILURE_NONE */
    char to_do[512]; /* "" where it is not known */
};

/* Puts the facts of a failure into words. */
void explain(const struct failure *f, struct explained *out);

/* Puts this thread's last failure into words; without one, those of `rc`. */
void explain_last(int rc, struct explained *out);

#endif
