/* Computes the waits of a call whose attempts all fail and take no time.
 * Pure. */
#ifndef BIDE_SIMULATE_PREVIEW_H
#define BIDE_SIMULATE_PREVIEW_H

#include <bide.h>
#include "policy/policy.h"

enum { PREVIEW_MAX = 1000 }; /* rows */

struct preview_row {
    uint32_t attempt;                    /* 2 is the first retry */
    uint64_t min_ns, max_ns;             /* of the wait before it */
    uint64_t total_min_ns, total_max_ns; /* since the call began */
};

/* Fills at most `room` rows and returns their number.  *out_ends is the reason
 * that ends the call, BIDE_BY_NONE if it continues after the last row. */
size_t preview(const struct policy *p, struct preview_row *rows, size_t room,
               enum bide_reason *out_ends);

#endif
