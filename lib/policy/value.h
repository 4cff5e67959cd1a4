/* The value of a key: reads it, writes it in canonical form, and stores it in
 * its field.  One row of functions for each type of key. */
#ifndef BIDE_POLICY_VALUE_H
#define BIDE_POLICY_VALUE_H

#include "base/decimal.h"
#include "base/draft.h"
#include "key.h"
#include "rules.h"

/* Why a value was refused: the values allowed, and what was probably meant. */
struct complaint {
    char why[400];
    char meant[100]; /* "": no suggestion */
};

struct value {
    union {
        const char *text; /* owned by the caller of read */
        int32_t choice;
        uint64_t whole;        /* counts; nanoseconds; thousandths */
        struct decimal number; /* shares: in percent */
        struct window window;
        struct outcome_set outcomes;
        struct chain chain;
        struct {
            struct jitter jitter;
            struct decimal percent; /* of JITTER_SHARE, as written */
        };
    };
    bool open; /* it is the word for no limit; nothing else is set */
};

struct value_type {
    /* 0; BIDE_EINPUT and fills *c; or BIDE_ENOMEM */
    int (*read)(const struct key *key, const char *text, struct value *out,
                struct complaint *c);
    void (*write)(const struct key *key, const struct value *v,
                  struct draft *d);
    /* NULL: copies `size` bytes of the value, with its memory; 0: no field */
    void (*store)(const struct key *key, const struct value *v, void *field);
    size_t size;
    void (*release)(struct value *v); /* NULL: no memory to free */
};

/* Indexed by enum key_type. */
extern const struct value_type value_types[];

/* Fills *c and returns BIDE_EINPUT.  `meant` may be NULL. */
int complain(struct complaint *c, const char *meant, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Checks that `n`, in the key's unit, is within its bounds: 0 or BIDE_EINPUT.
 */
int value_bounds(const struct key *key, double n, struct complaint *c);

/* Writes "1 to 1000000, or unlimited".  Returns `buffer`. */
char *key_range(const struct key *key, char *buffer, size_t size);

int text_read(const struct key *, const char *, struct value *,
              struct complaint *);
int name_read(const struct key *, const char *, struct value *,
              struct complaint *);
int group_read(const struct key *, const char *, struct value *,
               struct complaint *);
void text_write(const struct key *, const struct value *, struct draft *);
void group_store(const struct key *, const struct value *, void *);

int window_read(const struct key *, const char *, struct value *,
                struct complaint *);
void window_write(const struct key *, const struct value *, struct draft *);

int chain_read(const struct key *, const char *, struct value *,
               struct complaint *);
void chain_write(const struct key *, const struct value *, struct draft *);
void chain_release(struct value *);

int jitter_read(const struct key *, const char *, struct value *,
                struct complaint *);
void jitter_write(const struct key *, const struct value *, struct draft *);

int outcomes_read(const struct key *, const char *, struct value *,
                  struct complaint *);
void outcomes_write(const struct key *, const struct value *, struct draft *);
void outcomes_release(struct value *);

#endif
