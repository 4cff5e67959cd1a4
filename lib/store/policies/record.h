/* The databases of registry.mdb and the bytes of a record (record.c).
 *
 *   policies   name                  -> record of the newest version
 *   versions   name NUL be32 version -> record
 *   log        be64 sequence         -> be32 version, name
 *   children   parent NUL name       -> empty: `name` extends `parent`
 *              NUL name              -> the parent, to find the record above
 *   meta       "format", "id", "live", "created", "commit", "dir"
 *
 * Records contain a checksum; all other values are sealed (store/file/seal.h).
 * "commit" is the number of the transaction that wrote it: a reader of an
 * outdated tree finds a number that differs from the meta page's.  "dir" is the
 * directory of the registry, by which a copy is known; a copy keeps it. */
#ifndef BIDE_STORE_RECORD_H
#define BIDE_STORE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bide.h>

#define STORE_FORMAT 1
#define REGISTRY_ID_SIZE 16

enum {
    RECORD_WHO_MAX = 64,
    RECORD_NOTE_MAX = 500,
    RECORD_TEXT_MAX = 1 << 20,
};

/* One version of one policy. */
struct record {
    char name[BIDE_NAME_MAX + 1];
    uint32_t version;  /* 1 is the first; a deletion is a version too */
    bool deleted;      /* then text is "" */
    uint64_t sequence; /* in the log */
    uint64_t when_ns;  /* CLOCK_REALTIME */
    uint64_t until_ns; /* CLOCK_REALTIME: in force until then; 0: no limit */
    uint32_t back_to;  /* with until_ns: the version in force afterwards */
    char *who, *note;  /* the author and the note; never NULL */
    char *text;        /* canonical, one section; never NULL */
};

/* Encodes a record as malloc'ed bytes with a checksum (CRC-32C) over all of
 * them.  Fails with BIDE_EINVAL if a string is too long or NULL, the name is
 * empty, version is 0, or a deletion has a text; BIDE_ENOMEM. */
int record_write(const struct record *r, void **out, size_t *out_length);
/* Decodes a record; release it with record_free.  Fails with BIDE_EDAMAGED if
 * record_write did not make these bytes, or the name is not `name` (NULL: any
 * name).  Also fails with BIDE_ENOMEM. */
int record_read(const void *bytes, size_t length, const char *name,
                struct record *out);
void record_free(struct record *r); /* frees the strings, not r */

/* ---- keys and other values, for this room only ---- */

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
