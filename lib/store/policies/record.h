/* What registry.mdb holds, and how a record looks in bytes.
 *
 *   policies   name                  -> record (the version in force)
 *   versions   name NUL be32 version -> record
 *   log        be64 sequence         -> be32 version, name
 *   children   parent NUL name       -> nothing: `name` extends `parent`
 *              NUL name              -> the parent, to find that again
 *   meta       "format", "id", "live", "created", "commit"
 *
 * Every value has a checksum; outside of records it is over key and value.
 * "commit" is the transaction's own number: a reader that is led to an outdated
 * tree sees another one than its file claims. */
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
    uint64_t until_ns; /* CLOCK_REALTIME: holds till then; 0: for good */
    uint32_t back_to;  /* with until_ns: the version that holds after */
    char *who, *note;  /* never NULL */
    char *text;        /* canonical, of one section; never NULL */
};

/* malloc'ed bytes with a checksum (CRC-32C) over all of it.  BIDE_EINVAL when
 * something is too long, a pointer is NULL, version is 0, or a deletion has a
 * text; BIDE_ENOMEM. */
int record_write(const struct record *r, void **out, size_t *out_length);
/* BIDE_EDAMAGED when the bytes are not what record_write made, or belong to
 * another name than `name` (NULL: any).  BIDE_ENOMEM. */
int record_read(const void *bytes, size_t length, const char *name,
                struct record *out);
void record_free(struct record *r); /* what is inside */

/* ---- keys and values outside of records; all for the room itself ---- */

enum {
    RECORD_KEY_MAX = BIDE_NAME_MAX + 1 + BIDE_NAME_MAX + 1,
};

/* Fit RECORD_KEY_MAX bytes; give the length. */
size_t record_version_key(const char *name, uint32_t version, uint8_t *out);
size_t record_sequence_key(uint64_t sequence, uint8_t *out);
size_t record_child_key(const char *parent, const char *name, uint8_t *out);
/* The version in a key of that name, 0 if it is none. */
uint32_t record_key_version(const char *name, const void *key, size_t length);
uint64_t record_key_sequence(const void *key, size_t length);

/* The value of a change in the log: version and name, to be sealed. */
size_t record_change(const struct record *r, uint8_t *out);
bool record_change_read(const uint8_t *value, size_t length, uint32_t *version,
                        char name[BIDE_NAME_MAX + 1]);

#endif
