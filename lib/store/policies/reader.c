/* Reads what writer.c wrote.  A damaged page number can lead to an outdated
 * page whose checksums are correct.  Besides checksums, a reader therefore
 * compares the number of the transaction with the meta page's, a policy's
 * version with the newest of its versions, and a change with its version.  A
 * missing or outdated policy is reported as damage. */
#include "reader.h"

#include <stdlib.h>
#include <string.h>

#include "store/file/seal.h"
#include "store/pages/pages_view.h"
#include "record_key.h"

enum { WALK_END = 1 }; /* ends pages_walk; the result is kept elsewhere */

/* The arguments of a walk.  The result of a visit is kept apart from the result
 * of pages_walk, because both may be BIDE_ENOPOLICY. */
struct walk {
    const struct snapshot *snapshot;
    reader_visit_fn *visit;
    void *arg;
    const char *name;
    bool begun, damaged;
    uint64_t next; /* the number that must follow */
    int result;
};

static int
walk_database(const struct snapshot *s, const char *db, const void *from,
              size_t from_length, bool backwards, pages_visit_fn *see,
              struct walk *e)
{
    int rc = pages_walk(s, db, from, from_length, backwards, see, e, NULL);

    if (rc == WALK_END) {
        return e->result;
    }
    if (rc == BIDE_ENOPOLICY) {
        return pages_damaged("the registry's database %s is missing", db);
    }
    return rc;
}

/* ---- one policy ---- */

/* Decodes the record of a version (0: any) of `name`. */
static int
decode_record(const void *bytes, size_t length, const char *name,
              uint32_t version, struct record *out)
{
    struct record r;
    int rc = record_read(bytes, length, name, &r);

    if (!rc && version && r.version != version) {
        record_free(&r);
        rc = BIDE_EDAMAGED;
    }
    if (!rc) {
        *out = r;
    }
    return rc == BIDE_EDAMAGED
               ? pages_damaged("the record of %s is damaged", name)
               : rc;
}

/* Writes a key that follows all versions of a name: 1 in place of its NUL. */
static size_t
key_past_versions(const char *name, uint8_t *out)
{
    size_t length = strlen(name);

    memcpy(out, name, length);
    out[length] = 1;
    return length + 1;
}

static int
visit_newest(void *arg, const void *key, size_t key_length, const void *value,
             size_t value_length)
{
    struct walk *e = arg;

    (void)value;
    (void)value_length;
    e->next = record_key_version(e->name, key, key_length);
    return WALK_END;
}

/* Finds the newest version of a name; 0: it has none. */
static int
newest_version(const struct snapshot *s, const char *name, uint32_t *out)
{
    struct walk e = {.name = name};
    uint8_t past[RECORD_KEY_MAX];
    int rc = walk_database(s, "versions", past, key_past_versions(name, past),
                           true, visit_newest, &e);

    if (rc == 0) {
        *out = (uint32_t)e.next;
    }
    return rc;
}

/* Frees the record and fails unless it is of the newest version of its name. */
static int
check_newest(const struct snapshot *s, struct record *r)
{
    uint32_t newest = 0;
    int rc = newest_version(s, r->name, &newest);

    if (rc == 0 && r->version != newest) {
        rc = pages_damaged("%s is not at its newest version", r->name);
    }
    if (rc) {
        record_free(r);
    }
    return rc;
}

int
reader_policy(const struct snapshot *s, const char *name, struct record *out)
{
    struct record r;
    uint32_t newest = 0;
    size_t length;
    void *bytes;
    int rc, known;

    if (!record_name_fits(name)) {
        return BIDE_ENAME;
    }
    known = pages_get(s, "policies", name, strlen(name), &bytes, &length);
    if (known && known != BIDE_ENOPOLICY) {
        return known;
    }
    if (known == BIDE_ENOPOLICY) {
        rc = newest_version(s, name, &newest);
        return rc       ? rc
               : newest ? pages_damaged("%s is missing, but has versions", name)
                        : BIDE_ENOPOLICY;
    }
    rc = decode_record(bytes, length, name, 0, &r);
    free(bytes);
    rc = rc ? rc : check_newest(s, &r);
    if (rc == 0) {
        *out = r;
    }
    return rc;
}

/* Reads a version.  BIDE_EMISSING: there is none. */
static int
get_version(const struct snapshot *s, const char *name, uint32_t version,
            struct record *out)
{
    uint8_t key[RECORD_KEY_MAX];
    size_t length;
    void *bytes;
    int rc = pages_get(s, "versions", key,
                       record_version_key(name, version, key), &bytes, &length);

