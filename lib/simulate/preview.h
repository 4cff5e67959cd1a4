/* Computes the waits of a call whose attempts all fail and take no time.
 * Pure. */
#ifndef BIDE_SIMULATE_PREVIEW_H
#define BIDE_SIMULATE_PREVIEW_H

#include <bide.h>
#include "policy/policy.h"

struct preview_row {
    uint32_t attempt;                    /* 2 is the first retry */
    uint64_t min_ns, max_ns;             /* of the wait before it */
    uint64_t total_min_ns, total_max_ns; /* since the call began */
};

/* Receives a row.  A nonzero result ends the preview with that result. */
typedef int preview_visit_fn(void *arg, const struct preview_row *row);

/* Visits at most `rows` rows.  *out_ends is the reason that ends the call,
 * BIDE_BY_NONE if it continues after the last row. */
int preview(const struct policy *p, uint32_t rows, preview_visit_fn *visit,
            void *arg, enum bide_reason *out_ends);

#endif
