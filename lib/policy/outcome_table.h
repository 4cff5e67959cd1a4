/* The table of outcomes: what is known of each domain and of each code. */
#ifndef BIDE_POLICY_OUTCOME_TABLE_H
#define BIDE_POLICY_OUTCOME_TABLE_H

#include "outcome.h"

struct outcome_domain {
    const char *name;
    const char *rule;        /* how its codes are written */
    int32_t low, high;       /* the codes that may be written */
    int32_t ok_low, ok_high; /* those that are a natural success */
};

/* NULL for a number that is no domain. */
const struct outcome_domain *outcome_domain(unsigned domain);

/* NULL where the code, or the name, has no row. */
const struct outcome_row *outcome_row_of(uint8_t domain, int32_t code);
const struct outcome_row *outcome_row_named(uint8_t domain, const char *name);

#endif