    if (rc == BIDE_ENOPOLICY) {
        return BIDE_EMISSING;
    }
    if (rc) {
        return rc;
    }
    rc = decode_record(bytes, length, name, version, out);
    free(bytes);
    return rc;
}

int
reader_version(const struct snapshot *s, const char *name, uint32_t version,
               struct record *out)
{
    uint32_t newest = 0;
    int rc;

    if (!record_name_fits(name)) {
        return BIDE_ENAME;
    }
    rc = newest_version(s, name, &newest);
    if (rc) {
        return rc;
    }
    if (!newest) {
        return BIDE_ENOPOLICY;
    }
    if (!version || version > newest) {
        return BIDE_ENOVERSION;
    }
    return get_version(s, name, version, out);
}

int
reader_in_force(const struct snapshot *s, const char *name,
                uint64_t realtime_ns, struct record *out)
{
    int rc = reader_policy(s, name, out);

    if (rc == 0) {
        record_settle(out, realtime_ns);
    }
    return rc;
}

/* ---- walks ---- */

static int
visit_record(struct walk *e, struct record *r)
{
    e->result = e->visit(e->arg, r);
    record_free(r);
    return e->result ? WALK_END : 0;
}

static int
visit_policy(void *arg, const void *key, size_t key_length, const void *value,
             size_t value_length)
{
    char name[BIDE_NAME_MAX + 1] = "";
    struct walk *e = arg;
    struct record r;
    int rc;

    if (key_length > BIDE_NAME_MAX) {
        return pages_damaged("a name is too long");
    }
    memcpy(name, key, key_length);
    rc = decode_record(value, value_length, name, 0, &r);
    rc = rc ? rc : check_newest(e->snapshot, &r);
    if (rc == BIDE_EDAMAGED) {
        e->damaged = true;
        return 0;
    }
    return rc ? rc : visit_record(e, &r);
}

int
reader_each_policy(const struct snapshot *s, reader_visit_fn *visit, void *arg)
{
    struct snapshot cached = *s;
    struct walk e = {.snapshot = &cached, .visit = visit, .arg = arg};
    int rc;

    /* The versions of names that follow each other are on the same pages. */
    cached.pages = calloc(1, sizeof(*cached.pages));
    if (!cached.pages) {
        return BIDE_ENOMEM;
    }
    rc = walk_database(s, "policies", NULL, 0, false, visit_policy, &e);
    free(cached.pages);
    return !rc && e.damaged ? BIDE_EDAMAGED : rc;
}

static int
visit_version(void *arg, const void *key, size_t key_length, const void *value,
              size_t value_length)
{
    struct walk *e = arg;
    uint32_t version = record_key_version(e->name, key, key_length);
    struct record r;
    int rc;

    if (!version) {
        return WALK_END; /* another name begins */
    }
    e->begun = true;
    rc = decode_record(value, value_length, e->name, version, &r);
    return rc ? rc : visit_record(e, &r);
}

int
reader_each_version(const struct snapshot *s, const char *name,
                    reader_visit_fn *visit, void *arg)
{
    struct walk e = {.visit = visit, .arg = arg, .name = name};
    uint8_t past[RECORD_KEY_MAX];
    int rc;

    if (!record_name_fits(name)) {
        return BIDE_ENAME;
    }
    rc = walk_database(s, "versions", past, key_past_versions(name, past), true,
                       visit_version, &e);
    return !rc && !e.begun ? BIDE_ENOPOLICY : rc;
}

static int
visit_change(void *arg, const void *key, size_t key_length, const void *value,
             size_t value_length)
{
    struct walk *e = arg;
    uint64_t sequence = record_key_sequence(key, key_length);
    char name[BIDE_NAME_MAX + 1];
    const uint8_t *change;
    struct record r;
    uint32_t version;
    size_t length;
    int rc;

    change = seal_read(key, key_length, value, value_length, &length);
    if (!change || !sequence || (e->begun && sequence != e->next) ||
        !record_change_read(change, length, &version, name)) {
        return pages_damaged("change %llu of the log is damaged",
                             (unsigned long long)sequence);
    }
    e->begun = true;
    e->next = sequence - 1;
    rc = get_version(e->snapshot, name, version, &r);
    if (rc == BIDE_EMISSING) {
        return pages_damaged("version %u of %s is missing", version, name);
    }
    if (!rc && r.sequence != sequence) {
        record_free(&r);
        return pages_damaged("the record of %s is damaged", name);
    }
    return rc ? rc : visit_record(e, &r);
}

int
reader_each_change(const struct snapshot *s, reader_visit_fn *visit, void *arg)
{
    struct walk e = {.snapshot = s, .visit = visit, .arg = arg};

    return walk_database(s, "log", NULL, 0, true, visit_change, &e);
}
