/* The one table of policy keys.  The parser, validation, canonical text, help,
 * completion and the manual page are loops over it. */
#ifndef BIDE_POLICY_KEY_H
#define BIDE_POLICY_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct policy;

enum key_type {
    KEY_TEXT,     /* one line for people */
    KEY_NAME,     /* another policy */
    KEY_CHOICE,   /* one of a list of words */
    KEY_SWITCH,   /* yes or no */
    KEY_COUNT,    /* whole number; "unlimited" where the row allows it */
    KEY_NUMBER,   /* decimal */
    KEY_DURATION, /* "none" where the row allows it */
    KEY_SHARE,    /* "20%", kept as 0..1 */
    KEY_RATE,     /* "10/s" */
    KEY_TOKENS,   /* decimal, to 0.001 */
    KEY_WINDOW,   /* a duration, or "100 calls" */
    KEY_OUTCOMES,
    KEY_CHAIN,
    KEY_JITTER,
    KEY_GROUP,  /* none, own, or a name */
    KEY_REFILL, /* tokens by the second: "0.5/s", to 0.001 */
};

enum { POLICY_KEY_MAX = 96 }; /* no more rows than this: room on the stack */

struct key {
    const char *name;
    enum key_type type;
    const char *preset;  /* the default, as text; "as OTHER_KEY" follows it */
    const char *choices; /* KEY_CHOICE: "none fixed linear"; else NULL */
    double low, high;    /* bounds in the key's own unit (durations: ns) */
    const char *open;    /* the word for no limit ("none"), or NULL */
    uint16_t offset;     /* of its field in struct policy */
    const char *help;    /* one line, for people */
};

extern const struct key policy_keys[];
extern const size_t policy_key_count;

/* NULL when there is no such key. */
const struct key *key_find(const char *name);

/* The name that was probably meant, or NULL (edit distance at most 2). */
const char *key_near(const char *name);

/* Checks a value and gives its canonical text (malloc'ed).  BIDE_EINPUT: *why
 * is malloc'ed and says what is allowed, *hint (malloc'ed, may become NULL)
 * what was probably meant. */
int key_canonical(const struct key *key, const char *value, char **out,
                  char **why, char **hint);

/* Puts a canonical value into its field. */
int key_load(const struct key *key, const char *canonical, struct policy *p);

#endif
