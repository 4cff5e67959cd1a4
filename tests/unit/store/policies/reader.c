#include "policies.h"

#include "policy/policy.h"
#include "store/policies/reader.h"

/* ---- a registry to read ---- */

enum { NAMES = 60, ROUNDS = 4 };

static void
write_name(char out[16], unsigned number)
{
    snprintf(out, 16, "p%04u", number);
}

/* Commits ROUNDS transactions; each stores every name with number % ROUNDS <=
 * round, odd numbers with the parent "p0000". */
static void
fill_registry(const char *dir)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct writer *w = began(dir);

        for (unsigned i = 0; i < NAMES; i++) {
            if (i % ROUNDS <= round) {
                char name[16];
                struct record in;

                write_name(name, i);
                in = policy(name, 1 + round - i % ROUNDS);
                assert_int_equal(writer_put(w, &in, i % 2 ? "p0000" : NULL), 0);
                assert_right(&in, 1 + round - i % ROUNDS);
            }
        }
        assert_int_equal(writer_commit(w), 0);
        writer_end(w);
    }
}

static uint32_t
newest_version(unsigned number)
{
    return ROUNDS - number % ROUNDS;
}

struct query {
    const char *name;
    uint32_t version;
    uint64_t time;
    struct record got;
};

static int
query_policy(void *arg, const struct snapshot *s)
{
    struct query *a = arg;

    return reader_policy(s, a->name, &a->got);
}

static int
query_version(void *arg, const struct snapshot *s)
{
    struct query *a = arg;

    return reader_version(s, a->name, a->version, &a->got);
}

static int
query_in_force(void *arg, const struct snapshot *s)
{
    struct query *a = arg;

    return reader_in_force(s, a->name, a->time, &a->got);
}

static struct reader *
open_reader(const char *dir)
{
    struct reader *r;

    assert_int_equal(reader_open(dir, &r), 0);
    return r;
}

/* ---- one policy ---- */

static void
every_version_of_every_policy_is_read(void **state)
{
    struct scratch *t = *state;
    struct reader *r;
    uint64_t txn = 0;

    fill_registry(t->dir);
    r = open_reader(t->dir);
    for (unsigned i = 0; i < NAMES; i++) {
        char name[16];
        struct query a = {.name = name};

        write_name(name, i);
        assert_int_equal(reader_read(r, query_policy, &a, &txn), 0);
        assert_right(&a.got, newest_version(i));
        record_free(&a.got);
        assert_int_equal(txn, 1 + ROUNDS);
        for (a.version = 0; a.version <= newest_version(i) + 1; a.version++) {
            int rc = reader_read(r, query_version, &a, NULL);

            if (a.version && a.version <= newest_version(i)) {
                assert_int_equal(rc, 0);
                assert_right(&a.got, a.version);
                record_free(&a.got);
            } else {
                assert_int_equal(rc, BIDE_ENOVERSION);
            }
        }
    }
    reader_close(r);
    reader_close(NULL);
}

static void
an_unknown_name_and_an_invalid_name_give_different_errors(void **state)
{
    static const char *const unknown[] = {"p", "p00000", "o", "q", "p0000-"};
    struct scratch *t = *state;
    struct query a = {.version = 1};
    struct reader *r;

    fill_registry(t->dir);
    r = open_reader(t->dir);
    for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++) {
        a.name = unknown[i];
        assert_int_equal(reader_read(r, query_policy, &a, NULL),
                         BIDE_ENOPOLICY);
        assert_int_equal(reader_read(r, query_version, &a, NULL),
                         BIDE_ENOPOLICY);
    }
    a.name = "";
    assert_int_equal(reader_read(r, query_policy, &a, NULL), BIDE_ENAME);
    a.name = "a-name-that-is-longer-than-any-name-has-a-right-to-";
    assert_int_equal(reader_read(r, query_policy, &a, NULL), BIDE_ENAME);
    reader_close(r);
}

static void
a_deleted_policy_gives_its_tombstone(void **state)
{
    struct scratch *t = *state;
    struct query a = {.name = "pay"};
    struct writer *w = began(t->dir);
    struct record in = policy("pay", 1);
    struct reader *r;

    assert_int_equal(writer_put(w, &in, NULL), 0);
    in.deleted = true;
    in.text += strlen(in.text);
    assert_int_equal(writer_put(w, &in, NULL), 0);
    assert_int_equal(writer_commit(w), 0);
    writer_end(w);
    r = open_reader(t->dir);
    assert_int_equal(reader_read(r, query_policy, &a, NULL), 0);
    assert_true(a.got.deleted);
    assert_int_equal(a.got.version, 2);
    record_free(&a.got);
    reader_close(r);
}

