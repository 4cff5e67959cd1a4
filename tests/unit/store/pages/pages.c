/* Reading LMDB's files, compared with LMDB itself. */
#include "unit/store/file/scratch.h"

#include <errno.h>
#include <sys/wait.h>

#include <bide.h>
#include "base/array.h"
#include "store/pages/pages.h"

struct pair {
    uint8_t key[64];
    size_t key_length, length;
    uint8_t *value;
};

struct pairs {
    struct pair *list;
    size_t count;
};

static int
collect_pair(void *arg, const void *key, size_t key_length, const void *value,
             size_t length)
{
    struct pairs *p = arg;
    struct pair *to;

    p->list = array_more(p->list, p->count, sizeof(*p->list));
    assert_non_null(p->list);
    to = &p->list[p->count++];
    assert_true(key_length <= sizeof(to->key));
    memcpy(to->key, key, key_length);
    to->key_length = key_length;
    to->length = length;
    to->value = malloc(length + 1);
    memcpy(to->value, value, length);
    return 0;
}

static void
pairs_free(struct pairs *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->list[i].value);
    }
    free(p->list);
    *p = (struct pairs){0};
}

/* Reads a database with LMDB's own cursor. */
static void
read_by_lmdb(const char *path, const char *db, struct pairs *out)
{
    MDB_env *env = lmdb_env(path);
    MDB_cursor *cursor;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val k, v;

    *out = (struct pairs){0};
    assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, db, 0, &dbi), 0);
    assert_int_equal(mdb_cursor_open(txn, dbi, &cursor), 0);
    while (!mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
        collect_pair(out, k.mv_data, k.mv_size, v.mv_data, v.mv_size);
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    mdb_env_close(env);
}

static void
assert_same(const struct pair *a, const struct pair *b)
{
    assert_int_equal(a->key_length, b->key_length);
    assert_memory_equal(a->key, b->key, a->key_length);
    assert_int_equal(a->length, b->length);
    assert_memory_equal(a->value, b->value, a->length);
}

/* Compares every kind of read of `db` with LMDB's results. */
static void
assert_reads_as_lmdb(const char *path, const char *db)
{
    struct pairs real, ours = {0};
    struct snapshot s;
    struct pages *f;
    size_t step;

    read_by_lmdb(path, db, &real);
    assert_int_equal(pages_open(path, &f), 0);
    assert_int_equal(pages_check(f), 0);
    assert_int_equal(pages_begin(f, &s), 0);

    assert_int_equal(
        pages_walk(&s, db, NULL, 0, false, collect_pair, &ours, NULL), 0);
    assert_int_equal(ours.count, real.count);
    for (size_t i = 0; i < real.count; i++) {
        assert_same(&ours.list[i], &real.list[i]);
    }
    pairs_free(&ours);

    assert_int_equal(
        pages_walk(&s, db, NULL, 0, true, collect_pair, &ours, NULL), 0);
    assert_int_equal(ours.count, real.count);
    for (size_t i = 0; i < real.count; i++) {
        assert_same(&ours.list[real.count - 1 - i], &real.list[i]);
    }
    pairs_free(&ours);

    step = real.count / 40 + 1;
    for (size_t i = 0; i < real.count; i++) {
        const struct pair *p = &real.list[i];
        void *value;
        size_t length;

        assert_int_equal(
            pages_get(&s, db, p->key, p->key_length, &value, &length), 0);
        assert_int_equal(length, p->length);
        assert_memory_equal(value, p->value, length);
        free(value);
        if (i % step) {
            continue;
        }
        /* Forwards from that key, and backwards from the key before it. */
        assert_int_equal(pages_walk(&s, db, p->key, p->key_length, false,
                                    collect_pair, &ours, NULL),
                         0);
        assert_int_equal(ours.count, real.count - i);
        assert_same(&ours.list[0], p);
        pairs_free(&ours);
        assert_int_equal(pages_walk(&s, db, p->key, p->key_length, true,
                                    collect_pair, &ours, NULL),
                         0);
        assert_int_equal(ours.count, i);
        if (i) {
            assert_same(&ours.list[0], &real.list[i - 1]);
        }
        pairs_free(&ours);
    }
    assert_int_equal(pages_end(&s), 0);
    pages_close(f);
    pairs_free(&real);
}

