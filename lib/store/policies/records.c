/* Reads and writes records within a transaction.
 *
 * Example: the databases after "pay" was stored twice, the second time with
 * the parent "base":
 *   policies   pay              -> record of version 2
 *   versions   pay 00 00000001  -> record of version 1
 *              pay 00 00000002  -> record of version 2
 *   log        ...00000001      -> crc 00000001 "pay"
 *              ...00000002      -> crc 00000002 "pay"
 *   children   base 00 pay      -> crc
 *              00 pay           -> crc "base"
 *   meta       commit           -> crc 3, ... */
#include "inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record_key.h"

/* ---- reading ---- */

static int
get_record(struct writer *w, int db, const void *key, size_t length,
           const char *name, struct record *out)
{
    MDB_val k = lmdb_val(key, length), v;
    int rc = mdb_get(w->txn, w->dbi[db], &k, &v);

    if (rc == MDB_NOTFOUND) {
        return BIDE_ENOPOLICY;
    }
    if (rc) {
        return lmdb_failed(w->dir, rc);
    }
    rc = record_read(v.mv_data, v.mv_size, name, out);
    return rc == BIDE_EDAMAGED ? writer_damaged(w, name) : rc;
}

int
writer_policy(struct writer *w, const char *name, struct record *out)
{
    int rc = writer_usable(w);

    if (rc) {
        return rc;
    }
    if (!record_name_fits(name)) {
        return BIDE_ENAME;
    }
    return get_record(w, POLICIES, name, strlen(name), name, out);
}

int
writer_version(struct writer *w, const char *name, uint32_t version,
               struct record *out)
{
    uint8_t key[RECORD_KEY_MAX];
    struct record r;
    int rc = writer_policy(w, name, &r);

    if (rc) {
        return rc;
    }
    if (r.version == version) {
        *out = r;
        return 0;
    }
    if (!version || version > r.version) {
        record_free(&r);
        return BIDE_ENOVERSION;
    }
    record_free(&r);
    rc = get_record(w, VERSIONS, key, record_version_key(name, version, key),
                    name, &r);
    if (rc) {
        return rc == BIDE_ENOPOLICY ? BIDE_EMISSING : rc;
    }
    if (r.version != version) {
        record_free(&r);
        return writer_damaged(w, name);
    }
    *out = r;
    return 0;
}

int
writer_each_policy(struct writer *w, int (*visit)(void *arg, struct record *r),
                   void *arg)
{
    MDB_cursor *cursor;
    MDB_val k, v;
    int found, rc = writer_usable(w);

    if (rc) {
        return rc;
    }
    rc = mdb_cursor_open(w->txn, w->dbi[POLICIES], &cursor);
    if (rc) {
        return lmdb_failed(w->dir, rc);
    }
    while (!rc && !(found = mdb_cursor_get(cursor, &k, &v, MDB_NEXT))) {
        struct record r;

        rc = record_read(v.mv_data, v.mv_size, NULL, &r);
        if (rc) {
            rc = rc == BIDE_EDAMAGED ? writer_damaged(w, "a policy") : rc;
            break;
        }
        if (strlen(r.name) != k.mv_size ||
            memcmp(r.name, k.mv_data, k.mv_size)) {
            rc = writer_damaged(w, r.name);
        } else {
            rc = visit(arg, &r);
        }
        record_free(&r);
    }
    mdb_cursor_close(cursor);
    return !rc && found != MDB_NOTFOUND ? lmdb_failed(w->dir, found) : rc;
}

/* Reads the name of a child of `parent`.  Returns 0, 1 if the record belongs to
 * another parent, or a BIDE_E code. */
static int
read_child(struct writer *w, const char *parent, const MDB_val *k,
           const MDB_val *v, char name[BIDE_NAME_MAX + 1])
{
    size_t before = strlen(parent) + 1, length;

    if (k->mv_size < before || memcmp(k->mv_data, parent, before)) {
        return 1;
    }
    length = k->mv_size - before;
    if (!length || length > BIDE_NAME_MAX) {
        return writer_damaged(w, parent);
    }
    key_text((const uint8_t *)k->mv_data + before, name, length);
    return seal_read(k->mv_data, k->mv_size, v->mv_data, v->mv_size, &length)
               ? 0
               : writer_damaged(w, parent);
}

