/* The totals of a cell as they are stored.  Private to this room. */
#ifndef BIDE_LIVE_READING_H
#define BIDE_LIVE_READING_H

#include "counter.h"

enum {
    STRIPE_WORDS = sizeof(struct stripe) / 8,
    OUTCOMES_WORDS = sizeof(struct outcomes) / 8,
    SLOT_WORDS = sizeof(struct outcome_slot) / 8,
    CALLS_WORDS = sizeof(struct call_counts) / 8,
};
struct cell_words {
    uint64_t stripe[STRIPE_WORDS]; /* the sum of all, with calls.again */
    uint64_t outcomes[OUTCOMES_WORDS];
    uint64_t guard[GUARD_TOTALS];
    struct call_counts calls;
};
/* Read them without taking space.  In counter.c.  words_of_cell returns the
 * file's descriptor, if it read from the file, else -1. */
int words_of_cell(struct live *l, uint32_t index, struct cell_words *out);
void reading_of_words(const struct cell_words *w, struct cell_reading *out);

#endif
