/* The records that changed since deferred.mdb was last brought up to date, in
 * memory, in LMDB's order of keys.  A record here replaces the one in the file.
 * A change is on trial until it is kept or undone.  One thread at a time. */
#ifndef BIDE_STORE_DEFERRED_RECENT_H
#define BIDE_STORE_DEFERRED_RECENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum recent_kind {
    RECENT_HERE,    /* the record has this value */
    RECENT_GONE,    /* deleted; the file still has it */
    RECENT_NOWHERE, /* deleted; the file has none: forgotten when kept */
};

struct recent_value {
    enum recent_kind kind;
    uint32_t length;
    uint8_t bytes[];
};

struct recent_node {
    struct recent_value *value; /* NULL: as RECENT_NOWHERE */
    bool changed;               /* on trial */
    uint16_t key_length;
    uint8_t key[];
};

struct recent;

struct recent *recent_new(void);    /* NULL: no memory */
void recent_free(struct recent *r); /* NULL: does nothing */
/* Abandons r in a forked child: a thread of the parent may have been changing
 * it.  It stays reachable, so that it is no leak. */
void recent_abandon(struct recent *r);

/* Returns the node of that key; NULL: the record is as in the file. */
const struct recent_node *recent_find(const struct recent *r, const void *key,
                                      size_t length);
/* Returns the index of the first node whose key is not below. */
size_t recent_seek(const struct recent *r, const void *key, size_t length);
/* Returns a node, in order of keys, which may be RECENT_NOWHERE; NULL: the end.
 */
const struct recent_node *recent_at(const struct recent *r, size_t index);
/* Sets a record, on trial.  0, or ENOMEM: nothing has changed. */
int recent_set(struct recent *r, const void *key, size_t length,
               enum recent_kind kind, const void *value, size_t value_length);
/* Compares two keys: below 0, 0 or above 0. */
int recent_compare(const void *a, size_t a_length, const void *b,
                   size_t b_length);

/* Returns the number of nodes on trial, each counted once. */
size_t recent_changes(const struct recent *r);
const struct recent_node *recent_change(const struct recent *r, size_t index);
void recent_keep(struct recent *r);
void recent_undo(struct recent *r);

/* All nodes, those that are RECENT_GONE, and an upper bound of the bytes that
 * they need in the file. */
struct recent_totals {
    size_t count, gone, bytes;
};
struct recent_totals recent_totals(const struct recent *r);

#endif