static void
layers_end_each_by_itself(void **state)
{
    /* Parts of one record: the base is newer than the first layer. */
    struct record_part parts[] = {
        {3, 30, 0, 1000, "bea", "", "", "[pay]\nattempts = 4\nwait_max = 5s\n"},
        {2, 20, 1000, 1000, "ann", "", "attempts", "9"},
        {4, 40, 2000, 1000, "cid", "", "attempts", "8"},
        {4, 40, 2000, 1000, "cid", "", "wait_max", NULL},
        {0, 50, 500, 1000, "dan", "n", "attempts", "7"},
    };
    static const struct {
        uint64_t time, until;
        uint32_t version;
        const char *who, *attempts, *wait_max;
    } cases[] = {
        {0, 500, 5, "dan", "7", NULL},        {499, 500, 5, "dan", "7", NULL},
        {500, 1000, 4, "cid", "8", NULL},     {1000, 2000, 4, "cid", "8", NULL},
        {1999, 2000, 4, "cid", "8", NULL},    {2000, 0, 3, "bea", "4", "5s"},
        {UINT64_MAX, 0, 3, "bea", "4", "5s"},
    };
    struct scratch *t = *state;
    struct writer *w = began(t->dir);
    struct reader *r;

    for (int i = 0; i < 5; i++) {
        struct record in = policy("pay", 1);

        if (i == 4) {
            in.parts = parts;
            in.part_count = sizeof(parts) / sizeof(*parts);
        }
        assert_int_equal(writer_put(w, &in, NULL), 0);
    }
    assert_int_equal(writer_commit(w), 0);
    writer_end(w);
    r = open_reader(t->dir);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct query a = {.name = "pay", .time = cases[i].time};
        struct policy_text *text;
        const char *value;

        assert_int_equal(reader_read(r, query_in_force, &a, NULL), 0);
        assert_int_equal(a.got.version, cases[i].version);
        assert_int_equal(a.got.until_ns, cases[i].until);
        assert_string_equal(a.got.who, cases[i].who);
        assert_int_equal(record_compose(&a.got, &text), 0);
        assert_string_equal(policy_text_get(text, key_find("attempts")),
                            cases[i].attempts);
        value = policy_text_get(text, key_find("wait_max"));
        assert_true(!value == !cases[i].wait_max);
        if (value) {
            assert_string_equal(value, cases[i].wait_max);
        }
        policy_text_free(text);
        record_free(&a.got);
    }
    reader_close(r);
}

/* ---- walks ---- */

struct seen {
    unsigned count;
    uint64_t last;
    int end_at, result;
    char names[4000];
};

static int
visit_name(void *arg, struct record *r)
{
    struct seen *s = arg;
    char name[16];

    write_name(name, s->count++);
    assert_string_equal(r->name, name);
    assert_true(is_right(r));
    return (int)s->count == s->end_at ? s->result : 0;
}

static int
visit_version(void *arg, struct record *r)
{
    struct seen *s = arg;

    assert_true(is_right(r));
    assert_int_equal(r->version, s->last - s->count++);
    return (int)s->count == s->end_at ? s->result : 0;
}

static int
visit_sequence(void *arg, struct record *r)
{
    struct seen *s = arg;

    assert_true(is_right(r));
    assert_true(!s->count || r->sequence == s->last - 1);
    s->last = r->sequence;
    s->count++;
    return (int)s->count == s->end_at ? s->result : 0;
}

static int
visit_child(void *arg, const char *name)
{
    struct seen *s = arg;

    s->count++;
    strcat(strcat(s->names, name), " ");
    return 0;
}

static int
walk_all(void *arg, const struct snapshot *s)
{
    struct seen seen = {.last = newest_version(4)};

    (void)arg;
    assert_int_equal(reader_each_policy(s, visit_name, &seen), 0);
    assert_int_equal(seen.count, NAMES);

    seen = (struct seen){.last = newest_version(4)};
    assert_int_equal(reader_each_version(s, "p0004", visit_version, &seen), 0);
    assert_int_equal(seen.count, newest_version(4));
    assert_int_equal(reader_each_version(s, "p004", visit_version, &seen),
                     BIDE_ENOPOLICY);

    seen = (struct seen){0};
    assert_int_equal(reader_each_change(s, visit_sequence, &seen), 0);
    assert_int_equal(seen.last, 1);
    assert_int_equal(seen.count, NAMES / ROUNDS * (4 + 3 + 2 + 1));

    return 0;
}

