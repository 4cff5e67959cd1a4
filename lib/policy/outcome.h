/* Outcomes and sets of them: "transient, http.5xx, app.out_of_stock".
 * One table (outcome.c) holds every outcome with a name and its class. */
#ifndef BIDE_POLICY_OUTCOME_H
#define BIDE_POLICY_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>

#include <bide.h>

/* A class is a bit; connect, timeout and throttle are transient as well. */
enum outcome_class {
    OUTCOME_CONNECT = 1,
    OUTCOME_TIMEOUT = 2,
    OUTCOME_THROTTLE = 4,
    OUTCOME_TRANSIENT = 8,
    OUTCOME_ANY = 16, /* every failure */
};

struct outcome_range {
    uint8_t domain;
    int32_t low, high; /* both included */
};

struct outcome_set {
    uint32_t classes; /* OUTCOME_ bits */
    uint32_t count;
    struct outcome_range *ranges;
};

enum { OUTCOME_SET_MAX = 256 };

/* The bits of the classes it belongs to, OUTCOME_ANY with every failure;
 * 0 for a natural success. */
uint32_t outcome_classes(struct bide_outcome o);

bool outcome_is_success_by_table(struct bide_outcome o);

/* What its own system calls success: errno 0, http 100 to 399 ...  Nearly all
 * that go well are bide_ok. */
static inline bool
outcome_is_success(struct bide_outcome o)
{
    return (o.domain == BIDE_DOMAIN_OK && o.code == 0) ||
           outcome_is_success_by_table(o);
}

bool outcome_in(const struct outcome_set *set, struct bide_outcome o);

/* Whether some natural success is in the set (by an explicit range). */
bool outcome_set_has_success(const struct outcome_set *set);

/* "http.503" of a single outcome; "ok" as well.  Negative: *why says what is
 * wrong with it. */
int outcome_read(const char *text, struct bide_outcome *out, const char **why,
                 char *hint, size_t hint_size);

/* A list; "none" (or nothing) is the empty set.  The ranges are allocated:
 * outcome_set_free.  On a fault `bad` gets the item, *why the reason. */
int outcome_set_read(const char *text, struct outcome_set *out, char *bad,
                     size_t bad_size, const char **why, char *hint,
                     size_t hint_size);
/* Canonical; malloc'ed. */
char *outcome_set_write(const struct outcome_set *set);
void outcome_set_free(struct outcome_set *set);

/* One row of the table, for `bide help outcomes`; NULL past the last. */
struct outcome_row {
    uint8_t domain;
    int32_t code;
    const char *name; /* "ECONNRESET", "UNAVAILABLE"; NULL: the number */
    uint32_t classes; /* without OUTCOME_ANY */
    const char *note; /* one line, or NULL */
};
const struct outcome_row *outcome_row(size_t i);

/* The classes by name, in the order in which they are written. */
struct outcome_class_row {
    uint32_t bit;
    const char *name, *note;
};
const struct outcome_class_row *outcome_class_row(size_t i);

#endif