int
writer_each_child(struct writer *w, const char *parent,
                  int (*visit)(void *arg, const char *name), void *arg)
{
    char name[BIDE_NAME_MAX + 1];
    MDB_val k = lmdb_val(parent, strlen(parent) + 1), v;
    MDB_cursor *cursor;
    int found, rc = writer_usable(w);

    if (rc) {
        return rc;
    }
    if (!record_name_fits(parent)) {
        return BIDE_ENAME;
    }
    rc = mdb_cursor_open(w->txn, w->dbi[CHILDREN], &cursor);
    if (rc) {
        return lmdb_failed(w->dir, rc);
    }
    found = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    while (!found && !rc) {
        rc = read_child(w, parent, &k, &v, name);
        if (rc > 0) {
            rc = 0;
            found = MDB_NOTFOUND;
            break;
        }
        rc = rc ? rc : visit(arg, name);
        if (!rc) {
            found = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
        }
    }
    mdb_cursor_close(cursor);
    return !rc && found != MDB_NOTFOUND ? lmdb_failed(w->dir, found) : rc;
}

/* ---- writing ---- */

/* Returns in *out the sequence number of the last change, 0 if there is none.
 */
static int
last_sequence(struct writer *w, uint64_t *out)
{
    MDB_cursor *cursor;
    MDB_val k, v;
    int rc;

    if (w->sequence) {
        *out = w->sequence;
        return 0;
    }
    rc = mdb_cursor_open(w->txn, w->dbi[LOG], &cursor);
    if (rc) {
        return lmdb_failed(w->dir, rc);
    }
    rc = mdb_cursor_get(cursor, &k, &v, MDB_LAST);
    mdb_cursor_close(cursor);
    if (rc == MDB_NOTFOUND) {
        *out = 0;
        return 0;
    }
    if (rc) {
        return lmdb_failed(w->dir, rc);
    }
    *out = record_key_sequence(k.mv_data, k.mv_size);
    return *out && *out < UINT64_MAX ? 0 : writer_damaged(w, "the log");
}

static int
put_value(struct writer *w, int db, const void *key, size_t key_length,
          const void *value, size_t length, unsigned flags)
{
    MDB_val k = lmdb_val(key, key_length), v = lmdb_val(value, length);

    return mdb_put(w->txn, w->dbi[db], &k, &v, flags);
}

static int
put_sealed(struct writer *w, int db, const void *key, size_t key_length,
           const void *value, size_t length, unsigned flags)
{
    return lmdb_put_sealed(w->txn, w->dbi[db], key, key_length, value, length,
                           flags);
}

/* Removes the link to an earlier parent.  If that is `parent`, keeps it and
 * sets *linked. */
static int
unlink_child(struct writer *w, const char *name, const char *parent,
             bool *linked)
{
    uint8_t up[RECORD_KEY_MAX], down[RECORD_KEY_MAX];
    size_t up_length = record_child_key("", name, up), length;
    char old[BIDE_NAME_MAX + 1];
    MDB_val k = lmdb_val(up, up_length), v;
    const uint8_t *value;
    int rc = mdb_get(w->txn, w->dbi[CHILDREN], &k, &v);

    *linked = false;
    if (rc) {
        return rc == MDB_NOTFOUND ? 0 : rc;
    }
    value = seal_read(up, up_length, v.mv_data, v.mv_size, &length);
    if (!value || !length || length > BIDE_NAME_MAX) {
        return MDB_CORRUPTED;
    }
    key_text(value, old, length);
    *linked = !strcmp(old, parent);
    if (*linked) {
        return 0;
    }
    rc = mdb_del(w->txn, w->dbi[CHILDREN], &k, NULL);
    if (!rc) {
        k = lmdb_val(down, record_child_key(old, name, down));
        rc = mdb_del(w->txn, w->dbi[CHILDREN], &k, NULL);
    }
    return rc;
}