static void
fill_file(const char *path, unsigned count, bool long_values)
{
    MDB_env *env = lmdb_env(path);
    uint64_t seed = 7;
    MDB_txn *txn;
    MDB_dbi dbi;

    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "policies", MDB_CREATE, &dbi), 0);
    for (unsigned i = 0; i < count; i++) {
        lmdb_fill(txn, dbi, i * 2,
                  long_values ? below(&seed, 16385) : below(&seed, 400), i);
    }
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void
records_that_lmdb_wrote_are_read_back(void **state)
{
    static const struct {
        unsigned count;
        bool long_values;
    } cases[] = {{0, false}, {1, false},  {1, true},     {10, false},
                 {10, true}, {500, true}, {5000, false}, {5000, true}};
    struct scratch *t = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        unlink(t->file);
        fill_file(t->file, cases[i].count, cases[i].long_values);
        assert_reads_as_lmdb(t->file, "policies");
    }
}

static void
records_after_many_transactions_are_read_back(void **state)
{
    struct scratch *t = *state;
    uint64_t seed = 42;

    for (int round = 0; round < 12; round++) {
        lmdb_churn(t->file, &seed, 10, 30u << round % 6, 2000);
        assert_reads_as_lmdb(t->file, "policies");
        assert_reads_as_lmdb(t->file, "versions");
    }
}

static void
values_of_every_length_near_the_page_limits_are_read(void **state)
{
    struct scratch *t = *state;
    MDB_env *env = lmdb_env(t->file);
    MDB_txn *txn;
    MDB_dbi dbi;

    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "policies", MDB_CREATE, &dbi), 0);
    for (unsigned i = 0; i < 60; i++) {
        lmdb_fill(txn, dbi, i, 2000 + i, 0);        /* leaf or overflow */
        lmdb_fill(txn, dbi, 1000 + i, 4050 + i, 0); /* one or two pages */
        lmdb_fill(txn, dbi, 2000 + i, i, 0);        /* empty */
    }
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    assert_reads_as_lmdb(t->file, "policies");
}

static void
a_missing_record_or_database_gives_enopolicy(void **state)
{
    static const char *const absent[] = {"a",        "k", "k000001", "k000999",
                                         "k0009990", "z", "k00"};
    struct scratch *t = *state;
    struct snapshot s;
    struct pages *f;
    size_t length = 5;
    void *value = &length;

    fill_file(t->file, 500, false);
    assert_int_equal(pages_open(t->file, &f), 0);
    assert_int_equal(pages_begin(f, &s), 0);
    for (size_t i = 0; i < sizeof(absent) / sizeof(*absent); i++) {
        assert_int_equal(pages_get(&s, "policies", absent[i], strlen(absent[i]),
                                   &value, &length),
                         BIDE_ENOPOLICY);
    }
    assert_int_equal(pages_get(&s, "nothing", "k", 1, &value, &length),
                     BIDE_ENOPOLICY);
    assert_int_equal(
        pages_walk(&s, "nothing", NULL, 0, false, collect_pair, NULL, NULL),
        BIDE_ENOPOLICY);
    assert_ptr_equal(value, &length); /* untouched */
    assert_int_equal(length, 5);
    pages_close(f);
}

static int
stop_at_third(void *arg, const void *key, size_t key_length, const void *value,
              size_t length)
{
    int *seen = arg;

    (void)key, (void)key_length, (void)value, (void)length;
    return ++*seen == 3 ? 77 : 0;
}