static void
walk_children(const char *dir)
{
    struct writer *w = began(dir);
    struct seen seen = {0};

    assert_int_equal(writer_each_child(w, "p0000", visit_child, &seen), 0);
    assert_int_equal(seen.count, NAMES / 2);
    for (unsigned i = 1; i < NAMES; i += 2) {
        char name[16];

        write_name(name, i);
        assert_non_null(strstr(seen.names, name));
    }
    seen = (struct seen){0};
    assert_int_equal(writer_each_child(w, "p0001", visit_child, &seen), 0);
    assert_int_equal(seen.count, 0);
    writer_end(w);
}

static void
walks_visit_all_records_in_order(void **state)
{
    struct scratch *t = *state;
    struct reader *r;

    fill_registry(t->dir);
    r = open_reader(t->dir);
    assert_int_equal(reader_read(r, walk_all, NULL, NULL), 0);
    reader_close(r);
    walk_children(t->dir);
}

/* Ends walks with results that a walk itself also returns. */
static int
end_walks(void *arg, const struct snapshot *s)
{
    static const int results[] = {1, 2, BIDE_ENOPOLICY, BIDE_EDAMAGED, -99};

    (void)arg;
    for (size_t i = 0; i < sizeof(results) / sizeof(*results); i++) {
        const struct seen two = {.end_at = 2, .result = results[i]};
        struct seen seen = two;

        assert_int_equal(reader_each_policy(s, visit_name, &seen), results[i]);
        assert_int_equal(seen.count, 2);
        seen = two;
        seen.last = newest_version(4);
        assert_int_equal(reader_each_version(s, "p0004", visit_version, &seen),
                         results[i]);
        seen = two;
        assert_int_equal(reader_each_change(s, visit_sequence, &seen),
                         results[i]);
        assert_int_equal(seen.count, 2);
    }
    return 42;
}

static void
a_visit_ends_its_walk_with_its_result(void **state)
{
    struct scratch *t = *state;
    struct reader *r;

    fill_registry(t->dir);
    r = open_reader(t->dir);
    assert_int_equal(reader_read(r, end_walks, NULL, NULL), 42);
    reader_close(r);
}

static int
walk_empty(void *arg, const struct snapshot *s)
{
    struct seen seen = {0};

    (void)arg;
    assert_int_equal(reader_each_policy(s, visit_name, &seen), 0);
    assert_int_equal(reader_each_change(s, visit_sequence, &seen), 0);
    assert_int_equal(reader_each_version(s, "a", visit_name, &seen),
                     BIDE_ENOPOLICY);
    assert_int_equal(seen.count, 0);
    return 0;
}

static void
an_empty_registry_has_no_records(void **state)
{
    struct scratch *t = *state;
    struct reader *r;

    writer_end(began(t->dir));
    r = open_reader(t->dir);
    assert_int_equal(reader_read(r, walk_empty, NULL, NULL), 0);
    reader_close(r);
}

/* ---- a writer beside a reader ---- */

struct disturbed {
    const char *dir;
    int left, runs;
};

/* Commits twice, after which a snapshot is no longer valid. */
static int
disturb(void *arg, const struct snapshot *s)
{
    struct disturbed *d = arg;

    (void)s;
    d->runs++;
    for (int i = 0; i < 2 && d->left > 0; i++) {
        struct writer *w = began(d->dir);
        struct record in = policy("pay", 1);

        assert_int_equal(writer_put(w, &in, NULL), 0);
        assert_int_equal(writer_commit(w), 0);
        writer_end(w);
    }
    return --d->left >= 0 ? BIDE_EDAMAGED : 0;
}

static void
a_reading_is_repeated_until_no_writer_interferes(void **state)
{
    struct scratch *t = *state;
    struct disturbed d = {.dir = t->dir, .left = 3};
    struct reader *r;
    uint64_t txn = 77;

    writer_end(began(t->dir));
    r = open_reader(t->dir);
    assert_int_equal(reader_read(r, disturb, &d, &txn), 0);
    assert_int_equal(d.runs, 4);
    assert_int_equal(txn, 1 + 6);
    d = (struct disturbed){.dir = t->dir, .left = 1000};
    assert_int_equal(reader_read(r, disturb, &d, &txn), BIDE_ELOCKED);
    assert_int_equal(d.runs, 100);
    assert_int_equal(txn, 1 + 6);
    reader_close(r);
}

