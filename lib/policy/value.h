/* The value of a key: reads it, writes it in canonical form, and stores it in
 * its field.  One row of functions for each type of key. */
#ifndef BIDE_POLICY_VALUE_H
#define BIDE_POLICY_VALUE_H

#include "base/decimal.h"
#include "base/draft.h"
#include "key.h"
#include "rules.h"

struct value {
    union {
        const char *text; /* owned by the caller of read */
        int32_t choice;
        uint64_t whole; /* counts; nanoseconds; thousandths; if `open`, the
                           maximum */
        struct decimal number; /* shares: in percent */
        struct window window;
        struct hedge_after hedge;
        struct outcome_set outcomes;
        struct chain chain;
        struct {
            struct jitter jitter;
            struct decimal percent; /* of JITTER_SHARE, as written */
        };
    };
    bool open; /* it is the word for no limit */
    char per;  /* of a rate: s, m or h */
};

/* Returns 0; BIDE_EINPUT and fills *c; or BIDE_ENOMEM. */
typedef int value_read_fn(const struct key *key, const char *text,
                          struct value *out, struct complaint *c);
typedef void value_write_fn(const struct key *key, const struct value *v,
                            struct draft *d);
typedef void value_store_fn(const struct key *key, const struct value *v,
                            void *field);
typedef void value_release_fn(struct value *v);

struct value_type {
    value_read_fn *read;
    value_write_fn *write;
    /* NULL: copies `size` bytes of the value, with its memory; 0: no field */
    value_store_fn *store;
    size_t size;
    value_release_fn *release; /* NULL: no memory to free */
};

/* Indexed by enum key_type. */
extern const struct value_type value_types[];

/* Fills *c and returns BIDE_EINPUT.  `meant` may be NULL. */
int complain(struct complaint *c, const char *meant, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Checks that `n`, in the key's unit, is within its bounds: 0 or BIDE_EINPUT.
 */
int value_bounds(const struct key *key, double n, struct complaint *c);

/* The types of value_form.c. */
value_read_fn text_read, name_read, window_read, chain_read, jitter_read,
    outcomes_read, hedge_read;
value_write_fn text_write, window_write, chain_write, jitter_write,
    outcomes_write, hedge_write;
value_store_fn group_store;
value_release_fn chain_release, outcomes_release;

#endif
