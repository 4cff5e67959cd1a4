/* The keys of registry.mdb, and its values that are no records. */
#ifndef BIDE_STORE_RECORD_KEY_H
#define BIDE_STORE_RECORD_KEY_H

#include "record.h"

/* Reports whether a name has between 1 and BIDE_NAME_MAX bytes. */
bool record_name_fits(const char *name);

enum {
    RECORD_KEY_MAX = BIDE_NAME_MAX + 1 + BIDE_NAME_MAX + 1,
};

/* Write a key of at most RECORD_KEY_MAX bytes and return its length. */
size_t record_version_key(const char *name, uint32_t version, uint8_t *out);
size_t record_sequence_key(uint64_t sequence, uint8_t *out);
size_t record_child_key(const char *parent, const char *name, uint8_t *out);
/* Return the version in a key of this name, and the sequence number in a key of
 * the log; 0 if it is no such key. */
uint32_t record_key_version(const char *name, const void *key, size_t length);
uint64_t record_key_sequence(const void *key, size_t length);

/* Encode and decode the value of a change in the log: version and name, without
 * the seal. */
size_t record_change(const struct record *r, uint8_t *out);
bool record_change_read(const uint8_t *value, size_t length, uint32_t *version,
                        char name[BIDE_NAME_MAX + 1]);

#endif
