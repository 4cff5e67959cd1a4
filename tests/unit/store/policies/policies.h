/* Policies whose fields all depend on name and version only, so that a test can
 * decide whether a record that it read is right. */
#ifndef TESTS_STORE_POLICIES_H
#define TESTS_STORE_POLICIES_H

#include "unit/store/file/scratch.h"

#include "store/policies/writer.h"
#include "store/file/seal.h"

/* Returns the record of a name and version; its strings are valid for the next
 * seven calls. */
UNUSED static struct record
policy(const char *name, uint32_t version)
{
    static char texts[8][40000], notes[8][64];
    static unsigned turn;
    struct record r = {.version = version};
    uint64_t seed = version * UINT64_C(0x9E3779B97F4A7C15) + 1;
    size_t length, i;
    const char *p;
    char *text;

    turn = (turn + 1) % 8;
    text = texts[turn];
    snprintf(r.name, sizeof(r.name), "%s", name);
    for (p = name; *p; p++) {
        seed = (seed ^ (unsigned char)*p) * UINT64_C(0x100000001B3);
    }
    length = below(&seed, 12) ? below(&seed, 400) : below(&seed, 16384);
    i = (size_t)sprintf(text, "[%s]\n# %u ", name, version);
    for (; i < length; i++) {
        text[i] = (char)('a' + below(&seed, 26));
    }
    text[i] = '\0';
    snprintf(notes[turn], sizeof(notes[turn]), "change %u", version);
    r.text = text;
    r.note = notes[turn];
    r.who = name[0] & 1 ? notes[turn] : text + strlen(text);
    r.when_ns = seed;
    return r;
}

/* Reports whether a record is the one that `policy` made. */
UNUSED static bool
is_right(const struct record *r)
{
    struct record p = policy(r->name, r->version);

    return !strcmp(r->text, p.text) && !strcmp(r->note, p.note) &&
           !strcmp(r->who, p.who) && r->when_ns == p.when_ns && !r->deleted;
}

UNUSED static void
assert_right(const struct record *r, uint32_t version)
{
    assert_int_equal(r->version, version);
    assert_true(is_right(r));
}

/* Begins a writer; makes the registry if there is none. */
UNUSED static struct writer *
began(const char *dir)
{
    uint8_t id[REGISTRY_ID_SIZE];
    struct writer *w;
    int rc = writer_begin(dir, "test", 1000, &w);

    if (rc == BIDE_EMISSING) {
        assert_int_equal(writer_create(dir, "/run/bide", NULL, id), 0);
        rc = writer_begin(dir, "test", 1000, &w);
    }
    if (rc) {
        fprintf(stderr, "%s\n", place_why());
    }
    assert_int_equal(rc, 0);
    return w;
}

/* For tests that write with LMDB itself: stores the transaction's number, as
 * each commit of a writer does. */
UNUSED static void
lmdb_commit_number(MDB_txn *txn, MDB_dbi meta)
{
    uint64_t number = mdb_txn_id(txn);
    uint8_t sealed[16];
    char key[] = "commit";
    MDB_val k = {6, key}, v = {0, sealed};

    v.mv_size = seal_write(key, 6, &number, sizeof(number), sealed);
    assert_int_equal(mdb_put(txn, meta, &k, &v, 0), 0);
}

#endif
