/* What changed since deferred.mdb was last brought up to date: records in
 * memory, in order of their keys as LMDB orders them, over those in the file.
 * Changes are made on trial until they are kept or undone.  One thread at a
 * time. */
#ifndef BIDE_STORE_DEFERRED_RECENT_H
#define BIDE_STORE_DEFERRED_RECENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum recent_kind {
    RECENT_HERE,    /* with this value, whatever the file says */
    RECENT_GONE,    /* the file has it still */
    RECENT_NOWHERE, /* the file has none either: forgotten when kept */
};

struct recent_value {
    enum recent_kind kind;
    uint32_t length;
    uint8_t bytes[];
};

struct recent_node {
    struct recent_value *value; /* NULL: as RECENT_NOWHERE */
    bool changed;               /* on trial */
    uint8_t height;
    uint16_t key_length;
    const uint8_t *key;
    struct recent_node *next[]; /* the first of them: in order */
};

struct recent;

struct recent *recent_new(void); /* NULL: no memory */
/* All of it.  NULL: does nothing. */
void recent_free(struct recent *r);
/* One that a thread of a parent may have been at: not to be touched again. */
void recent_lose(struct recent *r);

/* NULL: the file's record holds. */
const struct recent_node *recent_find(const struct recent *r, const void *key,
                                      size_t length);
/* The first whose key is not below, NOWHERE included. */
const struct recent_node *recent_seek(const struct recent *r, const void *key,
                                      size_t length);
/* The last whose key is below. */
const struct recent_node *recent_before(const struct recent *r, const void *key,
                                        size_t length);
/* 0 or ENOMEM, and then nothing has changed. */
int recent_set(struct recent *r, const void *key, size_t length,
               enum recent_kind kind, const void *value, size_t value_length);
int recent_compare(const void *a, size_t a_length, const void *b,
                   size_t b_length);

/* What is on trial: each once. */
size_t recent_changes(const struct recent *r);
const struct recent_node *recent_change(const struct recent *r, size_t index);
void recent_keep(struct recent *r);
void recent_undo(struct recent *r);

size_t recent_count(const struct recent *r); /* nodes */
size_t recent_gone(const struct recent *r);  /* of them: RECENT_GONE */
/* How much the file may grow by them. */
size_t recent_bytes(const struct recent *r);

#endif