/* ---- damage that checksums do not detect ---- */

/* Deletes a record, or without a key the whole database, with LMDB itself. */
static void
delete_with_lmdb(const char *file, const char *db, const char *key,
                 size_t length)
{
    MDB_env *env = lmdb_env(file);
    MDB_val k = {length, (void *)(uintptr_t)key};
    MDB_dbi dbi, meta;
    MDB_txn *txn;

    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, db, 0, &dbi), 0);
    assert_int_equal(mdb_dbi_open(txn, "meta", 0, &meta), 0);
    if (key) {
        assert_int_equal(mdb_del(txn, dbi, &k, NULL), 0);
    } else {
        assert_int_equal(mdb_drop(txn, dbi, 1), 0);
    }
    lmdb_commit_number(txn, meta);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static int
walk_changes(void *arg, const struct snapshot *s)
{
    return reader_each_change(s, visit_sequence, arg);
}

static void
a_missing_policy_with_versions_is_damage(void **state)
{
    struct scratch *t = *state;
    struct query a = {.name = "p0004", .version = 2}, b = {.name = "p0005"};
    struct seen seen = {0};
    struct reader *r;

    fill_registry(t->dir);
    r = open_reader(t->dir);
    delete_with_lmdb(t->file, "policies", "p0004", 5);
    assert_int_equal(reader_read(r, query_policy, &a, NULL), BIDE_EDAMAGED);
    assert_int_equal(reader_read(r, query_version, &a, NULL), 0);
    record_free(&a.got);
    delete_with_lmdb(t->file, "versions", "p0005\0\0\0\0\x03",
                     10); /* the newest */
    assert_int_equal(reader_read(r, query_policy, &b, NULL), BIDE_EDAMAGED);
    delete_with_lmdb(t->file, "versions", "p0004\0\0\0\0\x02",
                     10); /* in the middle */
    assert_int_equal(reader_read(r, query_version, &a, NULL), BIDE_EMISSING);
    assert_int_equal(reader_read(r, walk_changes, &seen, NULL), BIDE_EDAMAGED);
    delete_with_lmdb(t->file, "policies", NULL, 0);
    assert_int_equal(reader_read(r, query_policy, &a, NULL), BIDE_EDAMAGED);
    delete_with_lmdb(t->file, "versions", NULL, 0);
    assert_int_equal(reader_read(r, query_policy, &a, NULL), BIDE_EDAMAGED);
    delete_with_lmdb(t->file, "meta", "live", 4);
    assert_int_equal(reader_read(r, query_policy, &a, NULL), BIDE_EDAMAGED);
    reader_close(r);
    assert_int_equal(reader_open(t->dir, &r), BIDE_EDAMAGED);
}

static void
an_outdated_tree_is_damage(void **state)
{
    struct scratch *t = *state;
    struct query a = {.name = "p0004"};
    struct reader *r;
    struct writer *w;
    uint8_t *bytes;
    size_t length;
    int slot;

    fill_registry(t->dir);
    r = open_reader(t->dir);
    bytes = slurp(t->file, &length);
    slot = (ROUNDS + 1) & 1; /* the newer; + 2 makes the other one newer */
    bytes[(1 - slot) * 4096 + 16 + 128] += 2;
    spill(t->file, bytes, length);
    assert_int_equal(reader_read(r, query_policy, &a, NULL), BIDE_EDAMAGED);
    assert_non_null(strstr(pages_why(), "transaction"));
    assert_int_equal(writer_begin(t->dir, "test", 0, &w), BIDE_EDAMAGED);
    free(bytes);
    reader_close(r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH(every_version_of_every_policy_is_read),
        SCRATCH(an_unknown_name_and_an_invalid_name_give_different_errors),
        SCRATCH(a_deleted_policy_gives_its_tombstone),
        SCRATCH(layers_end_each_by_itself),
        SCRATCH(walks_visit_all_records_in_order),
        SCRATCH(a_visit_ends_its_walk_with_its_result),
        SCRATCH(an_empty_registry_has_no_records),
        SCRATCH(a_reading_is_repeated_until_no_writer_interferes),
        SCRATCH(a_missing_policy_with_versions_is_damage),
        SCRATCH(an_outdated_tree_is_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
