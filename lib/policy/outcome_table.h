/* The table of outcomes: domains, and codes with a name or a class. */
#ifndef BIDE_POLICY_OUTCOME_TABLE_H
#define BIDE_POLICY_OUTCOME_TABLE_H

#include "outcome.h"

struct outcome_domain {
    const char *name;
    const char *rule;        /* the sentence that says how to write a code */
    int32_t low, high;       /* the codes that a policy may name */
    int32_t ok_low, ok_high; /* a natural success; none if ok_high < ok_low */
};

/* Returns the domain, NULL if the number is no domain. */
const struct outcome_domain *outcome_domain(unsigned domain);

/* Return the row of a code or a name (also an alias), NULL if there is none. */
const struct outcome_row *outcome_row_of(uint8_t domain, int32_t code);
const struct outcome_row *outcome_row_named(uint8_t domain, const char *name);

#endif
