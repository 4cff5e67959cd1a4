/* The databases of registry.mdb and the bytes of a record (record.c).
 *
 *   policies   name                  -> record of the newest version
 *   versions   name NUL be32 version -> record
 *   log        be64 sequence         -> be32 version, name
 *   children   parent NUL name       -> empty: `name` extends `parent`
 *              NUL name              -> the parent, to find the record above
 *   meta       "format", "id", "live", "created", "commit", "dir", "journal",
 *              "floor", "fleet", "fleet/NAME",
 *              "renamed NUMBER", from 1 -> record_rename
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
#include "base/plain.h"

struct policy_text;

/* What the agent of a fleet applied last: "fleet" of meta.  0: nothing yet.
 * "fleet/NAME" is there, empty, for each policy that it made. */
struct record_fleet {
    uint64_t cluster, revision; /* of etcd, when the pointer was read */
    uint64_t since_ms;          /* CLOCK_REALTIME */
    uint32_t release;
    uint32_t stage; /* percent of the stage that brought it; 0: named hosts */
    char host[72];  /* the name of this host in the fleet */
};

#define STORE_FORMAT 3
#define REGISTRY_ID_SIZE 16

enum {
    RECORD_WHO_MAX = 64,
    RECORD_NOTE_MAX = 500,
    RECORD_TEXT_MAX = 1 << 20,
    RECORD_KEY_NAME_MAX = 64,
    RECORD_PARTS_MAX = 512,
};

/* A part of a policy: the base, or one key of a temporary change.  The parts of
 * one temporary change (a layer) have the same version. */
struct record_part {
    uint32_t version;           /* that made it; to write: 0 is the new one */
    uint64_t when_ns, until_ns; /* CLOCK_REALTIME; until 0: the base */
    uint32_t uid;               /* the real one of the process */
    const char *who, *note;
    const char *key;   /* "": the base */
    const char *value; /* the text of the base; NULL: the key is unset */
};

/* A policy as one version left it: a base, and the layers over it. */
struct record {
    char name[BIDE_NAME_MAX + 1];
    bool deleted;      /* then the base is all, and text is "" */
    uint64_t sequence; /* in the log */
    /* Of the newest part: */
    uint32_t version, uid;  /* 1 is the first; a deletion is a version too */
    uint64_t when_ns;       /* CLOCK_REALTIME */
    const char *who, *note; /* the author and the note; never NULL */
    uint64_t until_ns; /* CLOCK_REALTIME: the next end of a layer; 0: none */
    const char *text;  /* of the base: canonical, one section; never NULL */
    /* The base, then the parts of layers, older versions first.  To write a
     * base alone, part_count may be 0. */
    size_t part_count;
    struct record_part *parts;
};

/* A policy got another name: what was counted under versions of `from` below
 * `version`, its deletion's, belongs to `to`. */
struct record_rename {
    uint64_t when_ns; /* CLOCK_REALTIME */
    uint32_t version;
    char from[BIDE_NAME_MAX + 1], to[BIDE_NAME_MAX + 1];
    char zero[2];
};
_Static_assert(sizeof(struct record_rename) == 112, "no padding");
struct brief record_rename_key(unsigned number); /* of meta */
/* Begins the note of the deletion; record_renamed_to() returns what follows in
 * it, NULL if the record is another one. */
#define RECORD_RENAMED_TO "renamed to "
const char *record_renamed_to(const struct record *r);
/* Returns the text of a record under another name; NULL without memory. */
char *record_text_named(const struct record *r, const char *name);

/* Encodes a record as malloc'ed bytes with a checksum (CRC-32C).  Fails with
 * BIDE_EINVAL if a string is too long or NULL, the name is empty, the parts are
 * not as above, or a deletion has a text; BIDE_ENOMEM. */
int record_write(const struct record *r, void **out, size_t *out_length);
/* Decodes a record; release it with record_free.  Fails with BIDE_EDAMAGED if
 * record_write did not make these bytes or `name` (NULL: any) is not its name;
 * BIDE_ENOMEM. */
int record_read(const void *bytes, size_t length, const char *name,
                struct record *out);
void record_free(struct record *r); /* frees the parts, not r */

/* Takes the parts that have ended at a time out of a record that was read. */
void record_settle(struct record *r, uint64_t at_ns);

/* Returns the end of the newest part: 0 if that is the base. */
uint64_t record_end(const struct record *r);

/* Parse the text of the base, and the text of the policy with its layers; the
 * caller frees it.  Fail with BIDE_EDAMAGED, BIDE_ENOMEM; BIDE_ENOPOLICY: it is
 * deleted. */
int record_base(const struct record *r, struct policy_text **out);
int record_compose(const struct record *r, struct policy_text **out);
/* Lays the parts that end after `at_ns` over a copy of `base`. */
int record_lay(const struct policy_text *base, const struct record_part *parts,
               size_t count, uint64_t at_ns, struct policy_text **out);

#endif
