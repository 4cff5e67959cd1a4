/* The table of policy keys.  Parser, validation, canonical text, help,
 * completion and manual page are loops over it. */
#ifndef BIDE_POLICY_KEY_H
#define BIDE_POLICY_KEY_H

#include <stddef.h>
#include <stdint.h>

struct policy;

enum key_type {
    KEY_TEXT,     /* one line of any text */
    KEY_NAME,     /* the name of another policy */
    KEY_CHOICE,   /* one of a list of words */
    KEY_SWITCH,   /* yes or no */
    KEY_COUNT,    /* whole number, or the word for no limit */
    KEY_NUMBER,   /* decimal */
    KEY_DURATION, /* or the word for no limit */
    KEY_SHARE,    /* "20%", kept as 0..1 */
    KEY_RATE,     /* "10/s", "5/m", "2/h" */
    KEY_TOKENS,   /* decimal, to 0.001 */
    KEY_WINDOW,   /* a duration, or "100 calls" */
    KEY_OUTCOMES,
    KEY_CHAIN,
    KEY_JITTER,
    KEY_GROUP,  /* none, own, or a name */
    KEY_REFILL, /* tokens per second: "0.5/s", to 0.001 */
    KEY_HEDGE,  /* a duration, or a percentile: "p95" */
};

enum { POLICY_KEY_MAX = 112 }; /* most rows; sizes arrays on the stack */

struct key {
    const char *name;
    enum key_type type;
    const char *preset;  /* the default; "as KEY": the value of that key;
                            "1h, or longer": resolve.c raises it */
    const char *choices; /* KEY_CHOICE: "none fixed linear"; else NULL */
    double low, high;    /* bounds in the key's unit (durations: ns) */
    const char *open;    /* the word for no limit ("none"), or NULL */
    uint16_t offset;     /* of its field in struct policy */
    const char *help;    /* one line for bide help keys */
};

extern const struct key policy_keys[];
extern const size_t policy_key_count;

/* Returns the key, NULL if there is none of that name. */
const struct key *key_find(const char *name);

/* Returns the present name of a renamed key, or else the key name nearest to a
 * misspelt one; NULL if none is near. */
const char *key_near(const char *name);

/* Why a value was refused: the values allowed, and what was probably meant. */
struct complaint {
    char why[400];
    char meant[100]; /* "": no suggestion */
};

/* Checks a value and sets *out to its canonical text, which the caller frees.
 * BIDE_EINPUT: fills *c.  Also fails with BIDE_ENOMEM. */
int key_canonical(const struct key *key, const char *value, char **out,
                  struct complaint *c);

/* Stores a canonical value in its field.  0, BIDE_EINPUT or BIDE_ENOMEM. */
int key_load(const struct key *key, const char *canonical, struct policy *p);

#endif
