/* What a policy does to a call that only fails, attempts taking no time.
 * Pure. */
#ifndef BIDE_RULE_PREVIEW_H
#define BIDE_RULE_PREVIEW_H

#include <bide.h>
#include "policy/policy.h"

enum { PREVIEW_MAX = 1000 }; /* rows */

struct preview_row {
    uint32_t attempt;                    /* 2 is the first retry */
    uint64_t min_ns, max_ns;             /* the wait before it */
    uint64_t total_min_ns, total_max_ns; /* since the call began */
};

/* Fills at most `room` rows; *out_ends says what ends the call, BIDE_BY_NONE
 * when it goes on past the last row.  Returns the number of rows. */
size_t preview(const struct policy *p, struct preview_row *rows, size_t room,
               enum bide_reason *out_ends);

#endif