static void
a_visit_ends_the_walk_with_its_result(void **state)
{
    struct scratch *t = *state;
    struct snapshot s;
    struct pages *f;
    int seen = 0;

    fill_file(t->file, 500, true);
    assert_int_equal(pages_open(t->file, &f), 0);
    assert_int_equal(pages_begin(f, &s), 0);
    assert_int_equal(
        pages_walk(&s, "policies", NULL, 0, true, stop_at_third, &seen, NULL),
        77);
    assert_int_equal(seen, 3);
    pages_close(f);
}

static void
databases_with_other_flags_are_damage(void **state)
{
    static const unsigned flags[] = {MDB_DUPSORT, MDB_DUPSORT | MDB_DUPFIXED,
                                     MDB_INTEGERKEY, MDB_REVERSEKEY};
    struct scratch *t = *state;

    for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
        MDB_env *env = lmdb_env(t->file);
        char key[] = "12345678", values[2][4] = {"abc", "abd"};
        MDB_val k = {8, key}, v = {3, values[0]};
        struct pairs none = {0};
        struct snapshot s;
        struct pages *f;
        MDB_txn *txn;
        MDB_dbi dbi;

        assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
        assert_int_equal(mdb_dbi_open(txn, "x", MDB_CREATE | flags[i], &dbi),
                         0);
        assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
        v.mv_data = values[1];
        assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
        assert_int_equal(mdb_txn_commit(txn), 0);
        mdb_env_close(env);
        assert_int_equal(pages_open(t->file, &f), 0);
        assert_string_equal(pages_why(), ""); /* not of an earlier file */
        assert_int_equal(pages_begin(f, &s), 0);
        assert_int_equal(
            pages_walk(&s, "x", NULL, 0, false, collect_pair, &none, NULL),
            BIDE_EDAMAGED);
        assert_int_equal(pages_check(f), BIDE_EDAMAGED);
        assert_string_not_equal(pages_why(), "");
        pages_close(f);
        unlink(t->file);
    }
}

/* ---- files that are not a registry ---- */

static void
a_file_that_is_not_a_registry_is_refused_with_a_message(void **state)
{
    struct scratch *t = *state;
    struct pages *f = NULL;
    size_t length;
    uint8_t *bytes;
    char text[10000];

    assert_int_equal(pages_open(t->file, &f), BIDE_EMISSING);
    spill(t->file, "", 0);
    assert_int_equal(pages_open(t->file, &f), BIDE_EDAMAGED);
    assert_non_null(strstr(pages_why(), "empty"));
    spill(t->file, "[pay]\n", 6);
    assert_int_equal(pages_open(t->file, &f), BIDE_EDAMAGED);
    assert_non_null(strstr(pages_why(), "cut off"));
    memset(text, 'x', sizeof(text));
    spill(t->file, text, sizeof(text));
    assert_int_equal(pages_open(t->file, &f), BIDE_EDAMAGED);
    assert_non_null(strstr(pages_why(), "not an LMDB file"));
    unlink(t->file);

    assert_int_equal(mkdir(t->file, 0700), 0);
    assert_int_equal(pages_open(t->file, &f), BIDE_EDAMAGED);
    assert_non_null(strstr(pages_why(), "directory"));
    rmdir(t->file);
    assert_int_equal(mkfifo(t->file, 0600), 0);
    assert_int_equal(pages_open(t->file, &f), BIDE_EDAMAGED);
    unlink(t->file);
    assert_int_equal(symlink("registry.mdb", t->file), 0);
    assert_int_equal(pages_open(t->file, &f), BIDE_EDAMAGED);
    unlink(t->file);

    fill_file(t->file, 3, false);
    bytes = slurp(t->file, &length);
    bytes[16 + 4] = 2; /* the version, in one meta page only: damage */
    spill(t->file, bytes, length);
    assert_int_equal(pages_open(t->file, &f), BIDE_EDAMAGED);
    bytes[4096 + 16 + 4] = 2;
    spill(t->file, bytes, length);
    assert_int_equal(pages_open(t->file, &f), BIDE_EFORMAT);
    free(bytes);
    assert_null(f);
}

