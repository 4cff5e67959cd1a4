/* A client of etcd v3, by its JSON gateway.  The only code that uses libcurl.
 *
 * Functions that return int return 0 or a BIDE_E code; etcd_why() then has the
 * reason.  BIDE_ESYS: no endpoint gave an answer; BIDE_EPERM: not allowed;
 * BIDE_EFULL: etcd has no space; BIDE_EINVAL: etcd refused the request, for
 * instance because it is too large; BIDE_EINPUT: the answer is not etcd's. */
#ifndef BIDE_FLEET_ETCD_H
#define BIDE_FLEET_ETCD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host.h"

struct etcd;

/* Bytes of one value: etcd refuses requests above 1.5 MiB by default. */
enum { ETCD_VALUE_MAX = 1 << 20 };
enum { ETCD_NOTHING = 1 }; /* etcd_watch_next(): there was no event */

/* Uses the endpoints and files of the setup, which the caller keeps. */
int etcd_open(const struct host_setup *setup, struct etcd **out);
void etcd_close(struct etcd *e); /* NULL: does nothing */
const char *etcd_why(const struct etcd *e);

struct etcd_pair {
    char *key, *value; /* a NUL follows the value; NULL: it was deleted */
    size_t length;
    uint64_t modified; /* revision of the last change */
};
struct etcd_reply {
    uint64_t cluster, revision; /* of the server */
    bool held;      /* the conditions did; else nothing was changed, and
                       `list` has the keys of the conditions */
    bool compacted; /* a watch: it ended, because its revision is gone */
    size_t count;
    struct etcd_pair *list;
};
void etcd_reply_free(struct etcd_reply *r);
/* Returns the pair of that key; NULL: there is none. */
const struct etcd_pair *etcd_find(const struct etcd_reply *r, const char *key);

enum etcd_verb {
    ETCD_IF,     /* the key was last modified at `modified`; 0: is missing */
    ETCD_GET,    /* one key */
    ETCD_LIST,   /* all keys that begin with `key` */
    ETCD_PUT,    /* the bytes of `value` */
    ETCD_DELETE, /* one key */
};
struct etcd_step {
    enum etcd_verb verb;
    const char *key, *value;
    size_t length;
    uint64_t modified;
};
/* Makes all steps in one transaction, at one revision, if all conditions hold.
 * Tries the endpoints in turn.  A change whose answer was lost counts as made
 * if the keys have the values that it would have put. */
int etcd_do(struct etcd *e, const struct etcd_step *steps, size_t count,
            struct etcd_reply *out);
/* The same for one step without a condition; `out` may be NULL. */
int etcd_one(struct etcd *e, enum etcd_verb verb, struct fleet_key key,
             const char *value, size_t length, struct etcd_reply *out);
/* Puts a value under a key that was last modified at `modified` (0: is
 * missing). BIDE_EVERSION: it was not; *out then has what it is. */
int etcd_swap(struct etcd *e, struct fleet_key key, uint64_t modified,
              const char *text, struct etcd_reply *out);
/* Closes the connection of etcd_do(), for an agent that waits. */
void etcd_rest(struct etcd *e);

/* Begins to watch one key from a revision on, at the endpoint that answered
 * last.  A watch before is ended. */
int etcd_watch(struct etcd *e, const char *key, uint64_t revision);
/* Waits for the next events of the watch.  Returns 0 (then the caller frees
 * *out), ETCD_NOTHING if `fd` is readable or CLOCK_MONOTONIC is `until_ns`, or
 * a failure, with which the watch has ended. */
int etcd_watch_next(struct etcd *e, int fd, uint64_t until_ns,
                    struct etcd_reply *out);

#endif
