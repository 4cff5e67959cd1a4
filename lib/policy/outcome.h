/* Outcomes, and sets of them: "transient, http.5xx, app.out_of_stock".
 * outcome_table.c has the table of all outcomes with a name or a class. */
#ifndef BIDE_POLICY_OUTCOME_H
#define BIDE_POLICY_OUTCOME_H

#include <stdbool.h>

#include <bide.h>

/* Classes are bits.  Connect, timeout and throttle are transient too. */
enum outcome_class {
    OUTCOME_CONNECT = 1,
    OUTCOME_TIMEOUT = 2,
    OUTCOME_THROTTLE = 4,
    OUTCOME_TRANSIENT = 8,
    OUTCOME_ANY = 16, /* every failure */
};

struct outcome_range {
    uint8_t domain;
    int32_t low, high; /* inclusive */
};

struct outcome_set {
    uint32_t classes; /* OUTCOME_ bits */
    uint32_t count;
    struct outcome_range *ranges;
};

enum { OUTCOME_SET_MAX = 256, OUTCOME_DOMAINS = BIDE_DOMAIN_DNS + 1 };

/* Returns the classes of an outcome as bits: OUTCOME_ANY in every failure, 0
 * for a natural success. */
uint32_t outcome_classes(struct bide_outcome o);

/* Does the slow part of outcome_is_success(). */
bool outcome_is_success_by_table(struct bide_outcome o);

/* Reports whether an outcome is a natural success, that is success in its own
 * domain: errno 0, http 100 to 399 ...  Nearly all successes are bide_ok(). */
static inline bool
outcome_is_success(struct bide_outcome o)
{
    return (o.domain == BIDE_DOMAIN_OK && o.code == 0) ||
           outcome_is_success_by_table(o);
}

/* Report whether an outcome is in the set, by code or class, and whether a
 * range of the set contains a natural success. */
bool outcome_in(const struct outcome_set *set, struct bide_outcome o);
bool outcome_set_has_success(const struct outcome_set *set);

/* Why a text was refused, and what was probably meant. */
struct outcome_fault {
    const char *why;
    char meant[80]; /* "": no suggestion */
    char bad[64];   /* of a list: the bad item */
};

/* Read an outcome ("http.503", "ok"), a list ("none", "": the empty set), which
 * outcome_set_free releases, or a hint ("after=2s", "after=never") for *o.
 * BIDE_EINPUT, BIDE_ENOMEM: fill `fault`. */
int outcome_read(const char *text, struct bide_outcome *out,
                 struct outcome_fault *fault);
int outcome_set_read(const char *text, struct outcome_set *out,
                     struct outcome_fault *fault);
int outcome_read_hint(const char *text, struct bide_outcome *o,
                      struct outcome_fault *fault);
/* Returns the canonical list, which the caller frees; NULL if out of memory. */
char *outcome_set_write(const struct outcome_set *set);
void outcome_set_free(struct outcome_set *set);

struct outcome_row {
    uint8_t domain;
    int32_t code;
    const char *name; /* "ECONNRESET", "UNAVAILABLE"; NULL: the number */
    uint32_t classes; /* without OUTCOME_ANY */
    const char *note; /* one line, or NULL */
};
/* Returns row `i`, NULL after the last. */
const struct outcome_row *outcome_row(size_t i);

/* The classes, in canonical order.  NULL after the last. */
struct outcome_class_row {
    uint32_t bit;
    const char *name, *note;
};
const struct outcome_class_row *outcome_class_row(size_t i);

#endif