static int
link_child(struct writer *w, const char *name, const char *parent)
{
    uint8_t key[RECORD_KEY_MAX];
    bool linked;
    int rc = unlink_child(w, name, parent, &linked);

    if (rc || linked || !*parent) {
        return rc;
    }
    rc = put_sealed(w, CHILDREN, key, record_child_key("", name, key), parent,
                    strlen(parent), 0);
    rc = rc ? rc
            : put_sealed(w, CHILDREN, key, record_child_key(parent, name, key),
                         NULL, 0, 0);
    return rc;
}

/* Writes a version, which must be new, and its entry in the log. */
static int
put_version(struct writer *w, const struct record *r, const void *bytes,
            size_t length, unsigned log_flags)
{
    uint8_t key[RECORD_KEY_MAX], change[RECORD_KEY_MAX];
    int rc = put_value(w, VERSIONS, key,
                       record_version_key(r->name, r->version, key), bytes,
                       length, MDB_NOOVERWRITE);

    rc = rc ? rc
            : put_sealed(w, LOG, key, record_sequence_key(r->sequence, key),
                         change, record_change(r, change), log_flags);
    return rc == MDB_KEYEXIST ? MDB_CORRUPTED : rc;
}

int
writer_put(struct writer *w, struct record *r, const char *parent)
{
    struct record next = *r, now;
    size_t length;
    void *bytes;
    int rc;

    parent = parent ? parent : "";
    if (*parent && !record_name_fits(parent)) {
        return place_say(BIDE_EINVAL, "the parent is not a valid name");
    }
    rc = writer_policy(w, r->name, &now);
    next.version += !next.version;
    if (!rc) { /* 0 after 2^32 - 1: refused below */
        next.version =
            next.version > now.version ? next.version : now.version + 1;
        record_free(&now);
    } else if (rc != BIDE_ENOPOLICY) {
        return rc == BIDE_ENAME ? BIDE_EINVAL : rc;
    }
    rc = last_sequence(w, &next.sequence);
    next.sequence++;
    rc = rc ? rc : record_write(&next, &bytes, &length);
    if (rc) {
        return rc == BIDE_EINVAL
                   ? place_say(
                         rc,
                         "%s: too long to store, or too many temporary values",
                         r->name)
                   : rc;
    }
    rc = put_value(w, POLICIES, next.name, strlen(next.name), bytes, length, 0);
    rc = rc ? rc : put_version(w, &next, bytes, length, MDB_APPEND);
    rc = rc ? rc : link_child(w, next.name, parent);
    free(bytes);
    w->changed = true;
    if (rc) {
        w->failed = lmdb_failed(w->dir, rc);
        return w->failed;
    }
    w->sequence = next.sequence;
    *r = next;
    return 0;
}

/* ---- renaming ---- */

/* Stores a version, and its entry in the log, under another name. */
static int
move_version(struct writer *w, struct record *r, const char *to)
{
    uint8_t key[RECORD_KEY_MAX];
    MDB_val k = lmdb_val(key, record_version_key(r->name, r->version, key));
    char *text = r->deleted ? NULL : record_text_named(r, to);
    void *bytes = NULL;
    size_t length;
    int rc = mdb_del(w->txn, w->dbi[VERSIONS], &k, NULL);

    strcpy(r->name, to);
    if (text) {
        r->text = r->parts[0].value = text;
    }
    if (!rc && ((!text && !r->deleted) || record_write(r, &bytes, &length))) {
        rc = ENOMEM;
    }
    rc = rc ? rc : put_version(w, r, bytes, length, 0);
    free(bytes);
    free(text);
    return rc;
}

int
writer_move_versions(struct writer *w, const char *from, const char *to,
                     uint32_t newest)
{
    uint8_t key[RECORD_KEY_MAX];
    struct record r;
    int rc = writer_usable(w);

    w->changed |= !rc;
    for (uint32_t v = 1; v <= newest && !rc; v++) {
        rc = get_record(w, VERSIONS, key, record_version_key(from, v, key),
                        from, &r);
        if (rc == 0) {
            rc = lmdb_failed(w->dir, move_version(w, &r, to));
            record_free(&r);
        } else if (rc == BIDE_ENOPOLICY) {
            rc = 0; /* a number that was left out */
        }
    }
    w->failed = rc;
    return rc;
}