static void
a_file_without_read_permission_gives_eperm(void **state)
{
    struct scratch *t = *state;
    pid_t child;
    int status;

    fill_file(t->file, 1, false);
    assert_int_equal(chmod(t->file, 0), 0);
    child = fork();
    if (!child) {
        struct pages *f;

        if (!geteuid() && (chmod(t->dir, 0755) || setuid(65534))) {
            _exit(2);
        }
        _exit(pages_open(t->file, &f) == BIDE_EPERM ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---- stamps ---- */

static void
a_stamp_shows_commits_removal_and_replacement(void **state)
{
    struct scratch *t = *state;
    struct pages_stamp a, b;
    char other[320];
    struct pages *f;

    fill_file(t->file, 10, false);
    assert_int_equal(pages_open(t->file, &f), 0);
    assert_int_equal(pages_look(f, &a), 0);
    assert_int_equal(pages_look(f, &b), 0);
    assert_memory_equal(&a, &b, sizeof(a));
    fill_file(t->file, 11, false);
    assert_int_equal(pages_look(f, &b), 0);
    assert_int_equal(b.txn, a.txn + 1);
    assert_int_equal(b.inode, a.inode);

    snprintf(other, sizeof(other), "%s.new", t->file);
    fill_file(other, 10, false);
    assert_int_equal(rename(other, t->file), 0);
    b.txn = 99;
    assert_int_equal(pages_look(f, &b), BIDE_EMISSING);
    assert_int_equal(b.txn, 99);
    assert_int_equal(unlink(t->file), 0);
    assert_int_equal(pages_look(f, &b), BIDE_EMISSING);
    pages_close(f);
    pages_close(NULL);
}

static void
a_relative_path_is_still_found_after_chdir(void **state)
{
    struct scratch *t = *state;
    struct pages_stamp stamp;
    struct pages *f;
    int here = open(".", O_RDONLY | O_DIRECTORY);

    fill_file(t->file, 1, false);
    assert_int_equal(chdir(t->dir), 0);
    assert_int_equal(pages_open("policies/registry.mdb", &f), 0);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(pages_look(f, &stamp), 0);
    pages_close(f);
    assert_int_equal(fchdir(here), 0);
    close(here);
}

/* ---- snapshots ---- */

static void
a_snapshot_is_valid_for_one_more_commit_but_not_for_two(void **state)
{
    struct scratch *t = *state;
    struct pairs before = {0}, after = {0};
    uint64_t seed = 5;
    struct snapshot s;
    struct pages *f;

    lmdb_churn(t->file, &seed, 20, 100, 300);
    assert_int_equal(pages_open(t->file, &f), 0);
    assert_int_equal(pages_begin(f, &s), 0);
    assert_int_equal(
        pages_walk(&s, "policies", NULL, 0, false, collect_pair, &before, NULL),
        0);
    assert_int_equal(pages_end(&s), 0);

    lmdb_churn(t->file, &seed, 1, 200, 300);
    assert_int_equal(pages_end(&s), 0);
    assert_int_equal(
        pages_walk(&s, "policies", NULL, 0, false, collect_pair, &after, NULL),
        0);
    assert_int_equal(pages_end(&s), 0);
    assert_int_equal(before.count, after.count);
    for (size_t i = 0; i < before.count; i++) {
        assert_same(&before.list[i], &after.list[i]);
    }
    lmdb_churn(t->file, &seed, 1, 200, 300);
    assert_int_equal(pages_end(&s), PAGES_AGAIN);
    pages_close(f);
    pairs_free(&before);
    pairs_free(&after);
}

/* pages_end relies on this: while the file shows at most S + 1, no page of S
 * has been overwritten, not even by an uncommitted transaction. */
static void
an_uncommitted_transaction_does_not_overwrite_the_snapshot(void **state)
{
    struct scratch *t = *state;
    uint64_t seed = 9;

    lmdb_churn(t->file, &seed, 30, 60, 300);
    for (int round = 0; round < 40; round++) {
        struct pairs before = {0}, after = {0};
        struct snapshot s;
        struct pages *f;
        MDB_env *env;
        MDB_txn *txn;
        MDB_dbi dbi;
        size_t length;
        uint8_t *bytes, *meta;

        assert_int_equal(pages_open(t->file, &f), 0);
        assert_int_equal(pages_begin(f, &s), 0);
        assert_int_equal(pages_walk(&s, "policies", NULL, 0, false,
                                    collect_pair, &before, NULL),
                         0);
        lmdb_churn(t->file, &seed, 1, 100, 300); /* S + 1 */

        /* S + 2 writes all its pages; the old meta page is restored, as if the
         * writer had been killed just before it wrote that page. */
        bytes = slurp(t->file, &length);
        env = lmdb_env(t->file);
        assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
        assert_int_equal(mdb_dbi_open(txn, "policies", 0, &dbi), 0);
        for (size_t i = 0; i < 100; i++) {
            lmdb_fill(txn, dbi, (unsigned)below(&seed, 300), below(&seed, 3000),
                      1);
        }
        assert_int_equal(mdb_txn_commit(txn), 0);
        mdb_env_close(env);
        meta = bytes + (s.meta.txn & 1) * 4096;
        {
            int fd = open(t->file, O_WRONLY);

            assert_int_equal(pwrite(fd, meta, 4096, (s.meta.txn & 1) * 4096),
                             4096);
            close(fd);
        }
        free(bytes);
        assert_int_equal(pages_end(&s), 0);
        assert_int_equal(pages_walk(&s, "policies", NULL, 0, false,
                                    collect_pair, &after, NULL),
                         0);
        assert_int_equal(before.count, after.count);
        for (size_t i = 0; i < before.count; i++) {
            assert_same(&before.list[i], &after.list[i]);
        }
        pages_close(f);
        pairs_free(&before);
        pairs_free(&after);
    }
}

static void
meta_pages_of_unrelated_transactions_are_damage(void **state)
{
    /* Without 2: such meta pages are valid; the "commit" record detects it. */
    static const int changes[] = {-3, -1, 1, 3, 4, 200};
    struct scratch *t = *state;
    uint64_t seed = 3;
    size_t length;
    uint8_t *bytes;

    lmdb_churn(t->file, &seed, 6, 10, 30);
    bytes = slurp(t->file, &length);
    for (int slot = 0; slot < 2; slot++) {
        for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
            uint8_t *txn = bytes + slot * 4096 + 16 + 128;
            struct pages *f = NULL;

            *txn = (uint8_t)(*txn + changes[i]);
            spill(t->file, bytes, length);
            assert_int_equal(pages_open(t->file, &f), BIDE_EDAMAGED);
            assert_null(f);
            *txn = (uint8_t)(*txn - changes[i]);
        }
    }
    free(bytes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH(records_that_lmdb_wrote_are_read_back),
        SCRATCH(records_after_many_transactions_are_read_back),
        SCRATCH(values_of_every_length_near_the_page_limits_are_read),
        SCRATCH(a_missing_record_or_database_gives_enopolicy),
        SCRATCH(a_visit_ends_the_walk_with_its_result),
        SCRATCH(databases_with_other_flags_are_damage),
        SCRATCH(a_file_that_is_not_a_registry_is_refused_with_a_message),
        SCRATCH(a_file_without_read_permission_gives_eperm),
        SCRATCH(a_stamp_shows_commits_removal_and_replacement),
        SCRATCH(a_relative_path_is_still_found_after_chdir),
        SCRATCH(a_snapshot_is_valid_for_one_more_commit_but_not_for_two),
        SCRATCH(an_uncommitted_transaction_does_not_overwrite_the_snapshot),
        SCRATCH(meta_pages_of_unrelated_transactions_are_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
