#include "outcome.h"

#include "outcome_table.h"

bool
outcome_is_success_by_table(struct bide_outcome o)
{
    const struct outcome_domain *d = outcome_domain(o.domain);

    return d && o.code >= d->ok_low && o.code <= d->ok_high;
}

uint32_t
outcome_classes(struct bide_outcome o)
{
    const struct outcome_row *row;

    if (outcome_is_success(o)) {
        return 0;
    }
    row = outcome_row_of(o.domain, o.code);
    return OUTCOME_ANY | (row ? row->classes : 0);
}

bool
outcome_in(const struct outcome_set *set, struct bide_outcome o)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const struct outcome_range *r = &set->ranges[i];

        if (r->domain == o.domain && o.code >= r->low && o.code <= r->high) {
            return true;
        }
    }
    return set->classes && (set->classes & outcome_classes(o));
}

bool
outcome_set_has_success(const struct outcome_set *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const struct outcome_range *r = &set->ranges[i];
        const struct outcome_domain *d = outcome_domain(r->domain);

        if (d && r->low <= d->ok_high && r->high >= d->ok_low) {
            return true;
        }
    }
    return false;
}
